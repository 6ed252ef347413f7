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
func withQuery(by string, q *graphQL) func(*world) {
	return func(w *world) {
		w.addTools()
		lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "query"}, scopes.Of("profile"), counted(w, "query",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
				for {
					client := lazyauth.Client(ctx)
					req, _ := http.NewRequestWithContext(ctx, "POST", w.as.API()+"/graphql", strings.NewReader("{viewer}"))
					var token *oauth2.Token
					if by == "token source" {
						var err error
						if token, err = lazyauth.TokenSource(ctx).Token(); err != nil {
							return nil, answer{}, err
						}
						token.SetAuthHeader(req)
						client = &http.Client{Transport: q}
					}
					result, got, err := read(client.Do(req))
					if err != nil || !strings.Contains(got.Text, "AUTHENTICATION_ERROR") {
						return result, got, err
					}
					if err := lazyauth.RejectToken(ctx, token); err != nil {
						return nil, answer{}, err
					}
				}
			}))
	}
}

// withGraphQL runs a story in both eras and with both ways to send a query.
func withGraphQL(t *testing.T, as fakeas.Options, story func(t *testing.T, w *world, h *host, q *graphQL)) {
	for _, by := range []string{"client", "token source"} {
		t.Run(by, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				server := fakeas.New(&as)
				q := &graphQL{next: server.Transport()}
				w := newWorld(t, setup{shared: server, options: lazyauth.Options{Transport: q}, tools: withQuery(by, q)})
				story(t, w, w.signedIn(era), q)
			})
		})
	}
}

func TestRejectToken_Refreshes(t *testing.T) {
	withGraphQL(t, fakeas.Options{}, func(t *testing.T, w *world, h *host, q *graphQL) {
		for n := range 3 {
			q.refuses(1)
			h.gets("query", nil, "Ada")
			w.wantRefreshes(n + 1)
		}
		h.wantPrompts(1)
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
			withGraphQL(t, test.as, func(t *testing.T, w *world, h *host, q *graphQL) {
				q.refuses(test.dead)
				call := h.call(t.Context(), "query", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				h.wantPrompts(2)
				w.wantRefreshes(test.refreshes)
				if n := w.starts("query"); n != 1 {
					t.Errorf("the handler started %d times", n)
				}
			})
		})
	}
}

func TestRejectToken_Declined(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{NoRefresh: true})
		q := &graphQL{next: as.Transport()}
		w := newWorld(t, setup{shared: as, options: lazyauth.Options{Transport: q}, tools: withQuery("client", q)})
		h := w.host(era, inTurn(accepts, says("decline", 3*time.Second)))
		call := h.call(t.Context(), "query", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.gets("whoami", nil, "Ada")
		later(time.Minute)
		q.refuses(-1)
		(<-h.call(t.Context(), "query", nil)).fails(t, lazyauth.ReasonDeclined)
	})
}

// A handler that reports whatever it is given ends with an error that says what to do, and
// costs no more than one refresh and one sign-in in a minute.
func TestRejectToken_EveryToken(t *testing.T) {
	withGraphQL(t, fakeas.Options{}, func(t *testing.T, w *world, h *host, q *graphQL) {
		q.refuses(-1)
		call := h.call(t.Context(), "query", nil)
		w.approves()
		r := <-call
		r.fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.text(), "audience") {
			t.Errorf("%q does not say what to do", r.text())
		}
		if q.queries != 3 {
			t.Errorf("the handler sent %d queries", q.queries)
		}
		for range 5 {
			(<-h.call(t.Context(), "query", nil)).fails(t, lazyauth.ReasonUnsupported)
		}
		h.wantPrompts(2)
		w.wantRefreshes(1)
		if w.trace.count("refused") != 6 {
			t.Errorf("told %d times of 6 refusals", w.trace.count("refused"))
		}
	})
}

// Of two requests side by side the first to report has the token replaced; what the other
// one reports is that it was.
func TestRejectToken_Replaced(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "both"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					token, err := lazyauth.TokenSource(ctx).Token()
					if err != nil {
						return nil, answer{}, err
					}
					first := lazyauth.RejectToken(ctx, token)
					return nil, answer{"both"}, errors.Join(first, lazyauth.RejectToken(ctx, token))
				})
		}})
		h := w.signedIn(era)
		h.gets("both", nil, "both")
		h.wantPrompts(1)
		w.wantRefreshes(1)
	})
}

// A tool that may use nothing has no token to reject: it would end that of its caller.
func TestRejectToken_OfAToolThatMayUseNothing(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			mcp.AddTool(w.server, &mcp.Tool{Name: "curious"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
				return nil, answer{}, lazyauth.RejectToken(ctx, nil)
			})
			w.auth.Intercept(w.server, scopes.Policy{})
		}})
		h := w.signedIn(era)
		(<-h.call(t.Context(), "curious", nil)).fails(t, lazyauth.ReasonExceeded)
		h.gets("whoami", nil, "Ada")
		w.wantRefreshes(0)
	})
	if err := lazyauth.RejectToken(t.Context(), nil); err == nil {
		t.Error("outside of a call it succeeded")
	}
}

// The operator's token is taken again, once, and nobody is asked.
func TestRejectToken_OfTheOperator(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		q := &graphQL{next: as.Transport(), dead: 1}
		tokens := &tokensInTurn{tokens: []string{"first", "second", "third"}}
		w := newWorld(t, setup{shared: as, options: lazyauth.Options{Transport: q, Token: tokens}, tools: withQuery("client", q)})
		h := w.host(era, accepts)
		h.gets("query", nil, "Ada")
		q.refuses(-1)
		r := <-h.call(t.Context(), "query", nil)
		r.fails(t, lazyauth.ReasonUnsupported)
		if !strings.Contains(r.text(), "operator") {
			t.Errorf("%q does not say whose token it is", r.text())
		}
		h.wantPrompts(0)
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
