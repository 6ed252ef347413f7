package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// work says whether a statement may be sent again if it is not known what became of it.
type work int

const (
	reads work = iota
	writes
)

// run has f work on a connection, within the time that there is, and says in its error what to do.
// f may be called several times.
func (d *DB) run(ctx context.Context, w work, f func(context.Context, *pgxpool.Conn) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errSlow)
	defer cancel()
	for tries := 1; ; tries++ {
		err := d.once(ctx, f)
		if err == nil {
			return nil
		}
		wait := time.Duration(-1)
		if ctx.Err() == nil {
			wait = retry(err, w, tries)
		}
		if wait < 0 {
			return d.failed(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// once leaves connections to a server that is read-only to nobody: the next one may be to its successor.
func (d *DB) once(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	err = f(ctx, conn)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "25006" {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Conn().Close(closing)
	}
	return err
}

// one scans the only row of a statement, if there is one.
func (d *DB) one(ctx context.Context, w work, sql string, args []any, into ...any) (found bool, err error) {
	err = d.run(ctx, w, func(ctx context.Context, conn *pgxpool.Conn) error {
		err := conn.QueryRow(ctx, sql, args...).Scan(into...)
		found = err == nil
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return found, err
}
