package pending_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// readOnly is a store that can be read and not written, once that is set.
type readOnly struct {
	store.Store
	on atomic.Bool
}

func (s *readOnly) Unwrap() store.Store { return s.Store }

func (s *readOnly) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.on.Load() {
		return store.ErrUnwritable
	}
	return s.Store.Update(ctx, key, change)
}

// A process has polled on in front of a store that could not be written, has used the code up, and is gone. The
// next one cannot know: to it the code was used by an answer that was lost, which is no fault of the person's
// nor of the server's, and it does not join that flight a second time.
func TestWait_UsedWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as, s := fakeas.New(nil), &readOnly{Store: frequent{store.Memory()}}
		a := starts(t, as, s, nil)
		a.asked.Failed = func(error) {}
		first := a.begins()
		waiting := a.waits(t.Context(), first)
		later(7 * time.Second)
		s.on.Store(true)
		approves(t, as, first.UserCode)
		if r := <-waiting; r.err != nil {
			t.Fatal(r.err)
		}
		later(time.Minute)
		b := starts(t, as, s, nil)
		b.asked.Failed = func(error) {}
		second := b.begins()
		if r := <-b.waits(t.Context(), second); !errors.Is(r.err, device.ErrInterrupted) {
			t.Errorf("%v", r.err)
		}
		if again := b.begins(); again.UserCode == first.UserCode {
			t.Error("the person is shown a code that is used")
		}
	})
}
