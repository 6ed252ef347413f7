package grants_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/registration"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What the tools of the stories need.
var (
	profile = scopes.Of("profile")
	read    = scopes.Of("notes:read")
	write   = scopes.Of("notes:write")
)

// later lets time pass, and what happens then come to rest.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A world is an authorization server with its API, and one process that keeps grants from
// it. When its story ends it checks what must hold in each: the authorization server saw no
// violation, nothing goes on after Close, and no secret is in an error.
type world struct {
	t      *testing.T
	as     *fakeas.Server
	setup  setup
	keeper *grants.Keeper
	me     *grants.Owner // the local user
	events
	issued
	flights *pending.Flights // with setup.shares

	tolerated []fakeas.Rule // violations that the story is about
}

type setup struct {
	as     fakeas.Options
	shared *fakeas.Server                            // instead of one with those options: another world's
	wire   func(http.RoundTripper) http.RoundTripper // between the server and everybody
	client grants.Clients                            // as whom the program can present itself
	server func(c *oauth.Config)                     // what is known of the authorization server, and the client
	keeper func(w *world, config *grants.Config)     // how grants are kept; by default in memory, and no scope is the service's own
	store  store.Store

	registers bool // the program registers itself, and has no client id
	shares    bool // sign-ins under way are in the store
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, as: s.shared, setup: s}
	if w.as == nil {
		w.as = fakeas.New(&s.as)
	}
	next := w.as.Transport()
	if s.wire != nil {
		next = s.wire(next)
	}
	transport := listener{next, &w.issued}
	client := oauth.Config{
		Endpoints: oauth.Endpoints{Issuer: w.as.Issuer()}, Credentials: oauth.Credentials{ID: fakeas.DefaultClientID}, Transport: transport,
	}
	if s.server != nil {
		s.server(&client)
	}
	clients := s.client
	if s.registers {
		client.Credentials = oauth.Credentials{}
		clients.Registrar = registration.New(registration.Config{
			Metadata: func(oauth.Endpoints) oauth.ClientMetadata {
				return oauth.ClientMetadata{ClientName: "Notes", GrantTypes: []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}}
			},
			Store: s.store, Key: func(oauth.ClientMetadata) string { return "the client of notes" }, Observer: &w.events,
		})
	}
	server, err := grants.NewAuthorizationServer(client, clients, false, device.Offered)
	if err != nil {
		t.Fatal(err)
	}
	config := grants.Config{
		Service: "Notes", Words: func(scopes.Set) []string { return nil }, Ways: []grants.Way{grants.DeviceFlow{Server: server, Schedule: schedule.New(8)}}, Server: server,
		Declared:   func() scopes.Set { return scopes.Of("profile", "notes:read", "notes:write") },
		MaxSignIns: 1000, MaxWaiting: 16_000,
		Store: s.store, Key: func(who grants.Principal) string { return "notes of " + who.Key() },
		Transport: transport, Observer: &w.events,
	}
	if s.shares {
		flights := pending.New(s.store)
		config.Ways = []grants.Way{grants.Remembering{Flights: flights, Key: flightKey, Way: grants.DeviceFlow{
			Server: server, Schedule: schedule.New(8), Flights: flights, Key: flightKey, Failed: func(_ context.Context, who grants.Principal, err error) {
				w.add(event{name: "flight's store failed", who: who, err: err})
			},
		}}}
		config.Forgotten = func(ctx context.Context, who grants.Principal) error {
			token, err := flights.Forget(ctx, flightKey(who), nil)
			if token != nil {
				err = errors.Join(err, server.RevokeToken(ctx, token))
			}
			return err
		}
		w.flights = flights
	}
	if s.keeper != nil {
		s.keeper(w, &config)
	}
	w.keeper = grants.New(config)
	w.me = w.keeper.Owner(grants.Principal{})
	t.Cleanup(func() {
		w.close()
		w.check()
	})
	return w
}

// another returns another process at the same server, with the same store.
func (w *world) another() *world {
	w.t.Helper()
	s := w.setup
	s.shared = w.as
	return newWorld(w.t, s)
}

// close ends the process, and returns what it has left to revoke.
func (w *world) close() []*grants.Grant {
	w.t.Helper()
	left := w.keeper.Close()
	if still := w.keeper.Join(5 * time.Second); still != nil {
		w.t.Errorf("these did not end: %q", still)
	}
	return left
}

func flightKey(who grants.Principal) string { return "flight of " + who.Key() }

func (w *world) check() {
	for _, v := range w.as.Violations() {
		if !slices.Contains(w.tolerated, v.Rule) {
			w.t.Errorf("violation: %v", v)
		}
	}
	text := w.text()
	for _, secret := range w.all() {
		if strings.Contains(text, secret) {
			w.t.Error("a secret is in an error")
		}
	}
}

// A caller is an Asker that waits for an hour, unless its context ends.
type caller struct {
	id      string                  // of the client that the host offers
	program string                  // what the host calls itself
	left    time.Duration           // of its wait for anything but a person; zero: an hour
	may     func(begins bool) error // whether the person may be asked; nil: they may
	shown   func(f *grants.Flight)  // is called when there is a prompt
}

func (c caller) Weight() int { return 1 }

func (c caller) Tool() string { return "tool" }

func (c caller) MayAsk(begins bool) error {
	if c.may == nil {
		return nil
	}
	return c.may(begins)
}

func (c caller) Link() grants.Link { return grants.LinkShown }

func (c caller) ClientID() string { return c.id }

func (c caller) Program() string { return c.program }

func (c caller) CallersClient() string { return "" }

func (c caller) Left() time.Duration {
	if c.left == 0 {
		return time.Hour
	}
	return c.left
}

func (c caller) Follow(ctx context.Context, f *grants.Flight) error {
	f.CountCall()
	select {
	case <-f.Ready():
		f.CountPrompt()
		if c.shown != nil {
			c.shown(f)
		}
	case <-f.Done():
	case <-ctx.Done():
	}
	select {
	case <-f.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leaves is a caller who looks at the prompt, and goes.
type leaves struct{ caller }

var errLeft = errors.New("left")

func (leaves) Follow(ctx context.Context, f *grants.Flight) error {
	select {
	case <-f.Ready():
		return errLeft
	case <-f.Done():
		_, _, err := f.Result()
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An outcome is what came of asking for a grant.
type outcome struct {
	w     *world
	grant *grants.Grant
	err   error
}

// asks has the local user's grant asked for, with this need.
func (w *world) asks(need scopes.Requirement) <-chan outcome {
	return w.asksAs(w.t.Context(), w.me, need, caller{})
}

func (w *world) asksAs(ctx context.Context, o *grants.Owner, need scopes.Requirement, c caller) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		g, err := o.Obtain(ctx, need, c)
		if err != nil {
			w.said(err)
		}
		out <- outcome{w, g, err}
	}()
	return out
}

// holds demands that a grant was had which is good for this at the API, and returns it.
func (o outcome) holds(want scopes.Set) *grants.Grant {
	o.w.t.Helper()
	if o.err != nil {
		o.w.t.Fatalf("there is no grant: %v", o.err)
	}
	if !o.grant.Covers(want) {
		o.w.t.Errorf("the grant holds %q, alive %t; want %q", o.grant.Held(), o.grant.Alive(), want)
	}
	o.w.works(o.grant, want)
	return o.grant
}

// fails demands that there was no grant, for this reason.
func (o outcome) fails(want error) {
	o.w.t.Helper()
	if o.err == nil || !errors.Is(o.err, want) {
		o.w.t.Errorf("the error is %v, want %v", o.err, want)
	}
}

// works demands that the API accepts a grant for these scopes.
func (w *world) works(g *grants.Grant, want scopes.Set) {
	w.t.Helper()
	access, ok := w.as.Introspect(g.Token().AccessToken)
	if has := scopes.Of(access.Scopes...); !ok || !has.Covers(want) {
		w.t.Errorf("the token is good for %q (%t), want %q", has, ok, want)
	}
}

// has demands that a grant is had at once, and nobody asked.
func (w *world) has(want scopes.Set) *grants.Grant {
	w.t.Helper()
	before := w.as.Count(fakeas.DeviceAuthorization, "")
	g := (<-w.asks(want)).holds(want)
	if n := w.as.Count(fakeas.DeviceAuthorization, ""); n != before {
		w.t.Errorf("the person was asked %d times", n-before)
	}
	return g
}

// signsIn has the local user sign in for this.
func (w *world) signsIn(need scopes.Set) *grants.Grant {
	w.t.Helper()
	c := w.asks(need)
	w.approves()
	return (<-c).holds(need)
}

// person waits until a code was issued that waits for a decision.
func (w *world) person() fakeas.Request {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	req, err := w.as.WaitForRequest(ctx)
	if err != nil {
		w.t.Fatalf("no authorization was asked for: %v", err)
	}
	return req
}

// approves waits for the next code and approves it.
func (w *world) approves(granted ...string) {
	w.t.Helper()
	if err := w.as.Approve(w.person().UserCode, granted...); err != nil {
		w.t.Fatal(err)
	}
}

// approvesFor approves the next code, which must be for these scopes.
func (w *world) approvesFor(want string, granted ...string) {
	w.t.Helper()
	req := w.person()
	if got := scopes.Of(req.Scopes...).String(); got != want {
		w.t.Errorf("the authorization is for %q, want %q", got, want)
	}
	if err := w.as.Approve(req.UserCode, granted...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) denies() {
	w.t.Helper()
	if err := w.as.Deny(w.person().UserCode); err != nil {
		w.t.Fatal(err)
	}
}

// wants demands that an operation was asked for so often, in all.
func (w *world) wants(op fakeas.Operation, n int) {
	w.t.Helper()
	if got := w.as.Count(op, ""); got != n {
		w.t.Errorf("%d requests for %s, want %d", got, op, n)
	}
}

// stored returns what the store has of the local user.
func (w *world) stored() string {
	w.t.Helper()
	text, err := w.setup.store.Load(w.t.Context(), "notes of "+grants.Principal{}.Key())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// plant puts this in the place of the local user's record.
func (w *world) plant(text string) {
	w.t.Helper()
	err := w.setup.store.Update(w.t.Context(), "notes of "+grants.Principal{}.Key(), func([]byte) ([]byte, error) { return []byte(text), nil })
	if err != nil {
		w.t.Fatal(err)
	}
}

// promptOf notes the prompt that it is shown.
func promptOf(prompt *elicit.Prompt) func(*grants.Flight) {
	return func(f *grants.Flight) { *prompt = *f.Prompt() }
}
