package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

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

func scanID(row pgx.CollectableRow) (id store.ID, err error) {
	var key []byte
	err = row.Scan(&id.Kind, &key)
	copy(id.Key[:], key)
	return id, err
}
