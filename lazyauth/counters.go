package lazyauth

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
)

// Counters count events, for whatever a program exports its metrics with. The zero value
// is ready to use, and safe for concurrent use. It is an [expvar.Var].
//
// There is a counter for each hook of [Trace], in lower case. Some are told apart further:
// "prompted.url", "prompted.text" and so on by [PromptedInfo.Channel], "polled.pending" and so on
// by [PolledInfo.Outcome], "unattended.exchange" and so on by [UnattendedInfo].How with
// "unattended.refused" and "unattended.failed", "redirected.came" and so on by [RedirectedInfo.Outcome], "failed.declined" and so on by [FailedInfo.Reason]. "seconds" is the sum of
// what granted flights took, rounded down for each: how long people needed.
//
// [expvar.Var]: https://pkg.go.dev/expvar#Var
type Counters struct {
	mu     sync.Mutex
	counts map[string]int64
}

// Trace returns the trace that counts.
func (c *Counters) Trace() *Trace {
	return &Trace{
		Waiting:      func(context.Context, WaitingInfo) { c.add("waiting", 1) },
		Prompted:     func(_ context.Context, i PromptedInfo) { c.add("prompted."+i.Channel, 1) },
		ClientChosen: func(_ context.Context, i ClientChosenInfo) { c.add("clientchosen."+i.Source, 1) },
		Registered: func(_ context.Context, i RegisteredInfo) {
			if i.Err != nil {
				c.add("registered.failed", 1)
				return
			}
			c.add("registered", 1)
		},
		Polled:     func(_ context.Context, i PolledInfo) { c.add("polled."+i.Outcome, 1) },
		Redirected: func(_ context.Context, i RedirectedInfo) { c.add("redirected."+i.Outcome, 1) },
		Granted: func(_ context.Context, i GrantedInfo) {
			c.add("granted", 1)
			c.add("seconds", int64(i.Took.Seconds()))
		},
		Refreshed: func(context.Context, RefreshedInfo) { c.add("refreshed", 1) },
		Unattended: func(_ context.Context, i UnattendedInfo) {
			switch {
			case i.Refused:
				c.add("unattended.refused", 1)
			case i.Err != nil:
				c.add("unattended.failed", 1)
			default:
				c.add("unattended."+i.How, 1)
			}
		},
		Parked:         func(context.Context, ParkedInfo) { c.add("parked", 1) },
		Resumed:        func(context.Context, ParkedInfo) { c.add("resumed", 1) },
		StoreFailed:    func(context.Context, StoreFailedInfo) { c.add("storefailed", 1) },
		Unidentified:   func(context.Context, UnidentifiedInfo) { c.add("unidentified", 1) },
		Refused:        func(context.Context, RefusedInfo) { c.add("refused", 1) },
		Warned:         func(context.Context, WarnedInfo) { c.add("warned", 1) },
		CallbackFailed: func(context.Context, CallbackFailedInfo) { c.add("callbackfailed", 1) },
		Failed:         func(_ context.Context, i FailedInfo) { c.add("failed."+string(i.Reason), 1) },
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
