package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A mischief happens where one callback is called, while it is on.
type mischief struct {
	mu    sync.Mutex
	at    string // the callback's name; "" for none
	does  func()
	times int
}

func (m *mischief) set(at string, does func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.does, m.times = at, does, 0
}

func (m *mischief) here(name string) {
	m.mu.Lock()
	does := m.does
	on := m.at == name
	if on {
		m.times++
	}
	m.mu.Unlock()
	if on {
		does()
	}
}

func (m *mischief) happened() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.times > 0
}

// mischievous returns a world all of whose callbacks are the author's, and whose person
// approves whatever they are asked. A token is the local user's, who signs in otherwise.
func mischievous(t *testing.T, m *mischief, local bool) *world.World {
	var w *world.World
	o := lazyauth.Options{
		Account: func(context.Context, *mcp.CallToolRequest) (string, error) { m.here("Options.Account"); return "", nil },
		VerifyUser: func(context.Context, lazyauth.Principal, *oauth2.Token) error {
			m.here("Options.VerifyUser")
			return nil
		},
		Identify: func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
			m.here("Options.Identify")
			return lazyauth.Identity{Name: "ada"}, nil
		},
		Wording: func(*mcp.CallToolRequest, elicit.Channel, elicit.Prompt) string { m.here("Options.Wording"); return "" },
		Trace: &lazyauth.Trace{
			Waiting:  func(context.Context, lazyauth.WaitingInfo) { m.here("Trace.Waiting") },
			Prompted: func(context.Context, lazyauth.PromptedInfo) { m.here("Trace.Prompted") },
			Polled:   func(context.Context, lazyauth.PolledInfo) { m.here("Trace.Polled") },
			Granted:  func(context.Context, lazyauth.GrantedInfo) { m.here("Trace.Granted") },
		},
		Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			m.here("Options.Principal")
			return lazyauth.Principal{Subject: "ada"}, nil
		},
		Store: mischievousStore{store.Memory(), m},
	}
	if local {
		o.Principal, o.Token = nil, mischievousToken{m, func() string { return w.Secrets.Last() }}
	}
	var next http.RoundTripper
	o.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		if strings.HasPrefix(req.URL.String(), w.AS.API()) {
			m.here("Options.Transport to the API")
		} else {
			m.here("Options.Transport to the server")
		}
		return next.RoundTrip(req)
	})
	w = world.New(t, world.Setup{Options: o, Service: func(s *lazyauth.Service) {
		s.Dialect = func(status int, header http.Header) (scopes.Demand, error) {
			m.here("Service.Dialect")
			return scopes.BearerDemand(status, header)
		}
	}, Tools: func(w *world.World) {
		w.AddTools()
		// It declares less than it needs, so that the API's challenge is read.
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "challenged"}, scopes.Of("profile"), world.Counted(w, "challenged",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return w.Get(ctx, "/notes")
			}))
	}})
	next = w.AS.Transport()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		for {
			req, err := w.AS.WaitForRequest(ctx)
			if err != nil {
				return
			}
			_ = w.AS.Approve(req.UserCode)
		}
	}()
	return w
}

type mischievousStore struct {
	store.Store
	m *mischief
}

func (s mischievousStore) Load(ctx context.Context, key string) ([]byte, error) {
	s.m.here("the store's Load")
	return s.Store.Load(ctx, key)
}

func (s mischievousStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	s.m.here("the store's Update")
	return s.Store.Update(ctx, key, change)
}

func (s mischievousStore) Keys(ctx context.Context) ([]string, error) {
	s.m.here("the store's Keys")
	return s.Store.Keys(ctx)
}

func (s mischievousStore) String() string {
	s.m.here("the store's String")
	return s.Store.String()
}

type mischievousToken struct {
	m     *mischief
	token func() string
}

func (s mischievousToken) Token() (*oauth2.Token, error) {
	s.m.here("Options.Token")
	return &oauth2.Token{AccessToken: "the-operators"}, nil
}

// What a callback panics with, which is nowhere shown.
const ofAPanic = "canary-of-a-panic"

// Whichever of the author's callbacks panics, and with whatever: the call gets an error, or
// goes on without what the callback was for; the next call works, and it is traced.
func TestCallback_Panics(t *testing.T) {
	var nobody *http.Request
	panics := map[string]func(){
		"text":    func() { panic(ofAPanic) },
		"error":   func() { panic(errors.New(ofAPanic)) },
		"runtime": func() { _ = nobody.URL },
	}
	const succeeds = ""
	for _, c := range []struct {
		at   string
		tool string
		want lazyauth.Reason
		// name is what the event says. A trace that fails is named in the default log.
		name string
	}{
		{at: "Options.Principal", want: lazyauth.ReasonAnonymous},
		{at: "Options.Account", want: lazyauth.ReasonAnonymous},
		{at: "Options.VerifyUser", want: lazyauth.ReasonUnverified},
		{at: "Options.Identify", want: succeeds},
		{at: "Options.Wording", want: succeeds},
		{at: "Options.Token", want: lazyauth.ReasonUnavailable},
		{at: "Options.Transport to the server", want: lazyauth.ReasonUnavailable, name: "Options.Transport"},
		{at: "Options.Transport to the API", want: "the handler's", name: "Options.Transport"},
		{at: "Service.Dialect", tool: "challenged", want: lazyauth.ReasonUnsupported},
		{at: "the store's Load", want: lazyauth.ReasonUnavailable, name: "the store"}, // it might say that the person is barred
		{at: "the store's Update", want: succeeds, name: "the store"},
		{at: "Trace.Waiting", want: succeeds},
		{at: "Trace.Prompted", want: succeeds},
		{at: "Trace.Polled", want: succeeds},
		{at: "Trace.Granted", want: succeeds},
	} {
		for with, panics := range panics {
			t.Run(c.at+"/"+with, func(t *testing.T) {
				world.InBothEras(t, func(t *testing.T, era string) {
					defaultLog := captureDefault(t)
					m := new(mischief)
					w := mischievous(t, m, c.at == "Options.Token")
					w.Secrets.Add(ofAPanic)
					h := w.Host(era, world.Accepts)
					tool := c.tool
					if tool == "" {
						tool = "whoami"
					}
					m.set(c.at, panics)
					r := <-h.Call(t.Context(), tool, nil)
					if !m.happened() {
						t.Fatal("it was not called")
					}
					m.set("", nil)
					switch {
					case c.want == "the handler's":
						if r.Err != nil || !r.Result.IsError || !strings.Contains(r.Text(), "asking the API") {
							t.Errorf("%q, %v", r.Text(), r.Err)
						}
					case c.want != succeeds:
						r.Fails(t, c.want)
					default:
						r.Succeeds(t, "")
					}
					name := c.name
					if name == "" {
						name = c.at
					}
					if trace := strings.HasPrefix(c.at, "Trace."); trace != (w.Trace.Count("callbackfailed") == 0) || !trace && !strings.Contains(w.Trace.Text(), name+" panicked") {
						t.Errorf("the trace has:\n%s", w.Trace.Text())
					} else if trace && strings.Count(defaultLog.String(), c.at) != 1 {
						t.Errorf("the default log has:\n%s", defaultLog)
					}
					if strings.Contains(defaultLog.String(), ofAPanic) {
						t.Error("what it panicked with is in the default log")
					}
					world.Later(2 * time.Minute)
					if c.at != "Options.Token" { // which the API does not know
						h.Gets("whoami", nil, "Ada")
					}
				})
			})
		}
	}
	t.Run("the store's Keys", func(t *testing.T) {
		m := new(mischief)
		w := mischievous(t, m, false)
		m.set("the store's Keys", panics["text"])
		if _, err := w.Auth.Accounts(t.Context()); err == nil || strings.Contains(err.Error(), ofAPanic) {
			t.Errorf("Accounts: %v", err)
		}
	})
}

// captureDefault puts a log of its own into the place of the default one, for the time of the
// test.
func captureDefault(t *testing.T) fmt.Stringer {
	var log world.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &log
}

// What the SDK or this library panics with is an internal error of the one request: the
// server lives. A handler's own panic goes on, to the author's middleware.
func TestCallback_PanicOfTheSDK(t *testing.T) {
	for way, gate := range map[string]func(*world.World){
		"AddTool": func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "t"}, scopes.Of("profile"), unmarshalled)
		},
		"Intercept": func(w *world.World) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "t"}, unmarshalled)
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"t": scopes.Of("profile")}})
		},
	} {
		t.Run(way, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: func(w *world.World) {
					w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
						return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
							if call, ok := r.(*mcp.CallToolRequest); ok && string(call.Params.Arguments) == `{"text":"boom"}` {
								call.Params = nil // the SDK's server has not reckoned with that
							}
							return next(ctx, method, r)
						}
					})
					gate(w)
				}})
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "t", world.Note{Text: "first"})
				w.Approves()
				(<-call).Succeeds(t, "first")
				r := <-h.Call(t.Context(), "t", world.Note{Text: "boom"})
				if r.Err == nil || !strings.Contains(r.Err.Error(), "internal error") {
					t.Errorf("%q, %v", r.Text(), r.Err)
				}
				if w.Trace.Count("callbackfailed") != 1 || !strings.Contains(w.Trace.Text(), "go-sdk") {
					t.Errorf("the trace has:\n%s", w.Trace.Text())
				}
				h.Gets("t", world.Note{Text: "next"}, "next")
			})
		})
	}
}

func unmarshalled(_ context.Context, _ *mcp.CallToolRequest, in world.Note) (*mcp.CallToolResult, world.Answer, error) {
	return nil, world.Answer(in), nil
}

// What callbacks return as an error is in the log on one line, and not at length; the text
// of the call has nothing of it, and programs find what was returned.
func TestCallback_ErrorsAreEscaped(t *testing.T) {
	evil := errors.New("no \x1b[2J\nERROR you were hacked " + strings.Repeat("x", 10_000) + " the end")
	for _, c := range []struct {
		at      string
		options lazyauth.Options
		want    lazyauth.Reason
	}{
		{"Options.Principal", lazyauth.Options{Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{}, evil
		}}, lazyauth.ReasonAnonymous},
		{"Options.Account", lazyauth.Options{Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return "", evil }}, lazyauth.ReasonAnonymous},
		{"Options.VerifyUser", lazyauth.Options{Principal: world.ByClientName, VerifyUser: func(context.Context, lazyauth.Principal, *oauth2.Token) error { return evil }}, lazyauth.ReasonUnverified},
		{"Options.Identify", lazyauth.Options{Identify: func(_ context.Context, token *oauth2.Token) (lazyauth.Identity, error) {
			return lazyauth.Identity{}, fmt.Errorf("%s: %w", token.AccessToken, evil)
		}}, ""},
		{"Options.Token", lazyauth.Options{Token: verbose{}}, lazyauth.ReasonUnavailable},
		{"the store", lazyauth.Options{Store: failingStore{store.Memory(), evil}}, ""},
	} {
		t.Run(c.at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Options: c.options})
				call := w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)
				if c.at != "Options.Principal" && c.at != "Options.Account" && c.at != "Options.Token" {
					w.Approves()
				}
				r := <-call
				if c.want != "" {
					r.Fails(t, c.want)
				} else {
					r.Succeeds(t, "Ada")
				}
				log := w.Slog.String()
				if !strings.Contains(log, c.at+": ") || strings.Contains(log, strings.Repeat("x", 1000)) ||
					strings.Contains(log, `\u001b`) || strings.Contains(log, `\n`) && !strings.Contains(log, `\\n`) || strings.Contains(r.Text(), "hacked") {
					t.Errorf("the log has:\n%s\nthe model gets %q", log, r.Text())
				}
			})
		})
	}
}

type failingStore struct {
	store.Store
	err error
}

func (f failingStore) Load(context.Context, string) ([]byte, error) { return nil, f.err }
