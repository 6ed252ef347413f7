package pending_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A silent store answers nothing once it is so, until what asks gives up.
type silent struct {
	store.Store
	from time.Time
}

func (s *silent) Unwrap() store.Store { return s.Store }

func (s *silent) waits(ctx context.Context) error {
	if time.Now().Before(s.from) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *silent) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.waits(ctx); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, key)
}

func (s *silent) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if err := s.waits(ctx); err != nil {
		return err
	}
	return s.Store.Update(ctx, key, change)
}

// inSilence has many people wait for sign-ins of which no poll can be made soon, since the store falls silent
// after this long; each tells how long its end took after it could have known.
func inSilence(t *testing.T, s store.Store, after time.Duration, ends func(cancel func(), codeEnds time.Time) time.Time) (took time.Duration, errs []error) {
	t.Helper()
	const people, atATime = 320, 32
	p := starts(t, fakeas.New(&fakeas.Options{Interval: 5 * time.Second}), &silent{s, time.Now().Add(after)}, nil)
	p.asked.Failed = func(error) {}
	p.asked.Schedule = schedule.New(atATime)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := make(chan error, people)
	var codeEnds time.Time
	for n := range people {
		p.asked.Key = fmt.Sprint("flight ", n)
		a := p.begins()
		a.Start(ctx, nil, func(_ *oauth.Token, err error) { results <- err })
		codeEnds = a.Expires
	}
	at := ends(cancel, codeEnds)
	for range people {
		errs = append(errs, <-results)
	}
	return time.Since(at), errs
}

// Who closes a server does not wait for one of its sign-ins after the other, in front of a store that does not answer.
func TestWait_ManyEndInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, _ := inSilence(t, machine(t, store.NewSharedMemory(nil)), 10*time.Second, func(cancel func(), _ time.Time) time.Time {
			time.Sleep(15 * time.Second)
			cancel()
			return time.Now()
		})
		if took > 7*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// People whose codes have expired are told so, though the store does not answer for any of them.
func TestWait_ManyExpireInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, errs := inSilence(t, machine(t, store.NewSharedMemory(nil)), time.Minute, func(_ func(), ends time.Time) time.Time {
			time.Sleep(time.Until(ends))
			return ends
		})
		for _, err := range errs {
			if !errors.Is(err, device.ErrExpired) {
				t.Error(err)
			}
		}
		if took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
