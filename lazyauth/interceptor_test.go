package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func TestNew_Mistakes(t *testing.T) {
	good := lazyauth.Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c", APIOrigins: []string{"https://api.example.test"}}
	for want, change := range map[string]func(*lazyauth.Service, *lazyauth.Options){
		"Service.Name":     func(s *lazyauth.Service, _ *lazyauth.Options) { s.Name = "" },
		"printable":        func(s *lazyauth.Service, _ *lazyauth.Options) { s.Name = "a\x1b[2J" },
		"Service.ClientID": func(s *lazyauth.Service, _ *lazyauth.Options) { s.ClientID = "" },
		"needs an Issuer":  func(s *lazyauth.Service, _ *lazyauth.Options) { s.Issuer = "" },
		"the user agent":   func(s *lazyauth.Service, _ *lazyauth.Options) { s.UserAgent = "notes\r\nX-Evil: 1" },
		"token endpoint has user info": func(s *lazyauth.Service, _ *lazyauth.Options) {
			s.Endpoint.TokenURL = "https://as.example.test@x.example/t"
		},
		"device authorization endpoint is not https": func(s *lazyauth.Service, _ *lazyauth.Options) {
			s.Endpoint.DeviceAuthURL = "http://x.example/d"
		},
		"revocation endpoint is not https": func(s *lazyauth.Service, _ *lazyauth.Options) { s.RevocationURL = "http://x.example/r" },
		"the issuer":                       func(s *lazyauth.Service, _ *lazyauth.Options) { s.Issuer = "http://as.example.test" },
		"is not an origin":                 func(s *lazyauth.Service, _ *lazyauth.Options) { s.APIOrigins = []string{"api.example.test"} },
		"in its ASCII form": func(s *lazyauth.Service, _ *lazyauth.Options) {
			s.APIOrigins = []string{"https://ap\u0130.example.test"}
		},
		"each host by itself": func(s *lazyauth.Service, _ *lazyauth.Options) { s.APIOrigins = []string{"https://*.example.test"} },
		"to a loopback":       func(s *lazyauth.Service, _ *lazyauth.Options) { s.APIOrigins = []string{"http://localho\u017ft"} },
		"host and port alone": func(s *lazyauth.Service, _ *lazyauth.Options) { s.APIOrigins = []string{"https://api.example.test/v1"} },
		"must be https":       func(s *lazyauth.Service, _ *lazyauth.Options) { s.APIOrigins = []string{"http://api.example.test"} },
		"Options.MaxWait":     func(_ *lazyauth.Service, o *lazyauth.Options) { o.MaxWait = -1 },
		"Options.MaxCalls":    func(_ *lazyauth.Service, o *lazyauth.Options) { o.MaxCalls = -1 },
		"cannot be added":     func(s *lazyauth.Service, _ *lazyauth.Options) { s.Params = url.Values{"scope": {"x"}} },
		"token endpoint is not": func(s *lazyauth.Service, _ *lazyauth.Options) {
			s.Issuer, s.Endpoint = "", oauth2.Endpoint{DeviceAuthURL: "https://as.example.test/d", TokenURL: "http://as.example.test/t"}
		},
		"the name of one scope": func(s *lazyauth.Service, _ *lazyauth.Options) {
			s.ScopeNames = map[string]string{"notes:read notes:write": "read and change notes"}
		},
		"32 random bytes": func(_ *lazyauth.Service, o *lazyauth.Options) { o.StateKeys = [][]byte{{1}} },
	} {
		service, options := good, lazyauth.Options{}
		change(&service, &options)
		if _, err := lazyauth.New(service, &options); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "lazyauth: ") {
			t.Errorf("got %v, want an error of lazyauth with %q", err, want)
		}
	}
	auth, err := lazyauth.New(good, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(auth.Close(), auth.Close()); err != nil {
		t.Error(err)
	}
}

func TestClose_EndsWaitingCalls(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		waiting := h.Call(t.Context(), "whoami", nil)
		w.Person()
		synctest.Wait()
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		(<-waiting).Fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		warned(t, w)
		if !strings.Contains(w.Log.String(), "authorization ended by Close") {
			t.Errorf("the log does not say how the sign-in ended: %s", w.Log.String())
		}
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
	})
}

func TestClose_NamesStubbornHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.New(nil)
		auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID}, &lazyauth.Options{Transport: as.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		w := &world.World{T: t, AS: as, Auth: auth, Server: mcp.NewServer(&mcp.Implementation{Name: "x"}, nil)}
		release := make(chan struct{})
		lazyauth.AddTool(w.Server, auth, &mcp.Tool{Name: "stubborn"}, scopes.Set{},
			func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				<-release
				return nil, world.Answer{}, nil
			})
		h := w.Host(world.Modern, world.Accepts)
		call := h.Call(t.Context(), "stubborn", nil)
		w.Approves()
		world.Later(10 * time.Second)
		if err := auth.Close(); err == nil || !strings.Contains(err.Error(), "stubborn") {
			t.Errorf("Close: %v", err)
		}
		close(release)
		(<-call).Succeeds(t, "") // what it returns is its call's all the same
	})
}

// Close says which handler does not heed the end of its context.
func TestClose_HandlerThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "deaf"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				<-release
				return nil, world.Answer{}, errors.New("late")
			})
		}})
		h := w.Host(world.Modern, world.Accepts)
		call := h.Call(t.Context(), "deaf", nil)
		w.Approves()
		world.Later(time.Minute)
		began := time.Now()
		err := w.Auth.Close()
		if took := time.Since(began); took > 5*time.Second || err == nil || err.Error() != "lazyauth: handlers ignored that their context ended: deaf" {
			t.Errorf("Close after %v: %v", took, err)
		}
		close(release)
		(<-call).Fails(t, lazyauth.ReasonUnavailable)
	})
}

// Close comes at any moment, whatever is under way.
func TestClose_AtAnyMoment(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 9))
				var mu sync.Mutex
				roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return rnd.IntN(n) }
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 20 * time.Second, NoRefresh: seed%2 == 0, CodeLifetime: time.Minute, Latency: time.Duration(roll(2)) * time.Second},
					Options: lazyauth.Options{Principal: world.OnePerson}, Tools: world.WithSaga})
				react := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					return world.Says([]string{"accept", "accept", "cancel", "accept"}[roll(4)], time.Duration(roll(5))*time.Second)(ctx, p)
				}
				raw := w.RawHost()
				hosts := []*world.Host{w.Host(world.Legacy, react), w.Host(world.Modern, react), w.Host(world.Modern, react)}
				stop := make(chan struct{})
				var person sync.WaitGroup
				person.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Duration(roll(10)+1) * time.Second):
							for _, r := range w.AS.Waiting() {
								w.AS.Approve(r.UserCode)
							}
						}
					}
				})
				var wg sync.WaitGroup
				run := func(f func(context.Context)) {
					wg.Go(func() {
						for range 5 {
							ctx, cancel := context.WithTimeout(t.Context(), time.Duration(roll(20)+1)*time.Second)
							f(ctx)
							cancel()
							world.Later(time.Duration(roll(5)) * time.Second)
						}
					})
				}
				for range 3 {
					run(func(ctx context.Context) {
						r := <-raw.Request(ctx, "saga", world.Note{Text: "x"}, "", "")
						for r.Err == nil && r.Result.NeedsInput() {
							s := r.Result.RequestState
							var dup []<-chan world.Reply
							for range roll(3) {
								c2, cancel := context.WithTimeout(ctx, time.Duration(roll(10))*time.Second)
								defer cancel()
								dup = append(dup, raw.Request(c2, "saga", world.Note{Text: "x"}, s, []string{"accept", "decline", "cancel", ""}[roll(4)]))
							}
							r = <-raw.Request(ctx, "saga", world.Note{Text: "x"}, s, []string{"accept", "accept", "cancel", ""}[roll(4)])
							for _, d := range dup {
								<-d
							}
						}
					})
					run(func(ctx context.Context) {
						w.Auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("notes:read"), func(context.Context, elicit.Prompt) error { return nil })
					})
					for _, h := range hosts {
						run(func(ctx context.Context) { <-h.Call(ctx, "saga", world.Note{Text: "x"}) })
						run(func(ctx context.Context) { <-h.Call(ctx, "whoami", nil) })
					}
				}
				world.Later(time.Duration(roll(60000)) * time.Millisecond)
				began := time.Now()
				if err := w.Auth.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("Close took %v", took)
				}
				wg.Wait()
				close(stop)
				person.Wait()
			})
		})
	}
}

func TestClose_ForgetsGrants(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.SignedIn(era)
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), func(context.Context, elicit.Prompt) error { return nil }); err == nil {
			t.Error("Authorize succeeds after Close")
		}
	})
}

func TestClose_EndsWorkingHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: withWorker})
		h := w.RawHost()
		_, one, _ := working(t.Context(), t, w, h)
		began := time.Now()
		if err := w.Auth.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close took %v: %v", time.Since(began), err)
		}
		(<-one).Fails(t, lazyauth.ReasonUnavailable)
	})
}

// slowAnswer delays the answers to refreshes: the server has done its work.
type slowAnswer struct {
	next http.RoundTripper
	as   *fakeas.Server
	on   atomic.Bool
}

func (s *slowAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	if !s.on.Load() || req.URL.String() != s.as.URL(fakeas.Refresh) {
		return s.next.RoundTrip(req)
	}
	res, err := s.next.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
	select {
	case <-time.After(time.Second):
		return res, err
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// A refresh whose answer is on its way when the server ends is written down, or the next
// start would use the token that was replaced.
func TestClose_DuringARefresh(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
		slow := &slowAnswer{next: as.Transport(), as: as}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Store: kept, Transport: slow}})
		h := w.SignedIn(era)
		world.Later(59*time.Minute + 30*time.Second)
		slow.on.Store(true)
		h.Gets("whoami", nil, "Ada")
		world.Later(500 * time.Millisecond)
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		world.Later(time.Hour)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		g := two.Host(era, world.Accepts)
		c := g.Call(t.Context(), "whoami", nil)
		world.Later(10 * time.Second)
		two.Answers(c, "Ada")
	})
}

// At Close only when asked, and no longer than allowed.
func TestClose_Revokes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.SignedIn(world.Legacy)
		w.Auth.Close()
		if n := w.AS.Count(fakeas.Revocation, ""); n != 0 {
			t.Errorf("%d revocations at Close that nobody asked for", n)
		}
		w = world.New(t, world.Setup{Options: lazyauth.Options{RevokeOnClose: 3 * time.Second}})
		w.SignedIn(world.Legacy)
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		if n := w.AS.Count(fakeas.Revocation, ""); n == 0 {
			t.Error("no revocation at Close")
		}
		w = world.New(t, world.Setup{Options: lazyauth.Options{RevokeOnClose: 3 * time.Second}})
		w.SignedIn(world.Legacy)
		w.AS.Script(fakeas.Revocation, fakeas.Stall(), fakeas.Stall())
		began := time.Now()
		if err := w.Auth.Close(); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}
