package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Places are kept as marks are, in as many records.
const placePrefix = "places "

func recordOfPlaces(name string) string { return fmt.Sprintf("%s%d", placePrefix, recordNumber(name)) }

// A placeOf is a place as it is stored, among those of its name.
type placeOf struct {
	Place string    `json:"p"`
	Ends  time.Time `json:"e"`
}

// readPlaces returns the places in a record that have not ended.
func readPlaces(record []byte) (map[string][]placeOf, error) {
	all := make(map[string][]placeOf)
	if record == nil {
		return all, nil
	}
	if json.Unmarshal(record, &all) != nil || all == nil {
		return nil, errors.New("store: a record of places is none")
	}
	now := time.Now()
	maps.DeleteFunc(all, func(name string, places []placeOf) bool {
		all[name] = slices.DeleteFunc(places, func(p placeOf) bool { return !now.Before(p.Ends) })
		return len(all[name]) == 0
	})
	return all, nil
}

// errNoneFree ends an update that writes nothing.
var errNoneFree = errors.New("store: there is no such place")

// Take is [Fleet.Take], by the machine's clock. There is room for some 20,000 names at a time. Without room
// the error wraps an [ErrUnwritable].
func (p *Processes) Take(ctx context.Context, name string, places int, life time.Duration) (place string, err error) {
	if err := checkPlaces(ctx, name, places, life); err != nil {
		return "", err
	}
	err = p.changePlaces(ctx, name, func(taken []placeOf) ([]placeOf, bool) {
		if len(taken) >= places {
			return nil, false
		}
		place = rand.Text()
		return append(taken, placeOf{place, time.Now().Add(life).Round(0)}), true
	})
	if err != nil {
		return "", err
	}
	return place, nil
}

// Keep is [Fleet.Keep].
func (p *Processes) Keep(ctx context.Context, name, place string, life time.Duration) error {
	if life <= 0 {
		return errNoPlace
	}
	return p.changePlaces(ctx, name, func(taken []placeOf) ([]placeOf, bool) {
		n := slices.IndexFunc(taken, func(t placeOf) bool { return t.Place == place })
		if n < 0 {
			return nil, false
		}
		taken[n].Ends = time.Now().Add(life).Round(0)
		return taken, true
	})
}

// Give is [Fleet.Give].
func (p *Processes) Give(ctx context.Context, name, place string) error {
	return p.changePlaces(ctx, name, func(taken []placeOf) ([]placeOf, bool) {
		left := slices.DeleteFunc(slices.Clone(taken), func(t placeOf) bool { return t.Place == place })
		return left, len(left) < len(taken)
	})
}

// changePlaces changes the places of this name, unless change reports that it does not.
func (p *Processes) changePlaces(ctx context.Context, name string, change func([]placeOf) ([]placeOf, bool)) error {
	err := p.Update(ctx, recordOfPlaces(name), func(old []byte) ([]byte, error) {
		all, err := readPlaces(old)
		if err != nil {
			return nil, err
		}
		changed, does := change(all[name])
		if !does {
			return nil, errNoneFree
		}
		if all[name] = changed; len(changed) == 0 {
			delete(all, name)
		}
		if len(all) == 0 {
			return nil, nil
		}
		record, err := json.Marshal(all)
		if err == nil && len(record) > MaxRecord {
			err = fmt.Errorf("store: there is no room for another place: %w", ErrUnwritable)
		}
		return record, err
	})
	if errors.Is(err, errNoneFree) {
		return nil
	}
	return err
}
