package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Due implements [store.Shared]. It takes one statement if the list is full, and else two.
func (d *DB) Due(ctx context.Context, kind string, limit int) (due []store.ID, next time.Duration, err error) {
	limit = max(limit, 0)
	keys, err := list(ctx, d, d.sql.due, func(rows pgx.CollectableRow) (id store.ID, err error) {
		id.Kind = kind
		return id, scanKey(rows, &id)
	}, kind, int64(limit)+1)
	if err != nil {
		return nil, 0, err
	}
	if len(keys) > limit {
		return keys[:limit], 0, nil
	}
	var micros int64
	found, err := d.one(ctx, reads, d.sql.next, []any{kind}, &micros)
	switch {
	case err != nil:
		return nil, 0, err
	case !found:
		return keys, -1, nil
	}
	return keys, time.Duration(micros) * time.Microsecond, nil
}

// OfPerson implements [store.Shared]. Nobody has nothing.
func (d *DB) OfPerson(ctx context.Context, person store.Hash, after store.ID, limit int) ([]store.ID, error) {
	return list(ctx, d, d.sql.ofPerson, scanID, hash(person), after.Kind, after.Key[:], int64(max(limit, 0)))
}

// NotSealedBy implements [store.Shared].
func (d *DB) NotSealedBy(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error) {
	args := []any{key, after.Kind, after.Key[:], int64(max(limit, 0))}
	// It depends on the key whether many rows are sealed by others, or a few, which an index then finds: the
	// plan of a prepared statement, which is for any key, looked at 200,000 rows for forty.
	if d.prepares {
		args = append([]any{pgx.QueryExecModeExec}, args...)
	}
	return list(ctx, d, d.sql.notSealedBy, scanID, args...)
}

func list(ctx context.Context, d *DB, sql string, scan pgx.RowToFunc[store.ID], args ...any) (ids []store.ID, err error) {
	err = d.run(ctx, reads, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, scan)
		return err
	})
	return ids, err
}

func scanKey(row pgx.CollectableRow, id *store.ID) error {
	var key []byte
	err := row.Scan(&key)
	copy(id.Key[:], key)
	return err
}

func scanID(row pgx.CollectableRow) (id store.ID, err error) {
	var key []byte
	err = row.Scan(&id.Kind, &key)
	copy(id.Key[:], key)
	return id, err
}
