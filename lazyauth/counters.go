package lazyauth

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/internal/exposition"
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

// WriteTo writes the counters that are not zero in the text format that Prometheus reads, version 0.0.4: "prompted.url" is
// lazyauth_prompted_total{kind="url"}, and "seconds" is lazyauth_granted_seconds_total. Serve them where callers do not get to:
//
//	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
//		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
//		_, _ = counters.WriteTo(w)
//	})
func (c *Counters) WriteTo(w io.Writer) (int64, error) {
	counts := c.All()
	samples := make(map[string][]exposition.Sample)
	for _, counter := range slices.Sorted(maps.Keys(counts)) {
		name, kind, ok := strings.Cut(counter, ".")
		s := exposition.Sample{Is: float64(counts[counter])}
		if ok {
			s.Label, s.Value = "kind", kind
		}
		samples[name] = append(samples[name], s)
	}
	var text exposition.Text
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		metric := name
		if name == "seconds" {
			metric = "granted_seconds"
		}
		text.Add("lazyauth_"+metric+"_total", "counter", counterHelp[name], samples[name]...)
	}
	return text.WriteTo(w)
}

// counterHelp says for operators what is counted.
var counterHelp = map[string]string{
	"waiting":        "Calls that began to wait for a sign-in.",
	"prompted":       "Prompts that were shown, by channel.",
	"clientchosen":   "Sign-ins, by where the client came from as which they are asked for.",
	"registered":     "Registrations of this program as a client; failed: those that were refused.",
	"polled":         "Answers to polls, by what they said.",
	"redirected":     "Browsers that came back, or were sent on, by what came of it.",
	"granted":        "Sign-ins that succeeded.",
	"seconds":        "How long people needed for them, in all.",
	"refreshed":      "Grants that were refreshed.",
	"unattended":     "Grants got without a person, by how; refused and failed: those that were not.",
	"parked":         "Handlers that began to wait for a person in their middle.",
	"resumed":        "Those that went on.",
	"storefailed":    "Failures of the store of grants.",
	"unidentified":   "Sign-ins of which could not be learnt whose they are.",
	"refused":        "Requests that the API refused for what cannot be met.",
	"warned":         "Things that are probably not as the program's author meant them: see the log.",
	"callbackfailed": "Functions of the program's own that panicked, or did not return.",
	"failed":         "Sign-ins and refreshes that failed or were refused, by reason.",
}
