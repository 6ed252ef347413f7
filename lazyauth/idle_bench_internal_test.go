package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A uniform store has one record, in which everybody finds their grant. It costs nothing for
// each, so that what is measured is not the store.
type uniform struct{ store.Store }

const everybody = "everybody's"

func (u uniform) Load(ctx context.Context, _ string) ([]byte, error) {
	return u.Store.Load(ctx, everybody)
}

func (u uniform) Update(ctx context.Context, _ string, change func([]byte) ([]byte, error)) error {
	return u.Store.Update(ctx, everybody, change)
}

// others has so many timers run, on all processors, until the function is called that it returns: a stopped one is kept
// by the runtime for as long as it is one of few.
func others(n int) (stop func()) {
	timers := make([]*time.Timer, n)
	var wg sync.WaitGroup
	for p := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := p; i < n; i += runtime.GOMAXPROCS(0) {
				timers[i] = time.AfterFunc(time.Hour, func() {})
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	return func() {
		for _, t := range timers {
			t.Stop()
		}
	}
}

// BenchmarkPrincipals has 100,000 people with stored grants call, 1,000 of them at a time, and
// reports what an active one costs, and one who has done nothing for a while; and how many are
// remembered in the end. It fails if an idle one costs more than mostIdle, or is remembered, or asked again.
func BenchmarkPrincipals(b *testing.B) {
	const people, active, mostIdle = 100_000, 1000, 16 // bytes, on the average
	as := fakeas.New(&fakeas.Options{Interval: time.Second, TokenLifetime: 24 * time.Hour})
	person := func(n int) Principal { return Principal{Issuer: as.Issuer(), Subject: "person " + strconv.Itoa(n)} }
	auth, err := New(Service{Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()}}, &Options{
		Transport: as.Transport(), Store: uniform{store.Memory()},
		VerifyUser: func(context.Context, Principal, *oauth2.Token) error { return nil },
		Principal: func(_ context.Context, req *mcp.CallToolRequest) (Principal, error) {
			var args struct{ Who int }
			err := json.Unmarshal(req.Params.Arguments, &args)
			return person(args.Who), err
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer auth.Close()
	err = auth.Authorize(b.Context(), Principal{Issuer: as.Issuer(), Subject: "somebody"}, scopes.Of("profile"),
		func(_ context.Context, p elicit.Prompt) error { return as.Approve(p.UserCode) })
	if err != nil {
		b.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
	type args struct {
		Who int `json:"who"`
	}
	AddTool(server, auth, &mcp.Tool{Name: "greet"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, args) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(b.Context(), there, nil); err != nil {
		b.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(b.Context(), here, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	call := func(from int) { // by as many as are active at a time
		for who := from; who < from+active; who++ {
			result, err := session.CallTool(b.Context(), &mcp.CallToolParams{Name: "greet", Arguments: args{who}})
			if err == nil && result.IsError {
				err = errors.New(result.Content[0].(*mcp.TextContent).Text) //nolint:forcetypeassert // of ours
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	heap := func() float64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	rest := func() {
		auth.keeper.Sweep() // those who were active are not, from now on
		auth.keeper.Sweep()
	}
	defer others(10_000)()
	var before, during, after float64
	for b.Loop() {
		call(0)
		rest()
		before = heap()
		call(active)
		during = heap()
		rest()
		for who := 2 * active; who < people; who++ { // as a call does, without the SDK's part of it
			if err := auth.Authorize(b.Context(), person(who), scopes.Of("profile"), nil); err != nil {
				b.Fatal(err)
			}
			if who%active == active-1 {
				rest()
			}
		}
		after = heap()
	}
	left := 0
	for o := range auth.keeper.Owners {
		if !Principal(o.Who()).IsLocal() {
			left++
		}
	}
	idle, prompts := max(0, after-before)/people, as.Count(fakeas.DeviceAuthorization, "")
	b.ReportMetric((during-before)/active, "B/active")
	b.ReportMetric(idle, "B/idle")
	b.ReportMetric(float64(left), "remembered")
	b.ReportMetric(float64(prompts), "prompts")
	if idle > mostIdle || left > 0 || prompts != 1 {
		b.Errorf("%.1f B for each who is idle, %d of whom are remembered, and %d prompts; want %d at most, none, and one", idle, left, prompts, mostIdle)
	}
}
