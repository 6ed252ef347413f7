package lazyauth

// The benchmark of the gate is inside the package: through a server, the cost
// of JSON would hide what is measured.

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// The floor is the least that a hand-written server would do for one tool and
// one user: load the token, check its scopes and its expiry, and hand it to
// the handler in the context.
type floor struct {
	token  *oauth2.Token
	scopes uint64
	until  time.Duration
}

type floorKey struct{}

var (
	floorGrant atomic.Pointer[floor]
	floorEpoch = time.Now()
)

//go:noinline
func floorCall(ctx context.Context, need uint64, handler func(context.Context) *oauth2.Token) *oauth2.Token {
	g := floorGrant.Load()
	if g == nil || g.scopes&need != need || time.Since(floorEpoch) >= g.until {
		return nil
	}
	return handler(context.WithValue(ctx, floorKey{}, g))
}

func floorHandler(ctx context.Context) *oauth2.Token {
	return ctx.Value(floorKey{}).(*floor).token
}

func gateHandler(ctx context.Context) *oauth2.Token {
	token, err := TokenSource(ctx).Token()
	if err != nil {
		return nil
	}
	return token
}

// gateCall does what AddTool does around a handler.
//
//go:noinline
func gateCall(ctx context.Context, g *gate, req *mcp.CallToolRequest) *oauth2.Token {
	if asking.Modern(req.Params.Meta) {
		out := g.serve(ctx, req, func(ctx context.Context, _ *mcp.CallToolRequest) outcome {
			return outcome{output: gateHandler(ctx)}
		})
		token, _ := out.output.(*oauth2.Token)
		return token
	}
	c, err := g.admit(ctx, req)
	if err != nil {
		return nil
	}
	return gateHandler(c)
}

// BenchmarkGate measures what an authorized call pays for being gated, and
// reports it as a multiple of the floor: the median over batches that run in
// turns within one process, so that what else the machine does falls on both.
//
// With a store that keeps the grant on the disk it is the same, and the store is not
// touched.
func BenchmarkGate(b *testing.B) {
	memory := gateAuth(b, nil)
	files, err := store.File(b.TempDir()+"/grants", []byte("a key for tests, of 32 bytes ..."))
	if err != nil {
		b.Fatal(err)
	}
	disk := &touched{Store: files}
	stored := gateAuth(b, disk)
	floorGrant.Store(&floor{token: &oauth2.Token{AccessToken: "token"}, scopes: 7, until: 24 * time.Hour})
	ctx := b.Context()

	bench := func(b *testing.B, auth *Interceptor, meta mcp.Meta) {
		g := auth.newGate("list_notes", scopes.Of("notes:read"))
		req := &mcp.CallToolRequest{Session: new(mcp.ServerSession), Params: &mcp.CallToolParamsRaw{Name: "list_notes", Meta: meta}}
		auth.session.Store(req.Session)
		if gateCall(ctx, g, req) == nil || floorCall(ctx, 1, floorHandler) == nil {
			b.Fatal("the call is not authorized")
		}
		const batch = 256
		var ratios []float64
		var spent time.Duration
		for b.Loop() {
			began := time.Now()
			for range batch {
				floorCall(ctx, 1, floorHandler)
			}
			middle := time.Now()
			for range batch {
				gateCall(ctx, g, req)
			}
			gated := time.Since(middle)
			ratios = append(ratios, float64(gated)/float64(middle.Sub(began)))
			spent += gated
		}
		slices.Sort(ratios)
		b.ReportMetric(0, "ns/op") // of a batch: says nothing
		b.ReportMetric(ratios[len(ratios)/2], "x-floor")
		b.ReportMetric(float64(spent.Nanoseconds())/float64(len(ratios)*batch), "ns/call")
		b.ReportMetric(testing.AllocsPerRun(1000, func() { gateCall(ctx, g, req) }), "allocs/call")
	}
	newer := mcp.Meta{mcp.MetaKeyProtocolVersion: asking.FirstModern}
	b.Run("legacy", func(b *testing.B) { bench(b, memory, nil) })
	b.Run("modern", func(b *testing.B) { bench(b, memory, newer) })
	before := disk.uses.Load()
	b.Run("legacy-stored", func(b *testing.B) { bench(b, stored, nil) })
	b.Run("modern-stored", func(b *testing.B) { bench(b, stored, newer) })
	if before == 0 || disk.uses.Load() != before {
		b.Errorf("the store was used %d times before the calls and %d times by them", before, disk.uses.Load()-before)
	}
}

// gateAuth returns an interceptor whose local user has signed in, and whose grants are
// in kept, which may be nil.
func gateAuth(b *testing.B, kept store.Store) *Interceptor {
	b.Helper()
	as := fakeas.New(&fakeas.Options{TokenLifetime: 24 * time.Hour, Interval: time.Second})
	auth, err := New(Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
	}, &Options{Store: kept, Transport: as.Transport()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { auth.Close() })
	err = auth.Authorize(b.Context(), Principal{}, scopes.Of("notes:read", "notes:write", "profile"),
		func(_ context.Context, p elicit.Prompt) error { return as.Approve(p.UserCode) })
	if err != nil {
		b.Fatal(err)
	}
	return auth
}

// touched counts the uses of a store.
type touched struct {
	store.Store
	uses atomic.Int64
}

func (s *touched) Load(ctx context.Context, key string) ([]byte, error) {
	s.uses.Add(1)
	return s.Store.Load(ctx, key)
}

func (s *touched) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	s.uses.Add(1)
	return s.Store.Update(ctx, key, change)
}
