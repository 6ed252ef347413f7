package main

import (
	"context"
	"testing"
)

// A load ends when its context does, and when everybody has signed in: nobody waits for people who never come.
func TestLoad_Ends(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for name, c := range map[string]struct {
		ctx    context.Context //nolint:containedctx // of a test
		people int
	}{
		"interrupted":    {interrupted, 1000},
		"nobody is left": {t.Context(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := &round{processes: &processes{public: "http://127.0.0.1:1"}} // where nobody listens
			l := newLoad(r, users(c.people))
			l.begin(c.ctx)
			l.going.Wait()
			if l.tally.calls > 3*c.people || l.tally.signIns != 0 {
				t.Errorf("%d calls, and %d sign-ins", l.tally.calls, l.tally.signIns)
			}
		})
	}
}
