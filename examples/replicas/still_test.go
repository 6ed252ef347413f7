package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A look that takes long is seen, and one that does not is none.
func TestWatchClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var stood []time.Duration
		takes := []time.Duration{0, stillWait / 2, 3 * stillWait, 0}
		go watchClock(ctx, func(context.Context) {
			if len(takes) > 0 {
				time.Sleep(takes[0])
				takes = takes[1:]
			}
		}, func(d time.Duration) { stood = append(stood, d) })
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Equal(stood, []time.Duration{3*stillWait - stillEvery}) {
			t.Errorf("it stood still for %v", stood)
		}
	})
}

// A round that is wrong is played again if the machine stood still meanwhile, with rows of its own, and not for ever; a
// round with a guard taken out also if it is right, since that is to be missed.
func TestSteadily(t *testing.T) {
	wrong := errFound
	for name, test := range map[string]struct {
		without string
		plays   []error // what comes of them
		still   []bool  // whether the machine stood still in them
		want    error
		says    bool // that the machine is to blame
	}{
		"right":                    {"", []error{nil}, []bool{false}, nil, false},
		"right all the same":       {"", []error{nil}, []bool{true}, nil, false},
		"wrong":                    {"", []error{wrong}, []bool{false}, wrong, false},
		"wrong as it stood still":  {"", []error{wrong, nil}, []bool{true, false}, nil, false},
		"wrong each time":          {"", []error{wrong, wrong, wrong}, []bool{true, true, true}, wrong, true},
		"missed":                   {"fence", []error{wrong}, []bool{false}, wrong, false},
		"not missed":               {"fence", []error{nil}, []bool{false}, nil, false},
		"not missed, still":        {"fence", []error{nil, wrong}, []bool{true, false}, wrong, false},
		"missed each time, still":  {"fence", []error{wrong, wrong, wrong}, []bool{true, true, true}, wrong, false},
		"never missed, but still":  {"fence", []error{nil, nil, nil}, []bool{true, true, true}, errStill, true},
		"something else, no still": {"fence", []error{io.EOF}, []bool{false}, io.EOF, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := options{without: test.without, key: newKey(), still: new(stillness)}
			var places, keys []string
			err := o.steadily(t.Context(), io.Discard, t.TempDir(), func(_ context.Context, o options, place string) error {
				n := len(places)
				places, keys = append(places, place), append(keys, o.key)
				if test.still[n] {
					o.still.add(2 * time.Second)
				}
				return test.plays[n]
			})
			if !errors.Is(err, test.want) || errors.Is(err, errStill) != test.says || len(places) != len(test.plays) {
				t.Errorf("%v after %d plays", err, len(places))
			}
			for _, used := range [][]string{places, keys} {
				if slices.Sort(used); len(slices.Compact(used)) != len(test.plays) {
					t.Errorf("of %d plays two shared what is their own", len(test.plays))
				}
			}
		})
	}
}
