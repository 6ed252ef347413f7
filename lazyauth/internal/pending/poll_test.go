package pending_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Many sign-ins are polled for as many at a time as the schedule runs: where machines share the store a poll is
// made within an update of it, and does not wait for the polls of others.
func TestWait_ManyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people, atATime = 160, 32
		as := fakeas.New(&fakeas.Options{Interval: 5 * time.Second})
		as.Script(fakeas.Poll, fakeas.Pass().After(time.Second).Times(-1)) // in two of which nobody is late
		s := machine(t, store.NewSharedMemory(nil))
		p, polls := starts(t, as, s, nil), schedule.New(atATime)
		waiting := make(chan result)
		for n := range people {
			p.asked.Key, p.asked.Schedule = fmt.Sprint("flight ", n), polls
			p.begins().Start(t.Context(), nil, func(token *oauth.Token, err error) { waiting <- result{token, err} })
		}
		time.Sleep(time.Minute)
		for {
			codes := as.Waiting()
			if len(codes) == 0 {
				break
			}
			for _, code := range codes {
				approves(t, as, code.UserCode)
			}
		}
		for range people {
			if r := <-waiting; r.err != nil {
				t.Error(r.err)
			}
		}
		if most := s.Store.(*store.Fleet).Counts().MostLateBy; most > people/atATime*time.Second {
			t.Errorf("a poll was %v late", most)
		}
	})
}
