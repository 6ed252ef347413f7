package store

import (
	"context"
	"errors"
	"slices"
)

// A Rotation is how far one has come.
type Rotation struct {
	Sealed int // rows that were sealed anew
	Left   int // rows that another key than the first one still seals, or that are in another format
}

// Rotate seals anew, by the first key and in the format that this machine writes, what other keys have sealed, or is in another
// format, in batches: it can be ended at any
// time and begun again, on any machine, while all of them work. Rows that another machine works on
// are left, since that writes them anew; so are those that no key opens, which the error is about, once for each key. Call it until
// nothing is left, and then take the older keys away, or the release that writes the other format.
func (f *Fleet) Rotate(ctx context.Context) (r Rotation, err error) {
	var failed []error
	err = f.notSealed(ctx, func(id ID) error {
		sealed, err := f.sealAnew(ctx, id)
		switch {
		case sealed:
			r.Sealed++
		case errors.Is(err, ErrWrongKey), errors.Is(err, ErrDamaged):
			err = f.named(err)
			if !slices.ContainsFunc(failed, func(told error) bool { return told.Error() == err.Error() }) && len(failed) < page {
				failed = append(failed, err)
			}
			err = nil
		}
		return err
	})
	if err != nil {
		return r, errors.Join(append(failed, f.named(err))...)
	}
	err = f.notSealed(ctx, func(ID) error { r.Left++; return nil })
	return r, errors.Join(append(failed, f.named(err))...)
}

// notSealed calls do for each row that another key than the first one has sealed.
func (f *Fleet) notSealed(ctx context.Context, do func(ID) error) error {
	for after := (ID{}); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		limited, cancel := f.answer(ctx)
		ids, err := f.shared.NotSealedBy(limited, f.sealer.sealedBy(), after, page)
		err = ended(limited, err)
		cancel()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := do(id); err != nil {
				return err
			}
		}
		if len(ids) < page {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

// sealAnew writes a row as it is, by the first key, unless somebody works on it.
func (f *Fleet) sealAnew(ctx context.Context, id ID) (bool, error) {
	row, err := f.read(ctx, id)
	if err != nil || row == nil || row.Content == nil {
		return false, err
	}
	if row.Owner != "" {
		now, err := f.now(ctx)
		if err != nil || now.Before(row.Until) {
			return false, err
		}
	}
	e, err := f.sealer.openAny(row)
	if damaged, ok := errors.AsType[damage](err); ok {
		return false, errors.Join(ErrDamaged, damaged)
	}
	if err != nil {
		return false, err
	}
	limited, cancel := f.answer(ctx)
	defer cancel()
	c := Change{Person: row.Person, Generation: row.Generation + 1, Due: -1, Ends: -1}
	f.sealer.seal(id, &c, e)
	written, err := f.shared.Write(limited, id, row.Fence, row.Generation, c)
	return written, ended(limited, err)
}
