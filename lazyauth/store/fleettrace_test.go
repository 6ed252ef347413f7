package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// told gathers what a trace is told, one line each.
type told []string

func (l *told) trace() store.FleetTrace {
	return store.FleetTrace{
		TookOver: func(_ context.Context, v store.TakeOver) { l.add("took over %s after %v", v.Kind, v.After) },
		Late:     func(_ context.Context, v store.Lateness) { l.add("late %s by %v", v.Kind, v.By) },
		Fenced: func(_ context.Context, v store.Fenced) {
			l.add("fenced %s written=%t ended=%t", v.Kind, v.Written, v.Ended)
		},
		FailedOver: func(_ context.Context, v store.FailedOver) { l.add("failed over %s healed=%t", v.Kind, v.Healed) },
		Unwritten:  func(_ context.Context, v store.Unwritten) { l.add("unwritten %s", v.Kind) },
	}
}

func (l *told) add(format string, args ...any) { *l = append(*l, fmt.Sprintf(format, args...)) }

// countStory is of one machine that watches itself, and another one, which share a record "alice".
type countStory struct {
	t     *testing.T
	d     *database
	f     *store.Fleet
	other *store.Fleet
}

// inUpdate has the machine update the record, with what happens meanwhile.
func (s *countStory) inUpdate(terms *store.Terms, meanwhile func() ([]byte, error)) error {
	return s.f.Update(store.WithTerms(s.t.Context(), terms), "alice", func([]byte) ([]byte, error) { return meanwhile() })
}

// quickly has the other machine write over what the first one is about to; nil ends it.
func (s *countStory) quickly(record []byte) {
	s.t.Helper()
	err := s.other.Update(store.WithTerms(s.t.Context(), &store.Terms{Quick: true}), "alice", func([]byte) ([]byte, error) { return record, nil })
	if err != nil {
		s.t.Error(err)
	}
}

// dies has a machine die in the middle of an update, as far as others can tell.
func (s *countStory) dies(f *store.Fleet) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer func() { _ = recover() }()
		_ = f.Update(s.t.Context(), "alice", func([]byte) ([]byte, error) { panic("it dies") })
	}()
	<-gone
}

// failsOver has the database show what it had before f.
func (s *countStory) failsOver(f func()) {
	s.t.Helper()
	standby := rowsOf(s.t, s.d)
	f()
	for _, row := range standby {
		rewrite(s.t, s.d, row.ID, func(now *store.Row) { *now = *row })
	}
}

// Each thing that is counted, by itself: nothing else is, and the trace is told the same.
func TestFleetCounts(t *testing.T) {
	errLost := errors.New("the answer was lost")
	for what, c := range map[string]struct {
		happens func(s *countStory)
		counts  store.FleetCounts
		told    string
	}{
		"nothing": {happens: func(s *countStory) {
			put(s.t, s.f, "alice", "second")
			put(s.t, s.other, "alice", "third")
			if err := s.inUpdate(&store.Terms{}, func() ([]byte, error) { return nil, errLost }); err != errLost {
				s.t.Error(err)
			}
			want(s.t, s.f, "alice", "third")
		}},
		"another machine died": {
			happens: func(s *countStory) {
				s.dies(s.other)
				time.Sleep(150 * time.Second)
				put(s.t, s.f, "alice", "second")
				put(s.t, s.f, "alice", "third") // which is not in doubt
			},
			counts: store.FleetCounts{TakeOvers: 1, InDoubt: 1},
			told:   "took over record after 2m0s", // since the lease has ended
		},
		"this one does not know what it has done": {
			happens: func(s *countStory) {
				_ = s.inUpdate(&store.Terms{Unsettled: true}, func() ([]byte, error) { return nil, errLost })
				put(s.t, s.f, "alice", "second")
			},
			counts: store.FleetCounts{InDoubt: 1},
		},
		"late, and the other one's is to stay": {
			happens: func(s *countStory) {
				if err := s.inUpdate(&store.Terms{}, func() ([]byte, error) { s.quickly([]byte("faster")); return []byte("late"), nil }); !errors.Is(err, store.ErrFenced) {
					s.t.Error(err)
				}
			},
			counts: store.FleetCounts{Fenced: 1}, told: "fenced record written=false ended=false",
		},
		"late, and better": {
			happens: func(s *countStory) {
				over := &store.Terms{Over: func([]byte) bool { return true }}
				if err := s.inUpdate(over, func() ([]byte, error) { s.quickly([]byte("faster")); return []byte("late"), nil }); err != nil {
					s.t.Error(err)
				}
			},
			counts: store.FleetCounts{Fenced: 1, FencedOver: 1}, told: "fenced record written=true ended=false",
		},
		"late, and ended": {
			happens: func(s *countStory) {
				if err := s.inUpdate(&store.Terms{}, func() ([]byte, error) { s.quickly(nil); return []byte("late"), nil }); !errors.Is(err, store.ErrEnded) {
					s.t.Error(err)
				}
			},
			counts: store.FleetCounts{Fenced: 1, Ended: 1}, told: "fenced record written=false ended=true",
		},
		"late, and what there is cannot be read": {
			happens: func(s *countStory) {
				stranger, err := store.NewFleet(s.d, namesKey, [][]byte{nextKey, sealKey}, nil)
				if err != nil {
					s.t.Fatal(err)
				}
				s.other = stranger
				if err := s.inUpdate(&store.Terms{}, func() ([]byte, error) { s.quickly([]byte("by a key that is new")); return []byte("late"), nil }); !errors.Is(err, store.ErrWrongKey) {
					s.t.Error(err)
				}
			},
			counts: store.FleetCounts{Fenced: 1}, told: "fenced record written=false ended=false",
		},
		"the store has failed over, and is given back what it lost": {
			happens: func(s *countStory) {
				s.failsOver(func() { put(s.t, s.f, "alice", "second") })
				want(s.t, s.f, "alice", "second")
			},
			counts: store.FleetCounts{FailedOver: 1, Healed: 1}, told: "failed over record healed=true",
		},
		"the store has failed over, and what it lost may have ended": {
			happens: func(s *countStory) {
				s.failsOver(func() {
					if err := s.inUpdate(&store.Terms{Life: time.Hour}, func() ([]byte, error) { return []byte("second"), nil }); err != nil {
						s.t.Error(err)
					}
				})
				if _, err := s.f.Load(s.t.Context(), "alice"); !errors.Is(err, store.ErrLags) {
					s.t.Error(err)
				}
			},
			counts: store.FleetCounts{FailedOver: 1}, told: "failed over record healed=false",
		},
		"a write fails": {
			happens: func(s *countStory) {
				if err := s.inUpdate(&store.Terms{}, func() ([]byte, error) { s.d.failing.Store(true); return []byte("kept"), nil }); !errors.Is(err, store.ErrNoAnswer) {
					s.t.Error(err)
				}
				want(s.t, s.f, "alice", "kept")
			},
			counts: store.FleetCounts{Unwritten: 1}, told: "unwritten record",
		},
		"a write comes late, and why cannot be read": {
			happens: func(s *countStory) {
				err := s.inUpdate(&store.Terms{}, func() ([]byte, error) {
					s.quickly([]byte("faster"))
					s.d.falls.Store(true)
					return []byte("kept"), nil
				})
				if !errors.Is(err, store.ErrNoAnswer) {
					s.t.Error(err)
				}
				s.d.silent.Store(false)
			},
			counts: store.FleetCounts{Unwritten: 1}, told: "unwritten record",
		},
		"polls are late": {
			happens: func(s *countStory) {
				const interval = 5 * time.Second
				poll := func() ([]byte, error) { return []byte("pending"), nil }
				if err := s.inUpdate(&store.Terms{Next: interval}, poll); err != nil {
					s.t.Error(err)
				}
				if err := s.inUpdate(&store.Terms{IfDue: true, Interval: interval, Next: interval}, poll); !isNotDue(err, interval) {
					s.t.Errorf("too early: %v", err)
				}
				for _, late := range []time.Duration{2 * time.Second, 5 * time.Second, 0, time.Second} {
					time.Sleep(interval + late)
					if err := s.inUpdate(&store.Terms{IfDue: true, Interval: interval, Next: interval}, poll); err != nil {
						s.t.Error(err)
					}
				}
			},
			counts: store.FleetCounts{Late: 4, LateBy: 8 * time.Second, MostLateBy: 5 * time.Second},
			told:   "late record by 2s, late record by 5s, late record by 0s, late record by 1s",
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told told
				d := newDatabase(nil)
				s := &countStory{t: t, d: d, f: aFleet(t, d, &store.FleetOptions{Trace: told.trace()}), other: aFleet(t, d, nil)}
				put(t, s.f, "alice", "first")
				c.happens(s)
				if got := s.f.Counts(); got != c.counts {
					t.Errorf("counted %+v; want %+v", got, c.counts)
				}
				if got := strings.Join(told, ", "); got != c.told {
					t.Errorf("told %q; want %q", got, c.told)
				}
			})
		})
	}
}

// Each count is written by a name of its own, and parts of one add up.
func TestFleetCounts_WriteTo(t *testing.T) {
	c := store.FleetCounts{
		TakeOvers: 1, InDoubt: 2, Fenced: 9, FencedOver: 3, Ended: 4, FailedOver: 11, Healed: 5,
		Unwritten: 7, Late: 8, LateBy: 1500 * time.Millisecond, MostLateBy: 250 * time.Millisecond,
	}
	var b bytes.Buffer
	if n, err := c.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Errorf("%d, %v", n, err)
	}
	var samples []string
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "# ") {
			samples = append(samples, line)
		}
	}
	want := `lazyauth_fleet_takeovers_total 1
lazyauth_fleet_in_doubt_total 2
lazyauth_fleet_late_writes_total{came_to="written"} 3
lazyauth_fleet_late_writes_total{came_to="ended"} 4
lazyauth_fleet_late_writes_total{came_to="dropped"} 2
lazyauth_fleet_lost_records_total{came_to="written_back"} 5
lazyauth_fleet_lost_records_total{came_to="left"} 6
lazyauth_fleet_unwritten_total 7
lazyauth_fleet_lateness_seconds_sum 1.5
lazyauth_fleet_lateness_seconds_count 8
lazyauth_fleet_most_lateness_seconds 0.25
`
	if got := strings.Join(samples, ""); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
