package records_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// What is decided is done, and the record is what it was if nothing is.
func TestRecords_Decisions(t *testing.T) {
	r := records.New(store.Memory())
	has := func(want string) {
		t.Helper()
		if got, err := r.Load(t.Context(), "a"); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	for _, step := range []struct {
		old    string
		decide records.Decision
		want   string
	}{
		{"", records.Remove, ""},
		{"", records.Put([]byte("one")), "one"},
		{"one", records.Decision{}, "one"},
		{"one", records.Put([]byte("two")), "two"},
		{"two", records.Remove, ""},
	} {
		asked, err := r.Update(t.Context(), "a", func(old []byte) records.Decision {
			if string(old) != step.old {
				t.Errorf("decided on %q, want %q", old, step.old)
			}
			return step.decide
		})
		if !asked || err != nil {
			t.Errorf("asked %t, %v", asked, err)
		}
		has(step.want)
	}
}

// A silent store is a Slow one, and is asked no more than a few times at once.
func TestRecords_Silence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &silent{Store: store.Memory(), end: make(chan struct{})}
		defer synctest.Wait()
		defer close(s.end)
		r := records.New(s)
		for range 6 {
			began := time.Now()
			_, err := r.Load(t.Context(), "a")
			if _, slow := errors.AsType[*records.Slow](err); !slow || time.Since(began) != 20*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		if n := s.calls.Load(); n != 4 {
			t.Errorf("%d calls", n)
		}
		asked, err := r.Update(t.Context(), "a", func([]byte) records.Decision { t.Error("decided"); return records.Decision{} })
		if _, slow := errors.AsType[*records.Slow](err); !slow || asked {
			t.Errorf("asked %t, %v", asked, err)
		}
	})
}

type silent struct {
	store.Store
	end   chan struct{}
	calls atomic.Int32
}

func (s *silent) Load(context.Context, string) ([]byte, error) {
	s.calls.Add(1)
	<-s.end
	return nil, errors.New("it has ended")
}

// A decision that panics is an error of this update, and changes nothing.
func TestRecords_Panic(t *testing.T) {
	r := records.New(store.Memory())
	asked, err := r.Update(t.Context(), "a", func([]byte) records.Decision { panic("a decision") })
	if _, panicked := errors.AsType[*guard.Panic](err); !panicked || !asked {
		t.Errorf("asked %t, %v", asked, err)
	}
	if got, err := r.Load(t.Context(), "a"); got != nil || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
