package lazyauth

// This benchmark is inside the package to reach suspended calls without a server around
// them, whose JSON would hide what is measured.

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// BenchmarkPark suspends many calls and reports what each costs while it is
// suspended, in bytes of heap and stack and in goroutines, and what is left of
// that when all have ended.
func BenchmarkPark(b *testing.B) {
	const calls = 1000
	var bytes, goroutines, leftBytes, leftGoroutines float64
	for b.Loop() {
		as := fakeas.New(&fakeas.Options{TokenLifetime: 24 * time.Hour, Interval: time.Second})
		auth, err := New(Service{
			Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
		}, &Options{
			MaxCalls: 16 * calls, Transport: as.Transport(),
			Principal: func(context.Context, *mcp.CallToolRequest) (Principal, error) { return Principal{}, nil },
		})
		if err != nil {
			b.Fatal(err)
		}
		show := func(_ context.Context, p elicit.Prompt) error { return as.Approve(p.UserCode) }
		if err := auth.Authorize(b.Context(), Principal{}, scopes.Of("notes:read"), show); err != nil {
			b.Fatal(err)
		}
		g := auth.newGate("saga", scopes.Of("notes:read"))
		sessions := make([]*mcp.ServerSession, calls)
		for n := range sessions { // each is prompted by itself, so that every call is suspended
			sessions[n] = modernSession(b)
		}

		before := measure()
		all := make([]*suspended, calls)
		for n := range all {
			s := newSuspended(g, auth.local, nil, asking.Request{Ctx: b.Context(), Arrived: auth.now(), Call: &mcp.CallToolRequest{
				Session: sessions[n], Params: &mcp.CallToolParamsRaw{Name: "saga", Meta: mcp.Meta{
					mcp.MetaKeyProtocolVersion:    asking.FirstModern,
					mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
				}},
			}})
			all[n] = s
			out := make(chan struct{})
			go func() {
				defer close(out)
				s.enter(&s.first)
				s.begin(&s.first, func(ctx context.Context, _ *mcp.CallToolRequest) outcome {
					return outcome{err: Require(ctx, scopes.Of("notes:write"))}
				})
				s.leave(&s.first, nil)
			}()
			<-out
			(<-s.toRequest)(&s.first) // what a request that serves the call does
		}
		during := measure()
		bytes += float64(during.bytes-before.bytes) / calls
		goroutines += float64(during.goroutines-before.goroutines) / calls

		if err := auth.Close(); err != nil {
			b.Fatal(err)
		}
		clear(all)
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
	host, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(b.Context(), here, &mcp.ClientSessionOptions{ProtocolVersion: asking.FirstModern})
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
