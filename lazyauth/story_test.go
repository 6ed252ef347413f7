package lazyauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

func TestApproved(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		h.Gets("ping", nil, "pong")
		h.WantPrompts(0)

		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		h.WantPrompts(1)
		p := h.Shown()[0]
		if p.Mode != "url" || p.URL != w.AS.Issuer()+"/device" || !strings.Contains(p.Message, code) || strings.Contains(p.URL, code) {
			t.Errorf("prompt %+v does not show the page and the code %s", p, code)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")

		h.Gets("whoami", nil, "Ada") // again, without a prompt
		h.WantPrompts(1)
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 2 {
			t.Errorf("the handler started %d times for two calls", n)
		}
	})
}

func TestDenied(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Denies()
		(<-call).Fails(t, lazyauth.ReasonDenied)

		// The next call asks anew.
		call = h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestExpired(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}})
		h := w.Host(era, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonExpired)
		h.WantPrompts(1)
	})
}

// Some hosts come back only when their person is done in the browser. They are answered with
// what became of the authorization that the person was asked for: nobody who has refused, or
// granted less, is asked again by the same call.
func TestHostComesBackLate(t *testing.T) {
	for reason, decide := range map[lazyauth.Reason]func(*world.World){
		lazyauth.ReasonDenied:   (*world.World).Denies,
		lazyauth.ReasonNarrowed: func(w *world.World) { w.Approves("notes:read") },
		lazyauth.ReasonExpired:  func(*world.World) {},
	} {
		t.Run(string(reason), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}})
				h := w.Host(era, world.Says("accept", 10*time.Minute+30*time.Second)) // codes live for ten
				call := h.Call(t.Context(), "whoami", nil)
				decide(w)
				(<-call).Fails(t, reason)
				h.WantPrompts(1)
				w.WantAuthorizations(1)
				if n := w.Starts("whoami"); n != 0 {
					t.Errorf("the handler started %d times", n)
				}
			})
		})
	}
}

func TestAnswerDecidesNothing(t *testing.T) {
	// Hosts say accept before the person signs in, when they come back, or
	// never; the call goes on when the token is there.
	for name, react := range map[string]world.Reaction{
		"before": world.Accepts,
		"after":  world.Says("accept", 30*time.Second),
		"never":  world.Never,
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				if era == world.Modern && name == "never" {
					t.Skip("a host that never answers never sends the retry that the result could go to")
				}
				w := world.New(t, world.Setup{})
				h := w.Host(era, react)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(1)
			})
		})
	}
}

func TestCallerGoesAway(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Call(ctx, "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		cancel()
		if r := <-call; r.Err == nil {
			t.Errorf("a cancelled call returned %q", r.Text())
		}
		// The flight lives on; the next call joins it, without a prompt.
		call = h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestThousandFirstCalls(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		calls := make([]<-chan world.Reply, 1000)
		for n := range calls {
			calls[n] = h.Call(t.Context(), "whoami", nil)
		}
		w.Approves()
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

func TestArgumentsAreCheckedFirst(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "create_note", map[string]any{"txet": "typo"})
		if r.Err != nil || !r.Result.IsError || !strings.Contains(r.Text(), "arguments") {
			t.Errorf("a typo in the arguments got %q, %v", r.Text(), r.Err)
		}
		h.WantPrompts(0)
		w.WantAuthorizations(0)
	})
}

func TestEndOfInput(t *testing.T) {
	// The host is gone in mid-flight. Its wait ends; the flight does not, and
	// whoever comes next finds the grant.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: onePerson}})
		h, hangUp := w.HostThatHangsUp(era)
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		hangUp()
		if r := <-call; r.Err == nil {
			t.Errorf("a call without a connection returned %q", r.Text())
		}
		w.AS.Approve(code)
		world.Later(10 * time.Second)
		next := w.Host(era, world.Accepts)
		next.Gets("whoami", nil, "Ada")
		next.WantPrompts(0)
		w.WantAuthorizations(1)
	})
}

func TestConfidentialClients(t *testing.T) {
	for method, style := range map[fakeas.AuthMethod]oauth2.AuthStyle{
		fakeas.BasicAuth: oauth2.AuthStyleAutoDetect, fakeas.PostAuth: oauth2.AuthStyleInParams,
	} {
		t.Run(string(method), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				const secret = "s3cret/with+odd=characters&%"
				w := world.New(t, world.Setup{
					AS: fakeas.Options{TokenLifetime: time.Minute, Clients: []fakeas.Client{{ID: "notes:1", Secret: secret, Auth: method}}},
					Service: func(s *lazyauth.Service) {
						s.ClientID, s.ClientSecret, s.Endpoint.AuthStyle = "notes:1", secret, style
					},
				})
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				world.Later(time.Minute)
				h.Gets("whoami", nil, "Ada") // refreshed
				h.WantPrompts(1)
			})
		})
	}
}

func TestDialects(t *testing.T) {
	for name, as := range map[string]fakeas.Options{
		"scopes with commas":  {Dialect: fakeas.CommaScopes},
		"errors under 200":    {Dialect: fakeas.ErrorsUnder200},
		"OpenID alone":        {OpenID: true, NoMetadata: true},
		"issuer with a path":  {Issuer: "https://as.example.test/tenant/1", API: fakeas.DefaultAPI},
		"old name of the URI": {Dialect: oldNames},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: as})
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "list_notes", nil)
				code := w.Person().UserCode
				world.Later(7 * time.Second)
				w.AS.Approve(code)
				(<-call).Succeeds(t, "[]")
			})
		})
	}
	t.Run("form-encoded, endpoints configured", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			form := func(_ *http.Request, a *fakeas.Answer) { a.Form = a.Operation != fakeas.ListNotes }
			w := world.New(t, world.Setup{AS: fakeas.Options{Dialect: form}, Service: func(s *lazyauth.Service) {
				s.Endpoint = oauth2.Endpoint{DeviceAuthURL: s.Issuer + "/device_authorization", TokenURL: s.Issuer + "/token"}
				s.Issuer = ""
			}})
			call := w.Host(era, world.Accepts).Call(t.Context(), "list_notes", nil)
			w.Approves()
			(<-call).Succeeds(t, "[]")
		})
	})
}

// oldNames is how some servers answered before RFC 8628 was finished.
func oldNames(_ *http.Request, a *fakeas.Answer) {
	if uri, ok := a.Members["verification_uri"]; ok {
		a.Members["verification_url"] = uri
		a.Members["interval"], a.Members["expires_in"] = "5", "600"
		delete(a.Members, "verification_uri")
	}
}

func TestConstruction(t *testing.T) {
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
		"cannot be given":     func(s *lazyauth.Service, _ *lazyauth.Options) { s.Params = url.Values{"scope": {"x"}} },
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
