package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	sweepEvery = time.Minute
	sweepBatch = 500
)

// sweep removes rows that have ended, which nobody sees any more, until the DB is closed. Every
// process does it, and they do not wait for each other.
func (d *DB) sweep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery/2 + rand.N(sweepEvery)): //nolint:gosec // no secret: it spreads the load
		}
		for range 20 {
			if n, err := d.sweepOnce(ctx, sweepBatch); err != nil || n < sweepBatch {
				break // an error is reported by whatever else is done with the store
			}
		}
	}
}

// sweepOnce removes at most so many, the first that have ended.
func (d *DB) sweepOnce(ctx context.Context, limit int64) (removed int64, err error) {
	err = d.run(ctx, writes, func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, d.sql.sweep, limit)
		removed = tag.RowsAffected()
		return err
	})
	return removed, err
}
