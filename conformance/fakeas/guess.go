package fakeas

import (
	"net"
	"net/http"
	"slices"
	"time"
)

// visitor is who guesses codes: an address without its port.
func visitor(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// guesses counts wrong user codes by address (RFC 8628 §5.1): five a minute,
// so that a code of 34 bits and ten minutes is found once in half a billion
// times.
type guesses map[string][]time.Time

const (
	guessesAllowed = 5
	guessWindow    = time.Minute
)

// wait returns how long an address has to wait for its next guess.
func (g guesses) wait(from string, now time.Time) time.Duration {
	recent := g.recent(from, now)
	if len(recent) < guessesAllowed {
		return 0
	}
	return recent[0].Add(guessWindow).Sub(now)
}

// wrong counts a wrong code.
func (g guesses) wrong(from string, now time.Time) {
	if len(g) > 1024 {
		for other := range g {
			if len(g.recent(other, now)) == 0 {
				delete(g, other)
			}
		}
	}
	g[from] = append(g.recent(from, now), now)
}

func (g guesses) recent(from string, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(g[from]), func(t time.Time) bool {
		return now.Sub(t) >= guessWindow
	})
}
