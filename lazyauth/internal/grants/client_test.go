package grants_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	editor = "https://editor.example.test/client.json"
	shell  = "https://shell.example.test/client.json"
	ours   = "https://notes.example.test/oauth/client.json"
)

// documents has a server take documents for client ids.
func documents(o fakeas.Options) fakeas.Options {
	o.ClientDocument = func(id string) ([]byte, bool) {
		return fmt.Appendf(nil, `{"client_id":%q,"client_name":"x","grant_types":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"],"token_endpoint_auth_method":"none"}`, id), true
	}
	return o
}

// accepts takes these ids of hosts.
func accepts(ids ...string) func(string) error {
	return func(id string) error {
		if slices.Contains(ids, id) {
			return nil
		}
		return grants.ErrClientRefused
	}
}

// presents demands as whom, and why, the person was asked in the flights so far.
func (w *world) presents(want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.flightsOf("client ") {
		got = append(got, strings.TrimPrefix(e.name, "client ")+" "+e.client)
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		w.t.Errorf("asked as %q, want %q", got, want)
	}
}

func (e *events) flightsOf(prefix string) []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var told []event
	for _, was := range e.list {
		if strings.HasPrefix(was.name, prefix) {
			told = append(told, was)
		}
	}
	return told
}

// Who asks is the first of: the id that was passed to the program, that which the host offers,
// that which is configured. Those that the author does not accept, or the server does not
// take, are passed over.
func TestClient_Order(t *testing.T) {
	for name, test := range map[string]struct {
		passed, offered, configured string
		accepts                     func(string) error
		unsupported                 bool
		want                        string
		against                     error
		fails                       error
	}{
		"configured":                          {configured: fakeas.DefaultClientID, want: "configured " + fakeas.DefaultClientID},
		"a document":                          {configured: ours, want: "configured " + ours},
		"a document, not taken":               {configured: ours, unsupported: true, fails: grants.ErrNoDocuments},
		"passed":                              {passed: editor, offered: shell, configured: ours, accepts: accepts(shell), want: "environment " + editor},
		"offered":                             {offered: shell, configured: ours, accepts: accepts(editor, shell), want: "host " + shell},
		"offered, nobody's accepted":          {offered: shell, configured: ours, want: "configured " + ours, against: grants.ErrClientRefused},
		"offered, another's accepted":         {offered: shell, configured: ours, accepts: accepts(editor), want: "configured " + ours, against: grants.ErrClientRefused},
		"offered alone, another's accepted":   {offered: shell, accepts: accepts(editor), fails: grants.ErrClientRefused},
		"passed, not taken":                   {passed: editor, configured: fakeas.DefaultClientID, unsupported: true, want: "configured " + fakeas.DefaultClientID, against: grants.ErrNoDocuments},
		"offered, not taken":                  {offered: shell, configured: fakeas.DefaultClientID, accepts: accepts(shell), unsupported: true, want: "configured " + fakeas.DefaultClientID, against: grants.ErrNoDocuments},
		"offered alone, not taken":            {offered: shell, accepts: accepts(shell), unsupported: true, fails: grants.ErrNoDocuments},
		"none":                                {accepts: accepts(shell), fails: grants.ErrNoClient},
		"an id that is no address is offered": {offered: "notes-cli", configured: ours, accepts: accepts(shell), want: "configured " + ours, against: grants.ErrClientRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := documents(fakeas.Options{})
				if test.unsupported {
					as.ClientDocument = nil
				}
				w := newWorld(t, setup{
					as: as, server: func(c *oauth.Config) { c.Credentials.ID = test.configured },
					client: grants.Clients{Passed: test.passed, Accepts: test.accepts},
				})
				call := w.asksAs(t.Context(), w.me, profile, caller{id: test.offered})
				if test.fails != nil {
					o := <-call
					o.fails(test.fails)
					o.fails(oauth.ErrUnsupported)
					w.wants(fakeas.DeviceAuthorization, 0)
					return
				}
				w.approves()
				g := (<-call).holds(profile)
				w.presents(test.want)
				if err := w.flightsOf("client ")[0].err; !errors.Is(err, test.against) || test.against == nil && err != nil {
					t.Errorf("against others: %v", err)
				}
				access, _ := w.as.Introspect(g.Token().AccessToken)
				if want := test.want[strings.Index(test.want, " ")+1:]; access.ClientID != want {
					t.Errorf("the token is of %q, want %q", access.ClientID, want)
				}
			})
		})
	}
}

// A grant is refreshed and revoked as the client that it was given to, whoever the program
// presents itself as by then.
func TestClient_OfAGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{
			as: documents(fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}), store: store.Memory(), client: grants.Clients{Accepts: accepts(editor, shell)},
			server: func(c *oauth.Config) { c.Credentials.ID = ours },
		})
		call := w.asksAs(t.Context(), w.me, profile, caller{id: editor})
		w.approves()
		(<-call).holds(profile)
		if !strings.Contains(w.stored(), editor) {
			t.Error("the record does not name the client")
		}
		later(2 * time.Hour)
		call = w.asksAs(t.Context(), w.me, profile, caller{id: shell})
		(<-call).holds(profile)
		w.close()

		two := w.another()
		later(2 * time.Hour)
		two.has(profile)
		two.wants(fakeas.DeviceAuthorization, 1)
		if err := two.me.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		for _, e := range two.as.Journal() {
			if (e.Operation == fakeas.Refresh || e.Operation == fakeas.Revocation) && (e.ClientID != editor || e.Outcome != fakeas.OK) {
				t.Errorf("%s as %q: %s", e.Operation, e.ClientID, e.Outcome)
			}
		}
		two.wants(fakeas.Refresh, 2)
	})
}

// Another program has the record now, whose secret is not known here: that says nothing of
// its grant, and the person is asked once.
func TestClient_AnothersSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		as := fakeas.Options{TokenLifetime: time.Hour, Clients: []fakeas.Client{{ID: "theirs", Secret: "s3cr3t-theirs"}, {ID: "mine", Secret: "s3cr3t-mine"}}}
		one := newWorld(t, setup{as: as, store: kept, server: func(c *oauth.Config) { c.Credentials = oauth.Credentials{ID: "theirs", Secret: "s3cr3t-theirs"} }})
		one.signsIn(profile)
		two := newWorld(t, setup{shared: one.as, store: kept, server: func(c *oauth.Config) { c.Credentials = oauth.Credentials{ID: "mine", Secret: "s3cr3t-mine"} }})
		two.has(profile)
		later(2 * time.Hour)
		call := two.asks(profile)
		later(time.Second)
		if !strings.Contains(two.stored(), `"theirs"`) {
			t.Error("it was removed before the person has signed in")
		}
		two.approves()
		(<-call).holds(profile)
		later(2 * time.Hour)
		two.has(profile)
		two.wants(fakeas.DeviceAuthorization, 2)
	})
}

// The program registers itself once, for all processes, and when it is needed.
func TestClient_Registered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{Registration: true, TokenLifetime: time.Hour}, store: store.Memory(), registers: true})
		later(time.Hour)
		w.wants(fakeas.Registration, 0)
		w.signsIn(profile)
		id := w.as.RegisteredClients()[0].ID
		w.presents("registered " + id)
		w.close()
		two := w.another()
		later(2 * time.Hour)
		two.has(profile) // refreshed as the registered client
		two.signsIn(write)
		two.presents("registered " + id)
		two.wants(fakeas.Registration, 1)
		two.wants(fakeas.Refresh, 1)
	})
}

// A server that gives a secret to a client that has not asked for one: it is used in every
// process, and seen in none.
func TestClient_RegisteredWithSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{
			TokenLifetime: time.Hour, Clients: []fakeas.Client{{ID: "given", Secret: "s3cr3t-given", Auth: fakeas.PostAuth}}, Registration: true,
		}, store: store.Memory(), registers: true})
		w.as.Script(fakeas.Registration, fakeas.Raw(201, map[string][]string{"Content-Type": {"application/json"}},
			`{"client_id":"given","client_secret":"s3cr3t-given","token_endpoint_auth_method":"client_secret_post","client_secret_expires_at":0,
			"registration_access_token":"s3cr3t-management","registration_client_uri":"https://as.example.test/register/given"}`))
		w.signsIn(profile)
		w.close()
		two := w.another()
		later(2 * time.Hour)
		two.has(profile)
		if err := two.me.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		two.wants(fakeas.Registration, 1)
		two.wants(fakeas.Refresh, 1)
		if strings.Contains(two.stored(), "s3cr3t") {
			t.Error("the client's secret is in the grant's record")
		}
		two.close()
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if text := w.text() + two.text() + fmt.Sprintf(verb, two.keeper); strings.Contains(text, "s3cr3t") {
				t.Errorf("a secret is in %.2000s", text)
			}
		}
	})
}

// The server has forgotten the client, and says so where a code is asked for: another one is
// registered, and the person notices nothing.
func TestClient_ForgottenBeforeASignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{Registration: true}, store: store.Memory(), registers: true})
		w.signsIn(profile)
		first := w.as.RegisteredClients()[0].ID
		later(time.Hour)
		w.as.ForgetClient(first)
		w.signsIn(write)
		second := w.as.RegisteredClients()[0].ID
		w.presents("registered "+first, "registered "+first, "registered "+second)
		if told := w.told("registered"); len(told) != 2 || told[1].former != first {
			t.Errorf("%+v", told)
		}
		w.wants(fakeas.DeviceAuthorization, 3)
	})
}

// It says so at a refresh: that is no word on the grant, which is of no use with another
// client all the same. The person is asked once.
func TestClient_ForgottenBeforeARefresh(t *testing.T) {
	for name, kept := range map[string]store.Store{"a store": store.Memory(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{Registration: true, TokenLifetime: time.Hour}, store: kept, registers: true})
				w.signsIn(profile)
				w.as.ForgetClient(w.as.RegisteredClients()[0].ID)
				later(2 * time.Hour)
				call := w.asks(profile)
				w.approves()
				(<-call).holds(profile)
				later(2 * time.Hour)
				w.has(profile)
				w.wants(fakeas.Registration, 2)
				w.wants(fakeas.DeviceAuthorization, 2)
				if ended := w.told("refresh failed"); len(ended) != 1 || ended[0].ended {
					t.Errorf("%+v", ended)
				}
			})
		})
	}
}

// It says so when the person has approved: the sign-in ends, and the next one is another
// client's.
func TestClient_ForgottenDuringASignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{Registration: true}, registers: true})
		call := w.asks(profile)
		code := w.person().UserCode
		w.as.ForgetClient(w.as.RegisteredClients()[0].ID)
		(<-call).fails(oauth.ErrRefused)
		if err := w.as.Deny(code); err != nil {
			t.Error(err)
		}
		(<-w.asks(profile)).fails(oauth.ErrRefused)
		w.wants(fakeas.DeviceAuthorization, 1)
		later(time.Minute)
		w.signsIn(profile)
		w.wants(fakeas.Registration, 2)
	})
}

// A server that forgets each client at once gets no more of them than one a minute, whoever
// is asked.
func TestClient_NoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{Registration: true}, store: store.Memory(), registers: true})
		w.as.Script(fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client").Times(-1))
		for n := range 600 {
			who := w.keeper.Owner(grants.Principal{Issuer: "i", Subject: fmt.Sprint(n)})
			(<-w.asksAs(t.Context(), who, profile, caller{})).fails(oauth.ErrRefused)
			later(time.Second)
		}
		if n := w.as.Count(fakeas.Registration, ""); n < 2 || n > 5 {
			t.Errorf("%d registrations in ten minutes", n)
		}
	})
}

// A server that registers nobody.
func TestClient_NoRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{registers: true})
		(<-w.asks(profile)).fails(grants.ErrNoRegistration)
		w.wants(fakeas.DeviceAuthorization, 0)
	})
}

// What a document's address has to be, so that all read it in one way.
func TestCheckDocument(t *testing.T) {
	for id, host := range map[string]string{
		"https://editor.example.test/client.json": "editor.example.test", "https://editor.example.test:8443/a/b": "editor.example.test:8443",
		"https://[::1]/client": "[::1]",
		"":                     "", "notes-cli": "", "https://": "", "https:///x": "", "http://editor.example.test/x": "", "https://editor.example.test": "", "https://editor.example.test/": "",
		"https://editor.example.test/x?y": "", "https://editor.example.test/x?": "", "https://editor.example.test/x#y": "", "https://editor.example.test/x#": "",
		"https://me@editor.example.test/x": "", "https://Editor.example.test/x": "", "https://editor.example.test./x": "", "https://editor.example.test:/x": "",
		"https://editor.example.test/./x": "", "https://editor.example.test/x/..": "", "https://editor.example.test/%2e%2e/x": "", "https://editor.example.test/x y": "",
		"https://editor.example.test\\@evil.test/x": "", "https://editor.example.test/é": "", "HTTPS://editor.example.test/x": "", "https:editor.example.test/x": "",
		"https://editor.example.test/" + strings.Repeat("x", 2048): "", "https://ed%69tor.example.test/x": "", "https://*.example.test/x": "", "https://a,b/x": "",
	} {
		got, err := grants.CheckDocument(id)
		if got != host || (err == nil) != (host != "") {
			t.Errorf("%.60q: %q, %v; want %q", id, got, err, host)
		}
		if err != nil && strings.Contains(err.Error(), "example") {
			t.Errorf("it is quoted: %v", err)
		}
	}
}

func FuzzCheckDocument(f *testing.F) {
	f.Add("https://editor.example.test/client.json")
	f.Add("https://a@b:1/%2e/..#?")
	f.Fuzz(func(t *testing.T, id string) {
		host, err := grants.CheckDocument(id)
		if err == nil && (!strings.HasPrefix(id, "https://"+host+"/") || !grants.IsDocument(id) || strings.ContainsAny(host, "/@?#\\ ")) {
			t.Errorf("%q has the host %q", id, host)
		}
	})
}
