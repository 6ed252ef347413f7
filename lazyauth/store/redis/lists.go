package redis

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	maxLooked  = 10_000 // rows that are due, and yet not to be begun, in one script
	sweepBatch = 500    // rows that have ended, in one script
)

// Due implements [store.Shared]. It takes out of the sets what it finds to have ended.
func (d *DB) Due(ctx context.Context, kind string, limit int) (due []store.ID, next time.Duration, err error) {
	limit = max(limit, 0)
	answer, err := d.run(ctx, scriptDue, true, "due:"+kind, kind, strconv.Itoa(limit), strconv.Itoa(limit+maxLooked))
	if err != nil {
		return nil, 0, err
	}
	parts, err := answer.ToArray()
	if err != nil || len(parts) != 3 {
		return nil, 0, errAnswer
	}
	if due, err = idsOf(parts[0]); err != nil {
		return nil, 0, err
	}
	text, err := parts[1].ToString()
	if err != nil {
		return nil, 0, errAnswer
	}
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, 0, errAnswer
	}
	ended, err := parts[2].ToInt64()
	if err != nil {
		return nil, 0, errAnswer
	}
	if ended > 0 { // if it cannot, as on a replica, they are passed over next time
		_, _ = d.run(ctx, scriptSweep, false, "ends", strconv.Itoa(sweepBatch))
	}
	return due, time.Duration(micros) * time.Microsecond, nil
}

// OfPerson implements [store.Shared]. Nobody has nothing.
func (d *DB) OfPerson(ctx context.Context, person store.Hash, after store.ID, limit int) ([]store.ID, error) {
	return d.list(ctx, scriptOfPerson, "person:"+text(person), text(person), after, limit)
}

// NotSealedBy implements [store.Shared].
func (d *DB) NotSealedBy(ctx context.Context, key string, after store.ID, limit int) ([]store.ID, error) {
	ids, err := d.list(ctx, scriptNotSealedBy, "keys", key, after, limit)
	slices.SortFunc(ids, func(a, b store.ID) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Key[:], b.Key[:]))
	})
	return ids[:min(len(ids), max(limit, 0))], err
}

func (d *DB) list(ctx context.Context, script *valkey.Lua, key, of string, after store.ID, limit int) ([]store.ID, error) {
	name := ""
	if after != (store.ID{}) {
		name = nameOf(after)
	}
	answer, err := d.run(ctx, script, true, key, of, name, strconv.Itoa(max(limit, 0)))
	if err != nil {
		return nil, err
	}
	return idsOf(answer)
}

func idsOf(answer valkey.ValkeyMessage) ([]store.ID, error) {
	names, err := answer.AsStrSlice()
	if err != nil {
		return nil, errAnswer
	}
	ids := make([]store.ID, len(names))
	for i, name := range names {
		if ids[i], err = idOf(name); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
