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

// What the author says of how the client authenticates is done, even if it is wrong.
func TestAuthServer_AuthStyle(t *testing.T) {
	const secret = "s3cret/with+odd=characters&%"
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

// A server without an issuer, whose answers are forms.
func TestAuthServer_FormEncoded(t *testing.T) {
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
}
