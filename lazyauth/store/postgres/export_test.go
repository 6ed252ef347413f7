package postgres

import "context"

// Sweep removes at most so many rows that have ended, as the DB does by itself from time to time.
func (d *DB) Sweep(ctx context.Context, limit int64) (int64, error) { return d.sweepOnce(ctx, limit) }
