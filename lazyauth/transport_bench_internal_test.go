package lazyauth

// These benchmarks are inside the package to reach a call without a server
// around it, whose JSON would hide what is measured.

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// answering is a RoundTripper that costs next to nothing.
type answering struct{ res *http.Response }

func (a answering) RoundTrip(*http.Request) (*http.Response, error) { return a.res, nil }

// plain does what a hand-written transport does: it sets the header on a copy
// of the request.
type plainTransport struct {
	token string
	next  http.RoundTripper
}

func (p plainTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	clone := req.Clone(req.Context())
	clone.Header.Set("Authorization", "Bearer "+p.token)
	return p.next.RoundTrip(clone)
}

// BenchmarkTransport measures an authorized request through the transport, as a
// multiple of one through a plain transport that sets the same header; the two
// run in turns.
func BenchmarkTransport(b *testing.B) {
	next := answering{&http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}}
	auth, err := New(Service{
		Name: "Notes", Issuer: "https://as.example.test", ClientID: "c", API: []string{"https://api.example.test"},
	}, &Options{Transport: next})
	if err != nil {
		b.Fatal(err)
	}
	defer auth.Close()
	auth.local.grant.Store(auth.newGrant(&device.Token{Access: "token", Scopes: scopes.Of("notes:read", "profile")}, false))
	g := auth.newGate("list_notes", scopes.Of("notes:read"))
	c, err := g.admit(b.Context(), &mcp.CallToolRequest{Session: new(mcp.ServerSession), Params: &mcp.CallToolParamsRaw{Name: "list_notes"}})
	if err != nil {
		b.Fatal(err)
	}
	ours, theirs := transport{c}, plainTransport{"token", next}
	req, err := http.NewRequestWithContext(c, http.MethodGet, "https://api.example.test/notes", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	send := func(rt http.RoundTripper) {
		if res, err := rt.RoundTrip(req); err != nil || res.StatusCode != 200 {
			b.Fatal(res, err)
		}
	}
	const batch = 256
	var ratios []float64
	for b.Loop() {
		began := time.Now()
		for range batch {
			send(theirs)
		}
		middle := time.Now()
		for range batch {
			send(ours)
		}
		ratios = append(ratios, float64(time.Since(middle))/float64(middle.Sub(began)))
	}
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratios[len(ratios)/2], "x-plain")
	b.ReportMetric(testing.AllocsPerRun(1000, func() { send(ours) }), "allocs/request")
	b.ReportMetric(testing.AllocsPerRun(1000, func() { send(theirs) }), "plain-allocs/request")
}

// BenchmarkPark parks many handlers and reports what each costs while it is
// parked, in bytes of heap and stack and in goroutines, and what is left of
// that when all have ended.
func BenchmarkPark(b *testing.B) {
	const calls = 1000
	var bytes, goroutines, leftBytes, leftGoroutines float64
	for b.Loop() {
		auth, err := New(Service{
			Name: "Notes", Issuer: "https://as.example.test", ClientID: "c", API: []string{"https://api.example.test"},
		}, &Options{MaxCalls: 16 * calls})
		if err != nil {
			b.Fatal(err)
		}
		g := auth.newGate("saga", scopes.Of("a"))
		session := modernSession(b)
		auth.session.Store(session)
		auth.local.grant.Store(auth.newGrant(&device.Token{Access: "token", Scopes: scopes.Of("a")}, false))

		// A flight that has its prompt and waits for the person, of which the
		// prompt goes out again and again: every handler is parked.
		f := newFlight(auth.local.owner, scopes.Of("a", "b"), "saga")
		f.prompt = elicit.Prompt{Service: "Notes", URL: "https://as.example.test/device", UserCode: "WDJB-MJHT", Expires: time.Now().Add(time.Hour)}
		close(f.ready)
		auth.local.flight = f

		before := measure()
		held := make([]*held, calls)
		for n := range held {
			at := attendance{ctx: b.Context(), arrived: auth.now(), req: &mcp.CallToolRequest{
				Session: session, Params: &mcp.CallToolParamsRaw{Name: "saga", Meta: mcp.Meta{
					mcp.MetaKeyProtocolVersion:    elicit.FirstModern,
					mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
				}},
			}}
			h := newHeld(g, auth.local, at)
			held[n] = h
			auth.local.board = nil
			out := make(chan struct{})
			go func() {
				defer close(out)
				h.enter(&h.first)
				h.begin(&h.first, func(ctx context.Context, _ *mcp.CallToolRequest) outcome {
					return outcome{err: Require(ctx, scopes.Of("b"))}
				})
				h.leave(&h.first, nil)
			}()
			<-out
			for p := range h.bell { // what an attending request does
				if p != nil {
					break
				}
			}
		}
		during := measure()
		bytes += float64(during.bytes-before.bytes) / calls
		goroutines += float64(during.goroutines-before.goroutines) / calls

		if err := auth.Close(); err != nil {
			b.Fatal(err)
		}
		f.end()
		clear(held)
		after := measure()
		leftBytes += float64(after.bytes-before.bytes) / calls
		leftGoroutines += float64(after.goroutines - before.goroutines)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bytes/float64(b.N), "parked-bytes/call")
	b.ReportMetric(goroutines/float64(b.N), "parked-goroutines/call")
	b.ReportMetric(leftBytes/float64(b.N), "left-bytes/call")
	b.ReportMetric(leftGoroutines/float64(b.N), "left-goroutines")
}

// modernSession is a session with a host of the newer era.
func modernSession(b *testing.B) *mcp.ServerSession {
	here, there := mcp.NewInMemoryTransports()
	session, err := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil).Connect(b.Context(), there, nil)
	if err != nil {
		b.Fatal(err)
	}
	host, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(b.Context(), here, &mcp.ClientSessionOptions{ProtocolVersion: elicit.FirstModern})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { host.Close() })
	return session
}

type footprint struct {
	bytes      int64
	goroutines int
}

func measure() footprint {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{int64(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()}
}
