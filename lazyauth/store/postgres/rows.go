package postgres

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Now implements [store.Shared].
func (d *DB) Now(ctx context.Context) (now time.Time, err error) {
	_, err = d.one(ctx, reads, `SELECT clock_timestamp()`, nil, &now)
	return now, err
}

// scanned is a row as the server has it, which may have nothing where a Row has zeros.
type scanned struct {
	person            []byte
	generation, fence *int64
	owner, sealedBy   *string
	until, due, ends  *time.Time
	content           []byte
}

func (s *scanned) into() []any {
	return []any{&s.person, &s.generation, &s.fence, &s.owner, &s.until, &s.due, &s.ends, &s.sealedBy, &s.content}
}

func (s *scanned) row(id store.ID) *store.Row {
	r := &store.Row{
		ID: id, Generation: uint64(value(s.generation)), Fence: uint64(value(s.fence)), Owner: value(s.owner),
		Until: value(s.until), Due: value(s.due), Ends: value(s.ends), SealedBy: value(s.sealedBy), Content: s.content,
	}
	copy(r.Person[:], s.person)
	return r
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Read implements [store.Shared].
func (d *DB) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	var s scanned
	found, err := d.one(ctx, reads, d.sql.read, []any{id.Kind, id.Key[:]}, s.into()...)
	if !found || err != nil {
		return nil, err
	}
	return s.row(id), nil
}

// Begin implements [store.Shared].
func (d *DB) Begin(ctx context.Context, id store.ID, a store.Attempt) (before *store.Row, fence uint64, err error) {
	if err := store.CheckAttempt(id, a); err != nil {
		return nil, 0, err
	}
	args := []any{id.Kind, id.Key[:], a.Owner, micros(a.Lease), micros(a.Due), a.IfDue, hash(a.Person), micros(a.Ends)}
	for tries := 0; ; tries++ {
		var begun int64
		var may, there bool
		var s scanned
		if _, err := d.one(ctx, writes, d.sql.begin, args, append([]any{&begun, &may, &there}, s.into()...)...); err != nil {
			return nil, 0, err
		}
		if there {
			before = s.row(id)
		} else {
			before = nil
		}
		switch {
		case begun != 0 || !may:
			return before, uint64(begun), nil
		case tries > 100:
			return nil, 0, d.trouble(store.ErrNoAnswer, "others changed the row again and again while it was looked at", nil)
		}
	}
}

// Write implements [store.Shared].
func (d *DB) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (written bool, err error) {
	if err := cmp.Or(store.CheckChange(id, generation, c), fits(c)); err != nil {
		return false, err
	}
	if fence > math.MaxInt64 || generation > math.MaxInt64 { // as no row has it
		return false, nil
	}
	args := []any{id.Kind, id.Key[:], int64(fence), int64(generation)}
	if c.Keep {
		return d.changes(ctx, id, d.sql.keep, append(args, micros(c.Due))...)
	}
	return d.changes(ctx, id, d.sql.write, append(args, hash(c.Person), c.Content, c.SealedBy, micros(c.Due), micros(c.Ends), int64(c.Generation), c.Release)...)
}

// Insert implements [store.Shared].
func (d *DB) Insert(ctx context.Context, id store.ID, c store.Change) (inserted bool, err error) {
	if err := cmp.Or(store.CheckInsert(id, c), fits(c)); err != nil {
		return false, err
	}
	return d.changes(ctx, id, d.sql.insert, id.Kind, id.Key[:], hash(c.Person), c.Content, c.SealedBy, micros(c.Due), micros(c.Ends), int64(c.Generation))
}

// Delete implements [store.Shared].
func (d *DB) Delete(ctx context.Context, id store.ID) error {
	_, err := d.changes(ctx, id, d.sql.remove, id.Kind, id.Key[:])
	return err
}

// changes executes a statement that changes one row or none, and tells the others.
func (d *DB) changes(ctx context.Context, id store.ID, sql string, args ...any) (changed bool, err error) {
	err = d.run(ctx, writes, func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, sql, args...)
		changed = tag.RowsAffected() > 0
		return err
	})
	if err != nil {
		return false, err
	}
	if changed {
		d.hints.add(id)
	}
	return changed, nil
}

// micros is a span in microseconds, which are what the server counts in. None becomes zero, and what is
// negative stays so.
func micros(span time.Duration) int64 {
	switch {
	case span < 0:
		return -1
	case span == 0:
		return 0
	}
	return max(span.Microseconds(), 1)
}

// hash is nil for nobody.
func hash(h store.Hash) []byte {
	if h == (store.Hash{}) {
		return nil
	}
	return h[:]
}

// fits refuses a generation that a column does not take.
func fits(c store.Change) error {
	if c.Generation > math.MaxInt64 {
		return errors.New("postgres: a generation beyond 2^63")
	}
	return nil
}
