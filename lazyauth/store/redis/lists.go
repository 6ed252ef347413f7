package redis

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

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
