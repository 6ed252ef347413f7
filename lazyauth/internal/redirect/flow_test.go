package redirect_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func config(change func(*redirect.Config)) redirect.Config {
	c := redirect.Config{Client: newServer()}
	change(&c)
	return c
}

// What a server must have, and what an author must not say.
func TestNew(t *testing.T) {
	as := func(change func(*server)) redirect.Config {
		s := newServer()
		change(s)
		return redirect.Config{Client: s}
	}
	for name, test := range map[string]struct {
		config redirect.Config
		kind   error // nil: the text is all
		text   string
	}{
		"no endpoint":           {as(func(s *server) { s.endpoints.Authorization = "" }), oauth.ErrUnsupported, "authorization endpoint"},
		"no codes":              {as(func(s *server) { s.endpoints.Features.NoCode = true }), oauth.ErrUnsupported, "authorization endpoint"},
		"no S256":               {as(func(s *server) { s.endpoints.Features.S256 = false }), authcode.ErrNoPKCE, "S256"},
		"pushed only, nowhere":  {as(func(s *server) { s.endpoints.Features.PushedOnly = true }), oauth.ErrUnsupported, "pushed"},
		"http":                  {as(func(s *server) { s.endpoints.Authorization = "http://as.example/authorize" }), nil, "is not https"},
		"a state in it":         {as(func(s *server) { s.endpoints.Authorization += "&state=1" }), nil, "parameter state"},
		"no client":             {redirect.Config{}, nil, "client"},
		"no client id":          {as(func(s *server) { s.id = "" }), nil, "id"},
		"a life of seconds":     {config(func(c *redirect.Config) { c.Life = time.Second }), nil, "Life"},
		"a life of days":        {config(func(c *redirect.Config) { c.Life = 48 * time.Hour }), nil, "Life"},
		"a service of controls": {config(func(c *redirect.Config) { c.Service = "a\x1b[31m" }), nil, "Service"},
		"a foreign URI":         {config(func(c *redirect.Config) { c.RedirectURI = "http://192.0.2.1/callback" }), nil, "redirect URI"},
	} {
		_, err := redirect.New(test.config)
		if err == nil || test.kind != nil && !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", name, err)
		}
		if early := test.config.Check(); early != nil && early.Error() != err.Error() {
			t.Errorf("%s: %v before there is a client, %v with one", name, early, err)
		}
	}
	if err := (redirect.Config{RedirectURI: "http://192.0.2.1/"}).Check(); err == nil {
		t.Error("Check finds nothing")
	}
	for _, name := range []string{
		"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state", "code_challenge",
		"code_challenge_method", "request", "request_uri", "login_hint", "id_token_hint", "State", "LOGIN_HINT",
	} {
		if _, err := redirect.New(as(func(s *server) { s.params = url.Values{name: {"x"}} })); err == nil || !strings.Contains(err.Error(), strings.ToLower(name)) {
			t.Errorf("with the parameter %s: %v", name, err)
		}
	}
	noPKCE := as(func(s *server) { s.endpoints.Features.S256 = false })
	noPKCE.InsecureAssumePKCE = true
	if _, err := redirect.New(noPKCE); err != nil {
		t.Errorf("InsecureAssumePKCE: %v", err)
	}
	flow, err := redirect.New(config(func(*redirect.Config) {}))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []redirect.Request{{Link: 7}, {Prompt: "whatever"}, {LoginHint: "a\nb"}, {LoginHint: strings.Repeat("a", 257)}} {
		if _, err := flow.Begin(t.Context(), r, nothingMore); err == nil {
			t.Errorf("begun with %+v", r)
		}
	}
}

// A prompt that is the author's, and the same for everybody (Google gives refresh tokens with
// prompt=consent alone), stands in a plain link; the person's own does not.
func TestPrompt_OfTheAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Prompt: "login"}, server: func(s *server) { s.params = url.Values{"prompt": {"consent"}} }})
		if got := parameters(t, w.auth.Link())["prompt"]; len(got) != 1 || got[0] != "consent" {
			t.Errorf("prompt %q", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened, Prompt: "login"}, server: func(s *server) { s.params = url.Values{"prompt": {"consent"}} }})
		if got := parameters(t, w.browser().get(w.auth.Link()).location)["prompt"]; len(got) != 1 || got[0] != "login" {
			t.Errorf("prompt %q", got)
		}
	})
}

// The challenge is sent though the server is only assumed to look at it.
func TestAssumePKCE_StillSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: func(s *server) { s.endpoints.Features.S256 = false }, config: func(c *redirect.Config) { c.InsecureAssumePKCE = true }})
		if got := parameters(t, w.auth.Link()); got.Get("code_challenge_method") != "S256" || got.Get("code_challenge") == "" {
			t.Errorf("request %v", got)
		}
	})
}

// One path for each issuer and client, the same in each sign-in, and by a name that outlives
// the client's id.
func TestCallbackPath(t *testing.T) {
	at := func(id, name, service, issuer string) string {
		var path string
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{
				config: func(c *redirect.Config) { c.Name, c.Service = name, service },
				server: func(s *server) { s.id, s.endpoints.Issuer = id, issuer },
			})
			u, _ := url.Parse(w.auth.RedirectURI())
			path = u.Path
		})
		return path
	}
	first := at("notes-client", "", "Notes", issuer)
	if again := at("notes-client", "", "Other", issuer); again != first {
		t.Errorf("%s and %s", first, again)
	}
	if registered := redirect.URIOf(issuer, "notes-client", ""); registered != "http://127.0.0.1"+first {
		t.Errorf("to be registered: %s, used: %s", registered, first)
	}
	if at("notes-client", "", "Notes", issuer+"/tenant") == first || at("other", "", "Notes", issuer) == first {
		t.Error("another issuer or client has the same path")
	}
	if one, other := at("id-1", "registered", "", issuer), at("id-2", "registered", "", issuer); one != other {
		t.Errorf("the id is in the path: %s and %s", one, other)
	}
}

// A port that is taken is an error that names it, and no other is used.
func TestPort_Taken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{config: func(c *redirect.Config) { c.RedirectURI = "http://127.0.0.1:8085/cb" }})
		if w.auth.RedirectURI() != "http://127.0.0.1:8085/cb" {
			t.Errorf("redirect URI %s", w.auth.RedirectURI())
		}
		// By another sign-in of this program:
		_, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if p, ok := errors.AsType[*redirect.PortError](err); !ok || !p.Ours || !errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:8085") {
			t.Errorf("error %v", err)
		}
		// By another program:
		w.machine.Take("127.0.0.1:9000", true)
		flow, err := redirect.New(config(func(c *redirect.Config) { c.RedirectURI, c.Listen = "http://127.0.0.1:9000/cb", w.machine.Listen }))
		if err != nil {
			t.Fatal(err)
		}
		before := w.machine.Listening()
		_, err = flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if p, ok := errors.AsType[*redirect.PortError](err); !ok || p.Ours || p.Address != "127.0.0.1:9000" || !errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:9000") {
			t.Errorf("error %v", err)
		}
		if w.machine.Listening() != before {
			t.Error("something else is listened on")
		}
	})
}

// So is one that another sign-in is only about to use, be it as another client.
func TestPort_Ours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(pipenet.Machine)
		flow, err := redirect.New(config(func(c *redirect.Config) { c.RedirectURI, c.Listen = "http://127.0.0.1:8085/cb", m.Listen }))
		if err != nil {
			t.Fatal(err)
		}
		other := newServer()
		other.id = "another-client"
		as, err := flow.As(other)
		if err != nil {
			t.Fatal(err)
		}
		isOurs := func(err error) bool {
			p, ok := errors.AsType[*redirect.PortError](err)
			return ok && p.Ours
		}
		first, err := flow.Begin(t.Context(), redirect.Request{}, func(context.Context) scopes.Set {
			for _, flow := range []*redirect.Flow{flow, as} {
				if _, err := flow.Begin(t.Context(), redirect.Request{}, nothingMore); !isOurs(err) {
					t.Errorf("while it begins: %v", err)
				}
			}
			return scopes.Of("notes:read")
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := as.Begin(t.Context(), redirect.Request{}, nothingMore); !isOurs(err) {
			t.Errorf("while it runs: %v", err)
		}
		first.Finish(canceled(), redirect.Outcome{})
		// One that could not be begun keeps nobody out, and the last page of one client does not.
		if _, err := flow.Begin(t.Context(), redirect.Request{Link: 7}, nothingMore); err == nil {
			t.Error("begun without a link")
		}
		w := &world{T: t, machine: m, server: newServer(), flow: as}
		w.begin(redirect.Request{})
		if got := parameters(t, w.auth.Link()).Get("client_id"); got != "another-client" {
			t.Errorf("client %s", got)
		}
		w.back(w.browser(), "code", "good", "state", w.state(nil))
		w.token()
		finished := make(chan struct{})
		go func() {
			w.auth.Finish(t.Context(), redirect.Outcome{})
			close(finished)
		}()
		synctest.Wait()
		last, err := flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if err != nil {
			t.Fatal(err)
		}
		<-finished
		last.Finish(canceled(), redirect.Outcome{})
	})
}

// The last page of one sign-in does not keep the next from the port.
func TestPort_TakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{config: func(c *redirect.Config) { c.RedirectURI = "http://127.0.0.1:8085/cb" }})
		b := w.browser()
		w.back(b, "code", "good", "state", w.state(b))
		w.token()
		former, ended := w.auth, make(chan struct{})
		go func() {
			former.Finish(t.Context(), redirect.Outcome{})
			close(ended)
		}()
		synctest.Wait()
		began := time.Now()
		w.begin(redirect.Request{})
		<-ended
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %v for the port", took)
		}
		w.back(b, "code", "good", "state", w.state(b))
		w.token()
	})
}

// A sign-in that has ended, and of which the account is still being asked for, gives the port
// up soon; if not, the next one says who has it.
func TestPort_WaitedFor(t *testing.T) {
	for after, ok := range map[time.Duration]bool{2 * time.Second: true, 20 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{config: func(c *redirect.Config) { c.RedirectURI = "http://127.0.0.1:8085/cb" }})
			b := w.browser()
			w.back(b, "code", "good", "state", w.state(b))
			w.token()
			former, ended := w.auth, make(chan struct{})
			go func() {
				time.Sleep(after)
				former.Finish(t.Context(), redirect.Outcome{})
				close(ended)
			}()
			began := time.Now()
			auth, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore)
			took := time.Since(began)
			if _, isPort := errors.AsType[*redirect.PortError](err); ok && (err != nil || took != after) || !ok && (!isPort || took != 5*time.Second) {
				t.Errorf("after %v: %v", took, err)
			}
			if auth != nil {
				auth.Finish(canceled(), redirect.Outcome{})
			}
			<-ended
		})
	}
}

// A callback of the caller's that panics leaves nothing open.
func TestBegin_Panics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(pipenet.Machine)
		flow, err := redirect.New(config(func(c *redirect.Config) { c.Listen = m.Listen }))
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = flow.Begin(t.Context(), redirect.Request{}, func(context.Context) scopes.Set { panic("want") })
		}()
		if m.Listening() != 0 {
			t.Error("it still listens")
		}
	})
}
