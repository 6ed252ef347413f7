package lazyauth_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// manyCalls is how many calls a benchmark makes at once. With -short, where it is run so that
// it does not rot and nobody reads its figures, these are fewer.
func manyCalls() int {
	if testing.Short() {
		return 1000
	}
	return 10_000
}

func bareCrowd(b testing.TB, era string) *crowd {
	var waiting atomic.Int64
	gate := make(chan struct{})
	server := mcp.NewServer(&mcp.Implementation{Name: "bare"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
		waiting.Add(1)
		select {
		case <-gate:
			return nil, world.Answer{Text: "hello"}, nil
		case <-ctx.Done():
			return nil, world.Answer{}, ctx.Err()
		}
	})
	var opened time.Time
	return newCrowd(b, era, server, crowd{
		waiting: &waiting,
		release: func() { opened = time.Now(); close(gate) },
		from:    func() time.Time { return opened },
		close:   func() {},
	})
}

func gatedCrowd(b testing.TB, era string) *crowd {
	var waiting, token atomic.Int64
	began := time.Now()
	as := fakeas.New(&fakeas.Options{Interval: time.Second})
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
	}, &lazyauth.Options{
		MaxWait: time.Hour,
		Trace:   &lazyauth.Trace{Waiting: func(context.Context, lazyauth.WaitingInfo) { waiting.Add(1) }},
		Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			res, err := as.Transport().RoundTrip(req)
			if err == nil && res.StatusCode == http.StatusOK && strings.HasSuffix(req.URL.Path, "/token") {
				token.Store(int64(time.Since(began)))
			}
			return res, err
		}),
	})
	if err != nil {
		b.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			return nil, world.Answer{Text: "hello"}, nil
		})
	return newCrowd(b, era, server, crowd{
		waiting: &waiting,
		release: func() {
			req, err := as.WaitForRequest(b.Context())
			if err == nil {
				err = as.Approve(req.UserCode)
			}
			if err != nil {
				b.Error(err)
			}
		},
		from:  func() time.Time { return began.Add(time.Duration(token.Load())) },
		close: func() { auth.Close() },
	})
}

type measure struct {
	bytes, goroutines float64
	resume            time.Duration
}

func measured(b testing.TB, c *crowd, waiters int) (m measure) {
	m.bytes, m.goroutines, m.resume = c.run(b, waiters)
	return m
}

// least returns the smallest of what get reads: the run that was disturbed least.
func least(runs []measure, get func(measure) float64) float64 {
	v := get(runs[0])
	for _, m := range runs[1:] {
		v = min(v, get(m))
	}
	return v
}

// A call that waits for a person costs little more than one that waits in a handler of the
// bare SDK, and no goroutine more. Stacks double: one frame too many on the way to the wait,
// or a larger one, adds a third at once, with nothing else to show for it. That is why what
// this way calls is kept out of line (go:noinline, in packages lazyauth, asking and grants).
func TestWaiting_CostsLittleMore(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's memory would be measured")
	}
	const waiters = 1000
	for _, era := range world.Eras {
		t.Run(era, func(t *testing.T) {
			var ours, bare []measure
			var ratio, more float64
			bytes := func(m measure) float64 { return m.bytes }
			goroutines := func(m measure) float64 { return m.goroutines }
			for len(ours) < 2 || len(ours) < 5 && (ratio > 1.2 || more > 0.05) { // what a call costs it costs in each
				bare = append(bare, measured(t, bareCrowd(t, era), waiters))
				ours = append(ours, measured(t, gatedCrowd(t, era), waiters))
				ratio = least(ours, bytes) / least(bare, bytes)
				more = least(ours, goroutines) - least(bare, goroutines)
			}
			t.Logf("%.2f times the memory and %.3f goroutines more, of %d runs", ratio, more, len(ours))
			if ratio > 1.2 {
				t.Errorf("a waiting call has %.2f times the memory of one of the SDK's, %.0f bytes; want at most 1.2", ratio, least(ours, bytes))
			}
			if more > 0.05 {
				t.Errorf("a waiting call has %.2f goroutines more than one of the SDK's", more)
			}
		})
	}
}

// inCrowds measures manyCalls waiting calls of ours and of the bare SDK in turn.
func inCrowds(b *testing.B, report func(b *testing.B, ours, bare []measure)) {
	waiters := manyCalls()
	for _, era := range world.Eras {
		b.Run(map[string]string{world.Legacy: "legacy", world.Modern: "modern"}[era], func(b *testing.B) {
			var ours, bare []measure
			for b.Loop() {
				for range 2 { // the two of a pair under the same conditions
					bare = append(bare, measured(b, bareCrowd(b, era), waiters))
					ours = append(ours, measured(b, gatedCrowd(b, era), waiters))
				}
			}
			report(b, ours, bare)
		})
	}
}

// BenchmarkWaiting reports what a call that waits for a person costs, beside one that
// waits in a handler of the bare SDK: its memory, as a ratio, and the goroutines it has
// more.
func BenchmarkWaiting(b *testing.B) {
	inCrowds(b, func(b *testing.B, ours, bare []measure) {
		bytes := func(m measure) float64 { return m.bytes }
		goroutines := func(m measure) float64 { return m.goroutines }
		b.ReportMetric(least(ours, bytes)/least(bare, bytes), "x-sdk-bytes")
		b.ReportMetric(least(ours, bytes), "B/waiting")
		b.ReportMetric(least(ours, goroutines)-least(bare, goroutines), "goroutines/waiting")
	})
}

// BenchmarkResume reports the time from the token's arrival to the last of 10,000
// resumed calls, beside that from the opening of a channel in the bare SDK.
func BenchmarkResume(b *testing.B) {
	inCrowds(b, func(b *testing.B, ours, bare []measure) {
		resume := func(m measure) float64 { return m.resume.Seconds() }
		b.ReportMetric(least(ours, resume)/least(bare, resume), "x-sdk-resume")
		b.ReportMetric(1e3*least(ours, resume), "ms-resume")
	})
}

// A crowd is one host whose calls wait: for an authorization, or, to compare, for
// nothing but a channel in a handler of the bare SDK.
type crowd struct {
	session *mcp.ClientSession
	waiting *atomic.Int64 // calls that wait
	release func()        // lets them go on, in the background
	from    func() time.Time
	close   func()
}

// settled returns the memory in use, stacks included, and the number of goroutines.
func settled() (uint64, int) {
	n, same := 0, 0
	for range 100 { // until no goroutine has come or gone for a while
		runtime.GC()
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		} else if same++; same == 3 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
}

// run makes so many calls, and returns the memory and the goroutines that each of them adds
// while all wait, and the time from the release to the last result.
func (c *crowd) run(b testing.TB, waiters int) (bytes, goroutines float64, resume time.Duration) {
	memory, before := settled()
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			result, err := c.session.CallTool(b.Context(), &mcp.CallToolParams{Name: "whoami"})
			if err != nil || result.IsError {
				b.Errorf("the call failed: %+v, %v", result, err)
			}
		})
	}
	for began := time.Now(); c.waiting.Load() < int64(waiters); {
		if time.Since(began) > 5*time.Minute {
			b.Fatalf("%d of %d calls wait", c.waiting.Load(), waiters)
		}
		time.Sleep(10 * time.Millisecond) // not a busy wait, which would be measured
	}
	loaded, after := settled()
	c.release()
	wg.Wait()
	resume = time.Since(c.from())
	c.session.Close()
	c.close()
	return float64(loaded-memory) / float64(waiters), float64(after-before) / float64(waiters), resume
}

func newCrowd(b testing.TB, era string, server *mcp.Server, c crowd) *crowd {
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(b.Context(), there, nil); err != nil {
		b.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "host"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	session, err := client.Connect(b.Context(), here, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		b.Fatal(err)
	}
	c.session = session
	return &c
}
