package lazyauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func TestApproved(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		h.gets("ping", nil, "pong")
		h.wantPrompts(0)

		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		h.wantPrompts(1)
		p := h.shown()[0]
		if p.Mode != "url" || p.URL != w.as.Issuer()+"/device" || !strings.Contains(p.Message, code) || strings.Contains(p.URL, code) {
			t.Errorf("prompt %+v does not show the page and the code %s", p, code)
		}
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")

		h.gets("whoami", nil, "Ada") // again, without a prompt
		h.wantPrompts(1)
		w.wantAuthorizations(1)
		if n := w.starts("whoami"); n != 2 {
			t.Errorf("the handler started %d times for two calls", n)
		}
	})
}

func TestDenied(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.denies()
		(<-call).fails(t, lazyauth.ReasonDenied)

		// The next call asks anew.
		call = h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		if n := w.starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestExpired(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: time.Hour}})
		h := w.host(era, accepts)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonExpired)
		h.wantPrompts(1)
	})
}

// Some hosts come back only when their person is done in the browser. They are answered with
// what became of the authorization that the person was asked for: nobody who has refused, or
// granted less, is asked again by the same call.
func TestHostComesBackLate(t *testing.T) {
	for reason, decide := range map[lazyauth.Reason]func(*world){
		lazyauth.ReasonDenied:   (*world).denies,
		lazyauth.ReasonNarrowed: func(w *world) { w.approves("notes:read") },
		lazyauth.ReasonExpired:  func(*world) {},
	} {
		t.Run(string(reason), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{options: lazyauth.Options{MaxWait: time.Hour}})
				h := w.host(era, says("accept", 10*time.Minute+30*time.Second)) // codes live for ten
				call := h.call(t.Context(), "whoami", nil)
				decide(w)
				(<-call).fails(t, reason)
				h.wantPrompts(1)
				w.wantAuthorizations(1)
				if n := w.starts("whoami"); n != 0 {
					t.Errorf("the handler started %d times", n)
				}
			})
		})
	}
}

func TestAnswerDecidesNothing(t *testing.T) {
	// Hosts say accept before the person signs in, when they come back, or
	// never; the call goes on when the token is there.
	for name, react := range map[string]reaction{
		"before": accepts,
		"after":  says("accept", 30*time.Second),
		"never":  never,
	} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				if era == modern && name == "never" {
					t.Skip("a host that never answers never sends the retry that the result could go to")
				}
				w := newWorld(t, setup{})
				h := w.host(era, react)
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				h.wantPrompts(1)
			})
		})
	}
}

func TestCallerGoesAway(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		ctx, cancel := context.WithCancel(t.Context())
		call := h.call(ctx, "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		cancel()
		if r := <-call; r.err == nil {
			t.Errorf("a cancelled call returned %q", r.text())
		}
		// The flight lives on; the next call joins it, without a prompt.
		call = h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(1)
		w.wantAuthorizations(1)
		if n := w.starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestThousandFirstCalls(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		calls := make([]<-chan reply, 1000)
		for n := range calls {
			calls[n] = h.call(t.Context(), "whoami", nil)
		}
		w.approves()
		for _, call := range calls {
			(<-call).succeeds(t, "Ada")
		}
		h.wantPrompts(1)
		w.wantAuthorizations(1)
	})
}

func TestArgumentsAreCheckedFirst(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		r := <-h.call(t.Context(), "create_note", map[string]any{"txet": "typo"})
		if r.err != nil || !r.result.IsError || !strings.Contains(r.text(), "arguments") {
			t.Errorf("a typo in the arguments got %q, %v", r.text(), r.err)
		}
		h.wantPrompts(0)
		w.wantAuthorizations(0)
	})
}

// hostThatHangsUp also returns what ends its connection, from the server's end of
// input on.
func (w *world) hostThatHangsUp(era string) (*host, func()) {
	w.t.Helper()
	fromHost, toServer := io.Pipe()
	fromServer, toHost := io.Pipe()
	session, err := w.server.Connect(context.Background(), &mcp.IOTransport{Reader: fromHost, Writer: toHost}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	h := w.connect(era, manners{url: true, form: true, react: accepts}, &mcp.IOTransport{Reader: fromServer, Writer: toServer})
	return h, func() {
		toServer.Close()
		session.Wait()
		toHost.Close()
	}
}

func TestEndOfInput(t *testing.T) {
	// The host is gone in mid-flight. Its wait ends; the flight does not, and
	// whoever comes next finds the grant.
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		h, hangUp := w.hostThatHangsUp(era)
		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		hangUp()
		if r := <-call; r.err == nil {
			t.Errorf("a call without a connection returned %q", r.text())
		}
		w.as.Approve(code)
		later(10 * time.Second)
		next := w.host(era, accepts)
		next.gets("whoami", nil, "Ada")
		next.wantPrompts(0)
		w.wantAuthorizations(1)
	})
}

func TestConfidentialClients(t *testing.T) {
	for method, style := range map[fakeas.AuthMethod]oauth2.AuthStyle{
		fakeas.BasicAuth: oauth2.AuthStyleAutoDetect, fakeas.PostAuth: oauth2.AuthStyleInParams,
	} {
		t.Run(string(method), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				const secret = "s3cret/with+odd=characters&%"
				w := newWorld(t, setup{
					as: fakeas.Options{TokenLifetime: time.Minute, Clients: []fakeas.Client{{ID: "notes:1", Secret: secret, Auth: method}}},
					service: func(s *lazyauth.Service) {
						s.ClientID, s.ClientSecret, s.Endpoint.AuthStyle = "notes:1", secret, style
					},
				})
				h := w.host(era, accepts)
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				later(time.Minute)
				h.gets("whoami", nil, "Ada") // refreshed
				h.wantPrompts(1)
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
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{as: as})
				h := w.host(era, accepts)
				call := h.call(t.Context(), "list_notes", nil)
				code := w.person().UserCode
				later(7 * time.Second)
				w.as.Approve(code)
				(<-call).succeeds(t, "[]")
			})
		})
	}
	t.Run("form-encoded, endpoints configured", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			form := func(_ *http.Request, a *fakeas.Answer) { a.Form = a.Operation != fakeas.ListNotes }
			w := newWorld(t, setup{as: fakeas.Options{Dialect: form}, service: func(s *lazyauth.Service) {
				s.Endpoint = oauth2.Endpoint{DeviceAuthURL: s.Issuer + "/device_authorization", TokenURL: s.Issuer + "/token"}
				s.Issuer = ""
			}})
			call := w.host(era, accepts).call(t.Context(), "list_notes", nil)
			w.approves()
			(<-call).succeeds(t, "[]")
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
