package lazyauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// graphQL is an API that says in the body of a 200 that a token is dead.
type graphQL struct {
	next http.RoundTripper

	mu      sync.Mutex
	dead    int // how many more requests are refused; all if negative
	queries int
}

func (q *graphQL) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/graphql" {
		return q.next.RoundTrip(req)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queries++
	body := `{"data": {"viewer": "Ada"}}`
	if q.dead != 0 {
		q.dead--
		body = `{"errors": [{"extensions": {"code": "AUTHENTICATION_ERROR"}}]}`
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(body)), Request: req, Header: http.Header{}}, nil
}

func (q *graphQL) refuses(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dead = n
}

// withQuery adds a tool that reports each refusal of its token, and tries again as often as
// it may. It sends its query by the client, or with a token that it takes from the source.
func withQuery(by string, q *graphQL) func(*world.World) {
	return func(w *world.World) {
		w.AddTools()
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "query"}, scopes.Of("profile"), world.Counted(w, "query",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				for {
					client := lazyauth.Client(ctx)
					req, _ := http.NewRequestWithContext(ctx, "POST", w.AS.API()+"/graphql", strings.NewReader("{viewer}"))
					var token *oauth2.Token
					if by == "token source" {
						var err error
						if token, err = lazyauth.TokenSource(ctx).Token(); err != nil {
							return nil, world.Answer{}, err
						}
						token.SetAuthHeader(req)
						client = &http.Client{Transport: q}
					}
					result, got, err := world.ReadAnswer(client.Do(req))
					if err != nil || !strings.Contains(got.Text, "AUTHENTICATION_ERROR") {
						return result, got, err
					}
					if err := lazyauth.RejectToken(ctx, token); err != nil {
						return nil, world.Answer{}, err
					}
				}
			}))
	}
}

// withGraphQL runs a story in both eras and with both ways to send a query.
func withGraphQL(t *testing.T, as fakeas.Options, story func(t *testing.T, w *world.World, h *world.Host, q *graphQL)) {
	for _, by := range []string{"client", "token source"} {
		t.Run(by, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				server := fakeas.New(&as)
				q := &graphQL{next: server.Transport()}
				w := world.New(t, world.Setup{Shared: server, Options: lazyauth.Options{Transport: q}, Tools: withQuery(by, q)})
				story(t, w, w.SignedIn(era), q)
			})
		})
	}
}

func TestRejectToken_Refreshes(t *testing.T) {
	withGraphQL(t, fakeas.Options{}, func(t *testing.T, w *world.World, h *world.Host, q *graphQL) {
		for n := range 3 {
			q.refuses(1)
			h.Gets("query", nil, "Ada")
			w.WantRefreshes(n + 1)
		}
		h.WantPrompts(1)
	})
}

func TestRejectToken_ThenAsks(t *testing.T) {
	for name, test := range map[string]struct {
		as        fakeas.Options
		dead      int
		refreshes int
	}{
		"after a refresh":         {fakeas.Options{}, 2, 1},
		"without a refresh token": {fakeas.Options{NoRefresh: true}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			withGraphQL(t, test.as, func(t *testing.T, w *world.World, h *world.Host, q *graphQL) {
				q.refuses(test.dead)
				call := h.Call(t.Context(), "query", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(2)
				w.WantRefreshes(test.refreshes)
				if n := w.Starts("query"); n != 1 {
					t.Errorf("the handler started %d times", n)
				}
			})
		})
	}
}

func TestRejectToken_Declined(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{NoRefresh: true})
		q := &graphQL{next: as.Transport()}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: q}, Tools: withQuery("client", q)})
		h := w.Host(era, world.InTurn(world.Accepts, world.Says("decline", 3*time.Second)))
		call := h.Call(t.Context(), "query", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.Gets("whoami", nil, "Ada")
		world.Later(time.Minute)
		q.refuses(-1)
		(<-h.Call(t.Context(), "query", nil)).Fails(t, lazyauth.ReasonDeclined)
	})
}

// A handler that reports whatever it is given ends with an error that says what to do, and
// costs no more than one refresh and one sign-in in a minute.
func TestRejectToken_EveryToken(t *testing.T) {
	withGraphQL(t, fakeas.Options{}, func(t *testing.T, w *world.World, h *world.Host, q *graphQL) {
		q.refuses(-1)
		call := h.Call(t.Context(), "query", nil)
		w.Approves()
		r := <-call
		r.Fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.Text(), "audience") {
			t.Errorf("%q does not say what to do", r.Text())
		}
		if q.queries != 3 {
			t.Errorf("the handler sent %d queries", q.queries)
		}
		for range 5 {
			(<-h.Call(t.Context(), "query", nil)).Fails(t, lazyauth.ReasonUnsupported)
		}
		h.WantPrompts(2)
		w.WantRefreshes(1)
		if w.Trace.Count("refused") != 6 {
			t.Errorf("traced %d of 6 refusals", w.Trace.Count("refused"))
		}
	})
}

// Of two requests side by side the first to report has the token replaced; what the other
// one reports is that it was.
func TestRejectToken_Replaced(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "both"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					token, err := lazyauth.TokenSource(ctx).Token()
					if err != nil {
						return nil, world.Answer{}, err
					}
					first := lazyauth.RejectToken(ctx, token)
					return nil, world.Answer{Text: "both"}, errors.Join(first, lazyauth.RejectToken(ctx, token))
				})
		}})
		h := w.SignedIn(era)
		h.Gets("both", nil, "both")
		h.WantPrompts(1)
		w.WantRefreshes(1)
	})
}

// A tool that may use nothing has no token to reject: it would end that of its caller.
func TestRejectToken_OfAToolThatMayUseNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			mcp.AddTool(w.Server, &mcp.Tool{Name: "curious"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{}, lazyauth.RejectToken(ctx, nil)
			})
			w.Auth.Intercept(w.Server, scopes.Policy{})
		}})
		h := w.SignedIn(era)
		(<-h.Call(t.Context(), "curious", nil)).Fails(t, lazyauth.ReasonExceeded)
		h.Gets("whoami", nil, "Ada")
		w.WantRefreshes(0)
	})
	if err := lazyauth.RejectToken(t.Context(), nil); err == nil {
		t.Error("outside of a call it succeeded")
	}
}

// The operator's token is taken again, once, and nobody is asked.
func TestRejectToken_OfTheOperator(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		q := &graphQL{next: as.Transport(), dead: 1}
		tokens := &tokensInTurn{tokens: []string{"first", "second", "third"}}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: q, Token: tokens}, Tools: withQuery("client", q)})
		h := w.Host(era, world.Accepts)
		h.Gets("query", nil, "Ada")
		q.refuses(-1)
		r := <-h.Call(t.Context(), "query", nil)
		r.Fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.Text(), "operator") {
			t.Errorf("%q does not say whose token it is", r.Text())
		}
		h.WantPrompts(0)
	})
}

// tokensInTurn is a source that has another token each time, to the last.
type tokensInTurn struct {
	mu     sync.Mutex
	tokens []string
}

func (r *tokensInTurn) Token() (*oauth2.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token := r.tokens[0]
	if len(r.tokens) > 1 {
		r.tokens = r.tokens[1:]
	}
	return &oauth2.Token{AccessToken: token}, nil
}
