package lazyauth

import (
	"encoding/json"
	"maps"
	"sync"
)

// Counters count events, for whatever a program exports its metrics with. The zero value
// is ready to use, and safe for concurrent use. It is an [expvar.Var].
//
// There is a counter for each hook of [Trace], in lower case. Some are told apart further:
// "prompted.url", "prompted.text" and so on by [Event.Channel], "polled.pending" and so on
// by [Event.Outcome], "failed.declined" and so on by [Event.Reason]. "seconds" is the sum of
// what granted flights took, rounded down for each: how long people needed.
//
// [expvar.Var]: https://pkg.go.dev/expvar#Var
type Counters struct {
	mu     sync.Mutex
	counts map[string]int64
}

// Trace returns the trace that counts.
func (c *Counters) Trace() *Trace {
	count := func(name string, kind func(Event) string) func(Event) {
		return func(e Event) {
			name := name
			if kind != nil {
				if k := kind(e); k != "" {
					name += "." + k
				}
			}
			c.add(name, 1)
		}
	}
	granted := count("granted", nil)
	return &Trace{
		Waiting:  count("waiting", nil),
		Prompted: count("prompted", func(e Event) string { return e.Channel }),
		Polled:   count("polled", func(e Event) string { return e.Outcome }),
		Granted: func(e Event) {
			granted(e)
			c.add("seconds", int64(e.Took.Seconds()))
		},
		Refreshed:    count("refreshed", nil),
		Parked:       count("parked", nil),
		Resumed:      count("resumed", nil),
		StoreFailed:  count("storefailed", nil),
		Unidentified: count("unidentified", nil),
		Failed:       count("failed", func(e Event) string { return string(e.Reason) }),
	}
}

func (c *Counters) add(name string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int64)
	}
	c.counts[name] += n
}

// All returns the counters that are not zero.
func (c *Counters) All() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]int64, len(c.counts))
	maps.Copy(all, c.counts)
	return all
}

// String returns the counters as JSON.
func (c *Counters) String() string {
	text, err := json.Marshal(c.All())
	if err != nil {
		panic(err) // a map of numbers
	}
	return string(text)
}
