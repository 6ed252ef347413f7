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

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An API that takes scopes away while the grant is being refreshed does not make
// the rotated refresh token be lost.
func TestCorrectDuringRenewal(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{
			service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
			tools: func(w *world) {
				w.addTools()
				lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "both"}, scopes.Of("profile", "notes:read"),
					func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
						var g sync.WaitGroup
						g.Go(func() { w.get(ctx, "/me") })
						g.Go(func() { w.get(ctx, "/notes") })
						g.Wait()
						return nil, answer{"both"}, nil
					})
			}})
		h := w.host(era, accepts)
		w.as.Script(fakeas.Me, challenge(401, `Bearer error="invalid_token"`))
		w.as.Script(fakeas.ListNotes, fakeas.Raw(403, http.Header{"X-Oauth-Scopes": {"profile"}, "X-Accepted-Oauth-Scopes": {"notes:read"}}, "{}").After(5*time.Second))
		w.as.Script(fakeas.Refresh, fakeas.Pass().After(10*time.Second))
		call := h.call(t.Context(), "both", nil)
		w.approves()
		go func() {
			later(30 * time.Second)
			for _, r := range w.as.Waiting() {
				w.as.Deny(r.UserCode)
			} // the step-up
		}()
		<-call
		later(time.Minute)
		w.as.ExpireAccessTokens()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r := <-h.call(ctx, "whoami", nil)
		if r.err != nil || r.result.IsError {
			t.Errorf("the grant is lost: %q %v", r.text(), r.err)
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
				w := newWorld(t, setup{options: lazyauth.Options{Transport: e}, tools: func(w *world) {
					e.next = w.as.Transport()
					lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "upload"}, scopes.Of("notes:write"),
						func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
							body := &dataEOF{data: `{"text":"x"}`, again: again}
							req, _ := http.NewRequestWithContext(ctx, "POST", w.as.API()+"/notes", body)
							req.Header.Set("Content-Type", "application/json")
							go func() { time.Sleep(time.Duration(i) * time.Millisecond); close(again) }()
							return read(lazyauth.Client(ctx).Do(req))
						})
				}})
				h := w.host(legacy, accepts)
				call := h.call(t.Context(), "upload", nil)
				w.approves()
				(<-call).succeeds(t, "x")
				later(time.Second)
			})
		})
	}
}

// Progress of a tool behind Intercept follows its call, too.
func TestInterceptProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: func(w *world) {
			mcp.AddTool(w.server, &mcp.Tool{Name: "slow"},
				func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					err := lazyauth.Require(ctx, scopes.Of("notes:read"))
					req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 3})
					return nil, answer{"done"}, err
				})
			w.auth.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"slow": scopes.Of("profile")}})
		}})
		h := w.rawHost()
		state := (<-h.under("one", "slow", "")).state(t)
		second := h.under("two", "slow", state)
		w.approves()
		state = (<-second).state(t)
		third := h.under("three", "slow", state)
		synctest.Wait()
		w.approves()
		(<-third).succeeds(t, "done")
		synctest.Wait()
		w.wantProgress(map[string]int{"one": 0, "two": 0, "three": 1})
	})
}

// A leg of a handler's own round trip runs once, however often its state is handed
// out.
func TestLegTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{CodeLifetime: 30 * time.Minute}, tools: withConfirm})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "confirm", nil, "", "")).state(t)
		second := h.round(t.Context(), "confirm", nil, state, "accept")
		w.approves()
		one := (<-second).state(t)
		h.confirms(one).succeeds(t, "accept step-2")
		later(10 * time.Minute)
		two := (<-h.round(t.Context(), "confirm", nil, state, "accept")).state(t) // the outcome again
		later(6 * time.Minute)
		h.confirms(two)
		if n := w.starts("confirm"); n != 2 {
			t.Errorf("the handler started %d times, want 2: the money was sent twice", n)
		}
	})
}

// Callers who are not known share one part of the table.
func TestAnonymousFillsTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxCalls: 32}, tools: func(w *world) {
			w.addTools()
			mcp.AddTool(w.server, &mcp.Tool{Name: "confirm"},
				func(_ context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, any, error) {
					if req.Params.InputResponses["sure"] != nil {
						return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}, nil, nil
					}
					return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}}, nil, nil
				})
			w.auth.Intercept(w.server, scopes.Policy{})
		}})
		known := w.rawHostNamed("known")
		<-known.round(t.Context(), "ping", nil, "", "")
		unknown := w.rawHostNamed("unknown")
		turnedAway := 0
		for n := range 32 {
			r := <-unknown.round(t.Context(), "confirm", nil, "", "")
			state := r.state(t)
			result, err := unknown.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "confirm", RequestState: state,
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
		r := <-known.round(t.Context(), "whoami", nil, "", "")
		if r.err != nil || !r.result.NeedsInput() {
			t.Errorf("the known caller was locked out by anonymous ones: %q, %v", r.text(), r.err)
		}
	})
}
