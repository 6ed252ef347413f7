package connect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const clientID = "notes"

// A setup is what is particular about an office.
type setup struct {
	path    string // of the connect page; empty: /connect
	prefix  string // of the public address, which a proxy cuts off
	flows   []lazyauth.Flow
	as      fakeas.Options
	hops    bool // by other sites, before the authorization server shows its page
	connect lazyauth.ConnectOptions
	options lazyauth.Options
	service func(*lazyauth.Service)
	porter  bool // signs people in, in place of the program
	gated   bool // token requests wait until the office opens
}

// An office is an MCP server for many people with a connect page, in this process, and an authorization server.
type office struct {
	t    *testing.T
	as   *fakeas.Server
	page *lazyauth.ConnectPage
	auth *lazyauth.Interceptor
	base string // of the MCP server, as hosts and browsers see it

	service lazyauth.Service
	porter  *porter

	link  string        // of the call that a story is about
	open  func()        // opens the gate
	gate  chan struct{} // which token requests wait for; nil: they do not
	holds atomic.Bool   // browsers that come to the authorization server stay where they are
	held  chan string   // where those wanted to

	hopped atomic.Int32 // how often a browser was sent on by the authorization server's sites

	still atomic.Bool               // no page loads itself again
	slows atomic.Pointer[slowForms] // nil: forms are answered at once
}

// newOffice opens one, until the test ends. People are signed in at it by /sign-in?user=, which any site can have a
// browser load: as at a server that is not safe from login CSRF.
func newOffice(t *testing.T, s setup) *office {
	t.Helper()
	if s.path == "" {
		s.path = "/connect"
	}
	if s.flows == nil {
		s.flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	}
	ours, theirs := listens(t, mcpHost), listens(t, asHost)
	o := &office{t: t, base: ours.origin + s.prefix, held: make(chan string, 100)}

	s.connect.PublicURL = o.base + s.path
	if s.porter {
		o.porter = &porter{at: s.connect.PublicURL, to: theirs.origin + "/authorize?porter"}
		s.connect.SignIn = o.porter
	} else {
		s.connect.Who = o.who
		s.connect.SignInURL, s.connect.SignOutURL = o.base+"/sign-in", o.base+"/sign-in?user="
	}
	var err error
	if o.page, err = lazyauth.NewConnectPage(s.connect); err != nil {
		t.Fatal(err)
	}
	service := lazyauth.Service{
		Name: "Notes", Issuer: theirs.origin, ClientID: clientID, APIOrigins: []string{theirs.origin},
		Flows: s.flows, ConnectPage: o.page,
	}
	if s.service != nil {
		s.service(&service)
	}
	s.as.Issuer = theirs.origin
	s.as.People = []fakeas.Person{{Subject: "ada", Name: "Ada Example"}, {Subject: "eve", Name: "Eve Example"}}
	s.as.Clients = []fakeas.Client{{ID: clientID, Name: "Notes for agents", RedirectURIs: []string{o.page.RedirectURI(service)}}}
	if s.as.Interval == 0 {
		s.as.Interval = time.Second
	}
	o.as = fakeas.New(&s.as)
	sso := ""
	if s.hops {
		sso = o.hop(theirs.origin)
	}
	theirs.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.gate != nil && r.URL.Path == "/token" {
			<-o.gate
		}
		if sso != "" && r.URL.Path == "/authorize" && r.Method == http.MethodGet && !r.URL.Query().Has("hopped") {
			o.hopped.Add(1)
			http.Redirect(w, r, sso+r.URL.RequestURI(), http.StatusFound)
			return
		}
		if o.holds.Load() && r.URL.Path == "/authorize" && r.Method == http.MethodGet {
			o.held <- theirs.origin + r.URL.RequestURI()
			w.WriteHeader(http.StatusNoContent)
			return
		}
		o.as.ServeHTTP(w, r)
	}))
	if s.gated {
		o.gate = make(chan struct{})
		o.open = sync.OnceFunc(func() { close(o.gate) })
		t.Cleanup(o.open)
	}
	s.options.Transport = reaching
	o.service = service
	if o.auth, err = lazyauth.New(service, &s.options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.auth.Close(); err != nil {
			t.Error(err)
		}
		for _, violation := range o.as.Violations() {
			t.Error(violation)
		}
	})
	var handler http.Handler = o.endpoints(s.path)
	if s.prefix != "" {
		behind := serves(t, "localhost", handler)
		front := http.NewServeMux()
		front.Handle(s.prefix+"/", proxy(t, s.prefix, behind))
		handler = front
	}
	ours.serve(t, handler)
	return o
}

// hop is a site to which the authorization server sends people on, and which sends them back.
func (o *office) hop(back string) (origin string) {
	return serves(o.t, ssoHost, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.hopped.Add(1)
		http.Redirect(w, r, back+r.URL.RequestURI()+"&hopped=yes", http.StatusFound)
	}))
}

// sessionCookie is that of the web session: who somebody is. In a program that is one it is a secret.
const sessionCookie = "__Host-session"

func (o *office) who(r *http.Request) (lazyauth.Principal, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil || c.Value == "" {
		return lazyauth.Principal{}, errors.New("nobody is signed in")
	}
	return lazyauth.Principal{Issuer: "https://idp.test", Subject: c.Value}, nil
}

// verify takes names for bearer tokens.
func verify(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	return &auth.TokenInfo{UserID: token, Extra: map[string]any{"iss": "https://idp.test"}, Expiration: time.Now().Add(time.Hour)}, nil
}

// endpoints are the server's: of both eras, the page, and the sign-in.
func (o *office) endpoints(path string) *http.ServeMux {
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	type nothing struct{}
	lazyauth.AddTool(server, o.auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"), func(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, map[string]any, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.as.API()+"/me", nil)
		if err != nil {
			return nil, nil, err
		}
		res, err := lazyauth.Client(ctx).Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer res.Body.Close()
		var me map[string]any
		return nil, me, errors.Join(json.NewDecoder(res.Body).Decode(&me), ctx.Err())
	})
	one := func(*http.Request) *mcp.Server { return server }
	bearer := auth.RequireBearerToken(verify, nil)
	mux := http.NewServeMux()
	for era, options := range map[string]*mcp.StreamableHTTPOptions{
		modern: {Stateless: true, DisableLocalhostProtection: true, PropagateRequestCancellation: true},
		legacy: {DisableLocalhostProtection: true},
	} {
		mux.Handle("/"+era, bearer(mcp.NewStreamableHTTPHandler(one, options)))
	}
	page := o.halting(o.page)
	mux.Handle(path, page)
	mux.Handle(path+"/", page)
	mux.HandleFunc("/sign-in", func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user")
		http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: user, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Signed in</title><body data-page="web-session"><main><h1>Signed in</h1></main>`)
	})
	return mux
}

// visitor returns a browser at which a user is signed in; empty: nobody.
func (o *office) visitor(user string) *browser {
	o.t.Helper()
	b := newBrowser(o.t)
	o.hasSignedIn(b, user)
	return b
}

func (o *office) hasSignedIn(b *browser, user string) {
	o.t.Helper()
	if user != "" {
		b.opens(o.base + "/sign-in?user=" + url.QueryEscape(user))
		b.shows(200, "web-session")
	}
}

// asks has a user's host call whoami, and waits until they are asked.
func (o *office) asks(era, user string) *call {
	o.t.Helper()
	c := calls(o.t, o.base+"/"+era, era, user, "Sample Agent")
	c.as = o.as
	return c
}

// starts does not wait for that.
func (o *office) starts(era, user string) *call {
	o.t.Helper()
	c := starts(o.t, o.base+"/"+era, era, user, "Sample Agent")
	c.as = o.as
	return c
}

// leadsOn has a browser open a link and continue, and returns where that leads; the browser stays there.
func (o *office) leadsOn(b *browser, link string) (authorization string) {
	o.t.Helper()
	b.opens(link)
	b.shows(200, "consent")
	o.holds.Store(true)
	defer o.holds.Store(false)
	b.presses(goesOn)
	if at := b.seesBut(); at.Name != "leaving" {
		o.t.Fatalf("the browser shows %q: %s", at.Name, at.Text)
	}
	select {
	case authorization = <-o.held:
	case <-time.After(enough):
		o.t.Fatal("the page leads nowhere")
	}
	return authorization
}

// approves says yes at the authorization server, somewhere, and returns where that sends the browser.
func (o *office) approves(authorization, subject string) (callback string) {
	o.t.Helper()
	callback, err := o.as.ApproveURLAs(o.t.Context(), subject, authorization)
	if err != nil {
		o.t.Fatal(err)
	}
	return callback
}
