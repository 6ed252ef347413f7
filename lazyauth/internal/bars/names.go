package bars

import (
	"context"
	"errors"
	"slices"
	"strings"
)

const (
	// maxNames is how many persons are remembered by one identity: the same one, by as many names.
	maxNames = 8
	// maxName is the length of the longest issuer and subject that are remembered, in bytes.
	maxName = 512
)

var errLongName = errors.New("lazyauth: the issuer and subject of a person are too long to be remembered: their grants are not found by another name of theirs")

// Name notes that p is the person whom others know by this identity, so that p's grants are found by
// that. Who uses it has to make sure that it is so still.
func (b *Book) Name(ctx context.Context, identity, p Person) error {
	if b.store == nil || identity == p {
		return nil
	}
	if len(p.Issuer)+len(p.Subject) > maxName {
		return errLongName
	}
	key := b.hash(identity)
	r, err := b.recordOf(ctx, p)
	if err != nil || r.Known == key {
		return err
	}
	// In this order: who is found by an identity is forgotten with it.
	if err := b.change(ctx, p, func(r *record) bool {
		r.Known = key
		return true
	}); err != nil {
		return err
	}
	return b.change(ctx, identity, func(r *record) bool {
		if slices.Contains(r.Names, p) {
			return false
		}
		r.Names = append(r.Names, p)
		r.Names = r.Names[max(0, len(r.Names)-maxNames):]
		return true
	})
}

// Named returns the persons who were noted to have this identity, the latest last.
func (b *Book) Named(ctx context.Context, identity Person) ([]Person, error) {
	if b.store == nil {
		return nil, nil
	}
	r, err := b.recordOf(ctx, identity)
	if err != nil {
		return nil, err
	}
	return r.Names, nil
}

// unname forgets that p is known by this hash of an identity.
func (b *Book) unname(ctx context.Context, hash string, p Person) error {
	if len(hash) != len(b.hash(p)) || strings.Trim(hash, "0123456789abcdef") != "" {
		return errUnreadable
	}
	return b.update(ctx, b.keyPrefix()+hash, func(old []byte) ([]byte, error) {
		r, err := decodeRecord(old)
		if err != nil {
			return nil, err
		}
		at := slices.Index(r.Names, p)
		if at < 0 {
			return nil, errUnchanged
		}
		r.Names = slices.Delete(r.Names, at, at+1)
		return r.encode(), nil
	})
}

// forgetNames erases by which names p is known, and who is known by p's.
func (b *Book) forgetNames(ctx context.Context, p Person) error {
	r, err := b.recordOf(ctx, p)
	if err != nil {
		return err
	}
	if r.Known != "" {
		err = b.unname(ctx, r.Known, p)
	}
	for _, other := range r.Names { // whose own names are their own matter, but for this one
		err = errors.Join(err, b.change(ctx, other, func(r *record) bool {
			was := r.Known != ""
			r.Known = ""
			return was
		}))
	}
	return err
}
