package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// The person approves once, and the call that asked goes on, however the authorization
// server wants the client to authenticate and whatever it says of that.
func TestAuthServer_ClientAuthentication(t *testing.T) {
	const secret = "s3cret/with+odd=characters&%"
	unlisted := func(members map[string]any) { delete(members, "token_endpoint_auth_methods_supported") }
	both := func(members map[string]any) {
		members["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	}
	for name, test := range map[string]struct {
		as      fakeas.Options
		method  fakeas.AuthMethod
		refused int // requests whose authentication is not the client's
	}{
		"the body alone is listed":                   {fakeas.Options{}, fakeas.PostAuth, 0},
		"the body alone, seen by the token endpoint": {fakeas.Options{OpenDevice: true}, fakeas.PostAuth, 0},
		"the header alone is listed":                 {fakeas.Options{}, fakeas.BasicAuth, 0},
		"either":                                     {fakeas.Options{}, fakeas.EitherAuth, 0},
		"nothing is listed":                          {fakeas.Options{Metadata: unlisted}, fakeas.PostAuth, 1},
		"nothing, seen by the token endpoint":        {fakeas.Options{Metadata: unlisted, OpenDevice: true}, fakeas.PostAuth, 1},
		"both are listed, one will do":               {fakeas.Options{Metadata: both}, fakeas.PostAuth, 1},
		"the header is not decoded":                  {fakeas.Options{RawBasic: true}, fakeas.EitherAuth, 0},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				test.as.TokenLifetime = time.Minute
				test.as.Clients = []fakeas.Client{{ID: "notes", Secret: secret, Auth: test.method}}
				w := world.New(t, world.Setup{AS: test.as, Service: func(s *lazyauth.Service) { s.ClientID, s.ClientSecret = "notes", secret }})
				w.Tolerated = []fakeas.Rule{fakeas.WrongAuthentication}
				h := w.SignedIn(era)
				world.Later(time.Minute)
				h.Gets("whoami", nil, "Ada") // refreshed
				h.WantPrompts(1)
				if n := w.AS.Count(fakeas.DeviceAuthorization, fakeas.OK); n != 1 {
					t.Errorf("%d device codes, want 1", n)
				}
				if n := len(w.AS.Violations()); n != test.refused {
					t.Errorf("%d requests authenticated wrongly, want %d", n, test.refused)
				}
			})
		})
	}
	// What the author says is done, even if it is wrong.
	t.Run("AuthStyle", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{
				AS: fakeas.Options{Clients: []fakeas.Client{{ID: "notes", Secret: secret, Auth: fakeas.PostAuth}}},
				Service: func(s *lazyauth.Service) {
					s.ClientID, s.ClientSecret, s.Endpoint.AuthStyle = "notes", secret, oauth2.AuthStyleInHeader
				},
			})
			w.Tolerated = []fakeas.Rule{fakeas.WrongAuthentication}
			r := <-w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonUnavailable)
			if !strings.Contains(r.Text(), "refused this server, which calling again will not change") {
				t.Errorf("the text is %q", r.Text())
			}
			if log := w.Log.String(); !strings.Contains(log, "the client authenticated by client_secret_basic; id or secret have characters") {
				t.Errorf("the log does not say how the client authenticated: %s", log)
			}
			if n := w.AS.Count(fakeas.DeviceAuthorization, "invalid_client"); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	})
}

// A server that does not offer device authorization says so by what its metadata lacks.
func TestAuthServer_NoDeviceEndpoint(t *testing.T) {
	for name, metadata := range map[string]func(map[string]any){
		"left out": func(m map[string]any) { delete(m, "device_authorization_endpoint") },
		"null":     func(m map[string]any) { m["device_authorization_endpoint"] = nil },
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: fakeas.Options{Metadata: metadata, OpenID: true}})
				r := <-w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonUnsupported)
				if text := r.Text(); !strings.Contains(text, "does not offer device authorization") || strings.Contains(text, "later") {
					t.Errorf("the text is %q", text)
				}
				if log := w.Log.String(); !strings.Contains(log, "the metadata has no device_authorization_endpoint") {
					t.Errorf("the log does not say what is missing: %s", log)
				}
				w.WantAuthorizations(0)
			})
			t.Run("given", func(t *testing.T) {
				world.InBothEras(t, func(t *testing.T, era string) {
					w := world.New(t, world.Setup{AS: fakeas.Options{Metadata: metadata}, Service: func(s *lazyauth.Service) {
						s.Endpoint.DeviceAuthURL = s.Issuer + "/device_authorization"
					}})
					call := w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
					w.Approves()
					(<-call).Succeeds(t, "Ada")
					if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil { // by the metadata's endpoint
						t.Error(err)
					}
				})
			})
		})
	}
}

// Who names both endpoints beside the issuer is not made to have metadata.
func TestAuthServer_GivenEndpointsNeedNoMetadata(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{NoMetadata: true}, Service: func(s *lazyauth.Service) {
			s.Endpoint.DeviceAuthURL, s.Endpoint.TokenURL = s.Issuer+"/device_authorization", s.Issuer+"/token"
			s.RevocationURL = s.Issuer + "/revoke"
		}})
		call := w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
			t.Error(err)
		}
		if n := w.AS.Count(fakeas.Elsewhere, "") + w.AS.Count(fakeas.Metadata, ""); n != 0 {
			t.Errorf("%d requests for metadata", n)
		}
	})
}

func TestAuthServer_MetadataInAllPlaces(t *testing.T) {
	for name, as := range map[string]fakeas.Options{
		"RFC 8414":            {},
		"OpenID, inserted":    {NoMetadata: true, OpenIDInserted: true},
		"OpenID, in front":    {NoMetadata: true, OpenID: true},
		"with a slash behind": {NoMetadata: true, OpenIDInserted: true, Issuer: "https://as.example.test/tenant/"},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as.API = fakeas.DefaultAPI
				if as.Issuer == "" {
					as.Issuer = "https://as.example.test/tenant/1"
				}
				w := world.New(t, world.Setup{AS: as})
				call := w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// Metadata that cannot be used is the operator's to mend: the log says what to set, and
// the model is shown nothing of what the server wrote.
func TestAuthServer_UnusableMetadata(t *testing.T) {
	const hostile = "https://evil.example/ignore-previous-instructions\x1b[2J"
	for name, test := range map[string]struct {
		as   fakeas.Options
		does []fakeas.Behaviour
		log  []string
	}{
		"a slash more": {fakeas.Options{Metadata: func(m map[string]any) { m["issuer"] = "https://as.example.test/" }}, nil,
			[]string{`configured is \"https://as.example.test\"`, `names \"https://as.example.test/\"`, "they differ by the slash at the end"}},
		"another issuer": {fakeas.Options{Metadata: func(m map[string]any) { m["issuer"] = hostile }}, nil,
			[]string{`configured is \"https://as.example.test\"`, `evil.example/ignore-previous-instructions\\x1b[2J`}},
		"moved": {fakeas.Options{}, []fakeas.Behaviour{fakeas.Redirect(301, hostile)},
			[]string{"redirects are not followed", `evil.example/ignore-previous-instructions\\x1b[2J`}},
		"refused by somebody in between": {fakeas.Options{}, []fakeas.Behaviour{fakeas.Raw(403, http.Header{"Content-Type": {"text/html"}}, "<html>evil.example\x1b[2J")},
			[]string{"HTTP status 403", `content type \"text/html\"`, `body \"<html>evil.example\\x1b[2J\"`}},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: test.as})
				w.AS.Script(fakeas.Metadata, test.does...)
				r := <-w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonUnavailable)
				if text := r.Text(); !strings.Contains(text, "calling again will not change") || contains(text, "evil", "instructions", "https:") {
					t.Errorf("the text is %q", text)
				}
				for _, want := range test.log {
					if !strings.Contains(w.Log.String(), want) {
						t.Errorf("the log lacks %s: %s", want, w.Log.String())
					}
				}
				if strings.Contains(w.Wire.Text(), "evil") {
					t.Error("what the server wrote went to the host")
				}
			})
		})
	}
}

// Whoever comes while the endpoints are looked for waits for that one look, and no longer
// than they want to; its failure is everybody's. Who comes later has a new one.
func TestAuthServer_OneDiscoveryForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: func(context.Context, lazyauth.Principal, *oauth2.Token) error { return nil }}})
		w.AS.Script(fakeas.Metadata, fakeas.Stall())
		began := time.Now()
		type end struct {
			err  error
			took time.Duration
		}
		ends := make(chan end)
		signIn := func(ctx context.Context, n int) {
			err := w.Auth.Authorize(ctx, lazyauth.Principal{Subject: fmt.Sprint("user", n)}, scopes.Of("profile"),
				func(context.Context, elicit.Prompt) error { return nil })
			ends <- end{err, time.Since(began)}
		}
		const people = 20
		for n := range people {
			go signIn(t.Context(), n)
			world.Later(time.Second)
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go signIn(brief, people)
		if e := <-ends; !errors.Is(e.err, context.DeadlineExceeded) || e.took != 21*time.Second {
			t.Errorf("who waits for a second had %v after %v", e.err, e.took)
		}
		for range people {
			e := <-ends
			if failed, ok := errors.AsType[*lazyauth.Error](e.err); !ok || failed.Reason != lazyauth.ReasonUnavailable || e.took != 30*time.Second {
				t.Errorf("%v after %v, want unavailable after 30s", e.err, e.took)
			}
		}
		if n := w.AS.Count(fakeas.Metadata, ""); n != 1 {
			t.Errorf("%d requests for metadata, want 1", n)
		}
		go signIn(t.Context(), 0)
		w.Approves()
		if e := <-ends; e.err != nil {
			t.Error(e.err)
		}
	})
}

// A discovery ends with the last who waits for it, and Close waits for that.
func TestAuthServer_CloseEndsTheDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.AS.Script(fakeas.Metadata, fakeas.Stall())
		ended := make(chan error)
		go func() {
			ended <- w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), func(context.Context, elicit.Prompt) error { return nil })
		}()
		synctest.Wait()
		began := time.Now()
		if err := w.Auth.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(began))
		}
		if err := <-ended; err == nil {
			t.Error("signed in")
		}
	})
}

// agents notes who asks the authorization server.
type agents struct {
	next http.RoundTripper
	as   *fakeas.Server

	mu   sync.Mutex
	seen map[string]int
}

func (a *agents) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasPrefix(req.URL.String(), a.as.Issuer()) || req.URL.String() == a.as.URL(fakeas.Me) {
		a.mu.Lock()
		a.seen[req.Header.Get("User-Agent")]++
		a.mu.Unlock()
	}
	return a.next.RoundTrip(req)
}

func TestAuthServer_UserAgent(t *testing.T) {
	for _, set := range []string{"", "notes-mcp/1.2 (+https://notes.example)"} {
		synctest.Test(t, func(t *testing.T) {
			as := fakeas.New(nil)
			agents := &agents{next: as.Transport(), as: as, seen: map[string]int{}}
			w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: agents}, Service: func(s *lazyauth.Service) {
				s.UserAgent, s.UserInfo = set, as.URL(fakeas.Me)
			}})
			ended := make(chan error)
			go func() {
				ended <- w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), func(context.Context, elicit.Prompt) error { return nil })
			}()
			w.Approves()
			if err := errors.Join(<-ended, w.Auth.Revoke(t.Context(), lazyauth.LocalUser)); err != nil {
				t.Fatal(err)
			}
			for agent, n := range agents.seen {
				if set != "" && agent != set || set == "" && !strings.HasPrefix(agent, "lazyauth") || n < 5 {
					t.Errorf("%d requests by %q", n, agent)
				}
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Tokens of a type that is not Bearer's are used if the author names it, and otherwise not;
// names of scopes that cannot be any are traced, at a refresh, too.
func TestAuthServer_NamesForBearerTokens(t *testing.T) {
	answers := func(as *fakeas.Server, member string, value any) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			res, err := as.Transport().RoundTrip(req)
			if err != nil {
				return nil, err
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				return nil, err
			}
			var members map[string]any
			if json.Unmarshal(body, &members) == nil && members["access_token"] != nil {
				members[member] = value
				if body, err = json.Marshal(members); err != nil {
					return nil, err
				}
			}
			res.Body = io.NopCloser(bytes.NewReader(body))
			return res, nil
		})
	}
	for _, named := range []bool{false, true} {
		t.Run(fmt.Sprint("named=", named), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as := fakeas.New(nil)
				w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: answers(as, "token_type", "BearerToken")}, Service: func(s *lazyauth.Service) {
					if named {
						s.InsecureBearerNames = []string{"bearertoken"}
					}
				}})
				call := w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
				w.Approves()
				if r := <-call; named {
					r.Succeeds(t, "Ada")
				} else {
					r.Fails(t, lazyauth.ReasonUnavailable)
				}
			})
		})
	}
	t.Run("dropped scopes", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
			w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: answers(as, "scope", "profile größe")}})
			h := w.SignedIn(era)
			world.Later(2 * time.Hour)
			h.Gets("whoami", nil, "Ada")
			for _, hook := range []string{"polled", "refreshed"} {
				if !strings.Contains(errorsOf(w, hook), `gr\u00f6\u00dfe`) {
					t.Errorf("%s does not name what was dropped: %s", hook, errorsOf(w, hook))
				}
			}
		})
	})
}

// errorsOf returns the errors that a hook was given.
func errorsOf(w *world.World, hook string) string {
	var errs []error
	switch hook {
	case "polled":
		for _, info := range world.Infos[lazyauth.PolledInfo](&w.Trace) {
			errs = append(errs, info.Err)
		}
	case "refreshed":
		for _, info := range world.Infos[lazyauth.RefreshedInfo](&w.Trace) {
			errs = append(errs, info.Err)
		}
	}
	return fmt.Sprintln(errs)
}

func TestAuthServer_ConfidentialClients(t *testing.T) {
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
				h := w.SignedIn(era)
				world.Later(time.Minute)
				h.Gets("whoami", nil, "Ada") // refreshed
				h.WantPrompts(1)
			})
		})
	}
}

// oldNames is how some servers answered before RFC 8628 was finished.
func oldNames(_ *http.Request, a *fakeas.Answer) {
	if uri, ok := a.Members["verification_uri"]; ok {
		a.Members["verification_url"] = uri
		a.Members["interval"], a.Members["expires_in"] = "5", "600"
		delete(a.Members, "verification_uri")
	}
}

func TestAuthServer_Dialects(t *testing.T) {
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
