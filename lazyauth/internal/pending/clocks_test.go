package pending_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A skewed store is that of a machine whose clock is ahead: the times in records are as much earlier for it as
// they would be by that clock.
type skewed struct {
	store.Store
	ahead time.Duration
}

func (s skewed) Unwrap() store.Store { return s.Store }

func (s skewed) Load(ctx context.Context, key string) ([]byte, error) {
	record, err := s.Store.Load(ctx, key)
	return shifted(record, -s.ahead), err
}

func (s skewed) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return s.Store.Update(ctx, key, func(old []byte) ([]byte, error) {
		record, err := change(shifted(old, -s.ahead))
		return shifted(record, s.ahead), err
	})
}

// shifted returns a record with all of its times moved.
func shifted(record []byte, by time.Duration) []byte {
	if record == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(record))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		panic(err)
	}
	text, err := json.Marshal(moved(v, by))
	if err != nil {
		panic(err)
	}
	return text
}

func moved(v any, by time.Duration) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = moved(v[name], by)
		}
	case []any:
		for n := range v {
			v[n] = moved(v[n], by)
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil && !at.IsZero() {
			return at.Add(by).Format(time.RFC3339Nano)
		}
	}
	return v
}

// A former store is that of a release that says nothing of when a record is due.
type former struct{ store.Store }

func (s former) Unwrap() store.Store { return s.Store }

func (s former) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return s.Store.Update(store.WithTerms(ctx, &store.Terms{}), key, change)
}

// A sign-in of a release by which no record was ever due goes on beside it, and without it.
func TestWait_NeverDue(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		t.Run(fmt.Sprint("the former one goes on: ", goesOn), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, rows := fakeas.New(&fakeas.Options{Interval: 5 * time.Second}), store.NewSharedMemory(nil)
				a, b := starts(t, as, former{machine(t, rows)}, nil), starts(t, as, machine(t, rows), nil)
				first := a.begins()
				if goesOn {
					a.waits(t.Context(), first)
				}
				later(12 * time.Second)
				two := b.waits(t.Context(), b.begins())
				later(time.Minute)
				approves(t, as, first.UserCode)
				if goesOn {
					later(time.Minute)
					a.brought.Store(true)
					b.brought.Store(true)
				}
				if r := <-two; r.token == nil && !errors.Is(r.err, pending.ErrElsewhere) || !goesOn && r.err != nil {
					t.Error(r.err)
				}
				for _, v := range as.Violations() {
					t.Errorf("violation: %v", v)
				}
				if n := as.Count(fakeas.Poll, ""); n < 10 {
					t.Errorf("%d polls", n)
				}
			})
		})
	}
}

// Machines whose clocks differ by a minute poll no earlier than the server wants: what is due is so by the
// clock of the store.
func TestWait_ClocksDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{time.Minute, -time.Minute, 3 * time.Second} {
		t.Run(fmt.Sprint("ahead by ", ahead), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as, rows := fakeas.New(&fakeas.Options{Interval: 5 * time.Second}), store.NewSharedMemory(nil)
				a, b := starts(t, as, machine(t, rows), nil), starts(t, as, skewed{machine(t, rows), ahead}, nil)
				first := a.begins()
				one := a.waits(t.Context(), first)
				later(12 * time.Second)
				two := b.waits(t.Context(), b.begins())
				later(3 * time.Minute)
				polls := as.Count(fakeas.Poll, "")
				approves(t, as, first.UserCode)
				tokens := 0
				for _, done := range []<-chan result{one, two} {
					r := <-done
					if r.token != nil {
						tokens++
					}
					if r.token == nil && r.err == nil {
						t.Error("nothing has come of it")
					}
					first.End(t.Context(), pending.Outcome{Kept: true})
					a.brought.Store(true)
					b.brought.Store(true)
				}
				if tokens == 0 {
					t.Error("nobody has the token")
				}
				for _, v := range as.Violations() {
					t.Errorf("violation: %v", v)
				}
				if polls < 30 || polls > 39 { // in 192 s
					t.Errorf("%d polls", polls)
				}
			})
		})
	}
}
