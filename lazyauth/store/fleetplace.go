package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPlaces is how many places of one name there may be.
const maxPlaces = 64

// Take takes one of so many places of this name, for so long from now on, and returns what stands for it; empty if all are
// taken. Of all that take one, on all machines, no more have one at a time. It is for what may be under way so often at
// once: a person's sign-ins. A place ends by itself, and so does one of a process that has died. After an error one may have been taken,
// which ends like that.
//
// It is one step of the store, and two more if the place that it tries first is taken: few are, of most names.
func (f *Fleet) Take(ctx context.Context, name string, places int, life time.Duration) (place string, err error) {
	if err := checkPlaces(ctx, name, places, life); err != nil {
		return "", err
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	// A place is taken while there is a row. The rows are a person's of their own, for the list of them: there are never more
	// of these than places.
	owner := rand.Text()
	c := Change{Person: f.sealer.hash("places!", name), Generation: 1, Content: []byte(owner), Ends: life}
	insert := func(n int) (bool, error) {
		taken, err := f.shared.Insert(ctx, f.placeID(name, n), c)
		if err != nil { // and perhaps the answer was lost
			row, failed := f.shared.Read(ctx, f.placeID(name, n))
			if failed == nil && row != nil && string(row.Content) == owner {
				return true, nil
			}
		}
		return taken, err
	}
	n := mathrand.N(places) //nolint:gosec // so that those who take one at once do not try the same
	taken, err := insert(n)
	if err == nil && !taken {
		n, taken, err = takesFree(ctx, f, name, places, c.Person, insert)
	}
	if err != nil || !taken {
		return "", f.named(ended(ctx, err))
	}
	return strconv.Itoa(n) + "." + owner, nil
}

// takesFree takes one of the places that are seen to be free.
func takesFree(ctx context.Context, f *Fleet, name string, places int, all Hash, insert func(int) (bool, error)) (n int, taken bool, err error) {
	there, err := f.shared.OfPerson(ctx, all, ID{}, maxPlaces)
	if err != nil {
		return 0, false, err
	}
	for _, n := range mathrand.Perm(places) { //nolint:gosec // likewise
		if slices.Contains(there, f.placeID(name, n)) {
			continue
		}
		if taken, err := insert(n); taken || err != nil {
			return n, taken, err
		}
	}
	return 0, false, nil
}

// Keep has a place last for so long from now on, if nobody has given it back and it has not ended: then there is nothing
// to keep.
func (f *Fleet) Keep(ctx context.Context, name, place string, life time.Duration) error {
	if life <= 0 {
		return errNoPlace
	}
	return f.changePlace(ctx, name, place, life)
}

// Give gives a place back. Anybody may who knows it, more than once.
func (f *Fleet) Give(ctx context.Context, name, place string) error {
	return f.changePlace(ctx, name, place, time.Microsecond) // the shortest life that there is
}

func (f *Fleet) changePlace(ctx context.Context, name, place string, life time.Duration) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	number, owner, ok := strings.Cut(place, ".")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 || n >= maxPlaces {
		return errNoPlace
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	row, err := f.shared.Read(ctx, f.placeID(name, n))
	if err != nil || row == nil || string(row.Content) != owner {
		return f.named(ended(ctx, err))
	}
	c := Change{Person: row.Person, Generation: row.Generation + 1, Content: row.Content, Ends: life}
	_, err = f.shared.Write(ctx, row.ID, row.Fence, row.Generation, c) // or somebody else has, just now
	return f.named(ended(ctx, err))
}

var errNoPlace = errors.New("store: what is no place, or one without a life")

func checkPlaces(ctx context.Context, name string, places int, life time.Duration) error {
	switch {
	case places < 1 || places > maxPlaces:
		return fmt.Errorf("store: %d places: there can be 1 to %d", places, maxPlaces)
	case life <= 0:
		return errNoPlace
	}
	return check(ctx, name)
}

func (f *Fleet) placeID(name string, n int) ID {
	return ID{Kind: kindPlace, Key: f.sealer.hash(kindPlace, strconv.Itoa(n)+" "+name)}
}
