package lazyauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An API that takes scopes away while the grant is being refreshed does not make
// the rotated refresh token be lost.
func TestCorrectDuringRenewal(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			Service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "both"}, scopes.Of("profile", "notes:read"),
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						var g sync.WaitGroup
						g.Go(func() { w.Get(ctx, "/me") })
						g.Go(func() { w.Get(ctx, "/notes") })
						g.Wait()
						return nil, world.Answer{Text: "both"}, nil
					})
			}})
		h := w.Host(era, world.Accepts)
		w.AS.Script(fakeas.Me, challenge(401, `Bearer error="invalid_token"`))
		w.AS.Script(fakeas.ListNotes, fakeas.Raw(403, http.Header{"X-Oauth-Scopes": {"profile"}, "X-Accepted-Oauth-Scopes": {"notes:read"}}, "{}").After(5*time.Second))
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(10*time.Second))
		call := h.Call(t.Context(), "both", nil)
		w.Approves()
		go func() {
			world.Later(30 * time.Second)
			for _, r := range w.AS.Waiting() {
				w.AS.Deny(r.UserCode)
			} // the step-up
		}()
		<-call
		world.Later(time.Minute)
		w.AS.ExpireAccessTokens()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r := <-h.Call(ctx, "whoami", nil)
		if r.Err != nil || r.Result.IsError {
			t.Errorf("the grant is lost: %q %v", r.Text(), r.Err)
		}
	})
}

// dataEOF returns its data together with io.EOF, as readers may.
type dataEOF struct {
	data  string
	again chan struct{}
	done  bool
}

func (d *dataEOF) Read(p []byte) (int, error) {
	if d.done {
		<-d.again
		return 0, io.EOF
	}
	d.done = true
	return copy(p, d.data), io.EOF
}

// earlyTransport answers as soon as the body is there, and reads on to its end, as
// net/http does with a declared ContentLength.
type earlyTransport struct {
	next http.RoundTripper
	once sync.Once
}

func (e *earlyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	early := false
	if req.Method == "POST" && req.URL.Path == "/notes" {
		e.once.Do(func() { early = true })
	}
	if !early {
		return e.next.RoundTrip(req)
	}
	p := make([]byte, 512)
	got := make(chan struct{})
	go func() {
		req.Body.Read(p)
		close(got)
		req.Body.Read(p) // is that all?
		req.Body.Close()
	}()
	<-got
	return &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}, Body: http.NoBody, Request: req}, nil
}

// The transport may go on reading a body that is being sent again already: a
// story for the race detector.
func TestRecorderRace(t *testing.T) {
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &earlyTransport{}
				again := make(chan struct{})
				w := world.New(t, world.Setup{Options: lazyauth.Options{Transport: e}, Tools: func(w *world.World) {
					e.next = w.AS.Transport()
					lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "upload"}, scopes.Of("notes:write"),
						func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
							body := &dataEOF{data: `{"text":"x"}`, again: again}
							req, _ := http.NewRequestWithContext(ctx, "POST", w.AS.API()+"/notes", body)
							req.Header.Set("Content-Type", "application/json")
							go func() { time.Sleep(time.Duration(i) * time.Millisecond); close(again) }()
							return world.ReadAnswer(lazyauth.Client(ctx).Do(req))
						})
				}})
				h := w.Host(world.Legacy, world.Accepts)
				call := h.Call(t.Context(), "upload", nil)
				w.Approves()
				(<-call).Succeeds(t, "x")
				world.Later(time.Second)
			})
		})
	}
}

// Progress of a tool behind Intercept follows its call, too.
func TestInterceptProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "slow"},
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					err := lazyauth.Require(ctx, scopes.Of("notes:read"))
					req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 3})
					return nil, world.Answer{Text: "done"}, err
				})
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"slow": scopes.Of("profile")}})
		}})
		h := w.RawHost()
		state := (<-h.Under("one", "slow", "")).State(t)
		second := h.Under("two", "slow", state)
		w.Approves()
		state = (<-second).State(t)
		third := h.Under("three", "slow", state)
		synctest.Wait()
		w.Approves()
		(<-third).Succeeds(t, "done")
		synctest.Wait()
		w.WantProgress(map[string]int{"one": 0, "two": 0, "three": 1})
	})
}

// A leg of a handler's own round trip runs once, however often its state is handed
// out.
func TestLegTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: fakeas.Options{CodeLifetime: 30 * time.Minute}, Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		one := (<-second).State(t)
		h.Confirms(one).Succeeds(t, "accept step-2")
		world.Later(10 * time.Minute)
		two := (<-h.Request(t.Context(), "confirm", nil, state, "accept")).State(t) // the outcome again
		world.Later(6 * time.Minute)
		h.Confirms(two)
		if n := w.Starts("confirm"); n != 2 {
			t.Errorf("the handler started %d times, want 2: the money was sent twice", n)
		}
	})
}

// Callers who are not known share one part of the table.
func TestAnonymousFillsTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 32}, Tools: func(w *world.World) {
			w.AddTools()
			mcp.AddTool(w.Server, &mcp.Tool{Name: "confirm"},
				func(_ context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, any, error) {
					if req.Params.InputResponses["sure"] != nil {
						return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}, nil, nil
					}
					return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}}, nil, nil
				})
			w.Auth.Intercept(w.Server, scopes.Policy{})
		}})
		known := w.RawHostNamed("known")
		<-known.Request(t.Context(), "ping", nil, "", "")
		unknown := w.RawHostNamed("unknown")
		turnedAway := 0
		for n := range 32 {
			r := <-unknown.Request(t.Context(), "confirm", nil, "", "")
			state := r.State(t)
			result, err := unknown.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "confirm", RequestState: state,
				InputResponses: mcp.InputResponseMap{"sure": &mcp.ElicitResult{Action: "accept"}}})
			if err != nil {
				t.Fatal(err)
			}
			if result.IsError {
				turnedAway = n
				break
			}
		}
		if turnedAway == 0 {
			t.Error("callers who are not known were never turned away")
		}
		r := <-known.Request(t.Context(), "whoami", nil, "", "")
		if r.Err != nil || !r.Result.NeedsInput() {
			t.Errorf("the known caller was locked out by anonymous ones: %q, %v", r.Text(), r.Err)
		}
	})
}
