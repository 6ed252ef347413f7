package grants_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A path is a way without a server.
type path struct {
	flow       string
	suits      error
	impossible error         // what Begin comes to
	takes      time.Duration // to begin
	life       time.Duration // zero: an hour
	insists    bool          // its authorization comes to something whatever else has

	approved chan error // what its authorization comes to
	begun    atomic.Int64
	reached  atomic.Bool
	ended    []grants.Outcome // not before the flight has
}

func newPath(flow string) *path { return &path{flow: flow, approved: make(chan error, 1)} }

func (p *path) Flow() string { return p.flow }

func (p *path) Suits(grants.Principal, grants.Link) error { return p.suits }

func (p *path) Begin(ctx context.Context, a grants.Asked) (grants.Authorization, error) {
	p.begun.Add(1)
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if p.impossible != nil {
		return nil, p.impossible
	}
	if !a.Want(ctx).Covers(scopes.Of("notes:read")) {
		return nil, errors.New("it is not what is needed that is asked for")
	}
	if p.life == 0 {
		p.life = time.Hour
	}
	return onPath{p, time.Now().Add(p.life)}, nil
}

type onPath struct {
	path *path
	end  time.Time
}

func (p onPath) Prompt() elicit.Prompt {
	return elicit.Prompt{VerificationURI: "https://as.example/" + p.path.flow, Expires: p.end}
}

func (p onPath) Start(ctx context.Context, _ grants.Heard, done func(*oauth.Token, error)) {
	if p.path.insists {
		ctx = context.WithoutCancel(ctx)
	}
	go func() {
		select {
		case err := <-p.path.approved:
			if err != nil {
				done(nil, err)
				return
			}
			done(&oauth.Token{Access: p.path.flow, Type: "Bearer", Scopes: scopes.Of("notes:read")}, nil)
		case <-time.After(time.Until(p.end)):
			done(nil, &oauth.Error{Op: "device token", Kind: device.ErrExpired})
		case <-ctx.Done():
			done(nil, context.Cause(ctx))
		}
	}()
}

func (onPath) Moves() bool { return false }

func (p onPath) Reached() bool { return p.path.reached.Load() }

func (p onPath) End(_ context.Context, o grants.Outcome) { p.path.ended = append(p.path.ended, o) }

// traveller is somebody who needs a grant.
type traveller struct {
	grants.Asker // has nothing else
	follow       func(*grants.Flight)
}

func (traveller) Tool() string        { return "tool" }
func (traveller) MayAsk(bool) error   { return nil }
func (traveller) Left() time.Duration { return time.Hour }
func (traveller) Link() grants.Link   { return grants.LinkShown }
func (traveller) ClientID() string    { return "" }
func (traveller) Program() string     { return "" }

func (traveller) CallersClient() string { return "" }
func (t traveller) Follow(_ context.Context, f *grants.Flight) error {
	select {
	case <-f.Ready():
	case <-f.Done():
	}
	select {
	case <-f.Ready(): // of one that is done by now, too
		t.follow(f)
	default:
	}
	<-f.Done()
	return nil
}

// deaf hears nothing of what happens.
type deaf struct{ grants.Observer }

func (deaf) Waiting(context.Context, *grants.Owner, string, scopes.Set) {}
func (deaf) Ended(*grants.Flight, time.Duration)                        {}
func (deaf) Changed(*grants.Owner)                                      {}

// travel has a grant asked for by these ways; follow is called with the flight once there is a
// prompt.
func travel(t *testing.T, follow func(*grants.Flight), paths ...*path) (*grants.Grant, *grants.Flight, error) {
	t.Helper()
	return travelAt(t, nil, follow, paths...)
}

// travelAt is travel where there is a server.
func travelAt(t *testing.T, server *grants.AuthorizationServer, follow func(*grants.Flight), paths ...*path) (*grants.Grant, *grants.Flight, error) {
	t.Helper()
	config := grants.Config{Server: server, Service: "Notes", Words: func(scopes.Set) []string { return nil }, Observer: deaf{}}
	for _, p := range paths {
		config.Ways = append(config.Ways, p)
	}
	if slices.ContainsFunc(paths, func(p *path) bool { return errors.Is(p.impossible, pending.ErrElsewhere) }) {
		config.Store, config.Key = store.Memory(), grants.Principal.Key
	}
	config.MaxSignIns = 1
	keeper := grants.New(config)
	defer func() {
		keeper.Close()
		if still := keeper.Join(time.Second); still != nil {
			t.Errorf("these did not end: %q", still)
		}
	}()
	var flight *grants.Flight
	g, err := keeper.Owner(grants.Principal{}).Obtain(t.Context(), scopes.Of("notes:read"), traveller{follow: func(f *grants.Flight) {
		flight = f
		follow(f)
	}})
	synctest.Wait()
	for _, p := range paths {
		if flight != nil && p.begun.Load() > 0 && p.impossible == nil && len(p.ended) != 1 {
			t.Errorf("the %s flow was told %d times what became of it", p.flow, len(p.ended))
		}
	}
	return g, flight, err
}

// flies demands by which flow the prompt is, and what in the reasons why others are not.
func flies(t *testing.T, f *grants.Flight, flow string, against ...string) {
	t.Helper()
	name, err := f.Flow()
	if name != flow {
		t.Errorf("the flow is %q, want %q", name, flow)
	}
	if (err != nil) != (len(against) > 0) {
		t.Errorf("against others: %v, want %q", err, against)
		return
	}
	for _, text := range against {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("against others: %v, want %q in it", err, text)
		}
	}
}

func TestSignIn_TheBestWayThatSuits(t *testing.T) {
	unlikely := errors.New("there is no browser here")
	for name, test := range map[string]struct {
		first, second         error
		impossible, otherwise error
		want                  string
		against               []string
	}{
		"the first":                          {want: "first"},
		"the second suits":                   {first: unlikely, want: "second", against: []string{"no browser"}},
		"neither suits":                      {first: unlikely, second: errors.New("nor here"), want: "first", against: []string{"nor here"}},
		"the first is not possible":          {first: grants.ErrNotPossible, second: unlikely, want: "second", against: []string{"not possible"}},
		"the first cannot be begun":          {impossible: errors.New("the port is taken"), want: "second", against: []string{"first flow: the port is taken"}},
		"the second, which suits, cannot be": {first: unlikely, otherwise: errors.New("no endpoint"), want: "first", against: []string{"no endpoint"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPath("first"), newPath("second")
				first.suits, second.suits, first.impossible, second.impossible = test.first, test.second, test.impossible, test.otherwise
				first.approved <- nil
				second.approved <- nil
				g, f, err := travel(t, func(f *grants.Flight) { flies(t, f, test.want, test.against...) }, first, second)
				if err != nil || g.Token().AccessToken != test.want {
					t.Fatalf("the grant is that of %v (%v), want %s", g, err, test.want)
				}
				flies(t, f, test.want, test.against...)
			})
		})
	}
}

func TestSignIn_NoWayIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPath("first"), newPath("second")
		taken, refused := errors.New("the port is taken"), errors.New("refused")
		first.impossible, second.impossible = taken, refused
		_, _, err := travel(t, nil, first, second)
		if !errors.Is(err, refused) || err.Error() != "first flow: the port is taken; second flow: refused" {
			t.Errorf("the error is %v", err)
		}
		only := newPath("only")
		only.impossible = taken
		if _, _, err := travel(t, nil, only); err != taken {
			t.Errorf("the error is %v", err)
		}
		// What the server is not there for, it is not there for by the other way.
		first, second = newPath("first"), newPath("second")
		first.impossible = &oauth.Error{Op: "discovery", Kind: oauth.ErrUnavailable}
		if _, _, err := travel(t, nil, first, second); !errors.Is(err, oauth.ErrUnavailable) || second.begun.Load() != 0 {
			t.Errorf("the error is %v, and the other way was begun %d times", err, second.begun.Load())
		}
		first, second = newPath("first"), newPath("second")
		first.suits, second.suits = grants.ErrNotPossible, grants.ErrNotPossible
		if _, _, err := travel(t, nil, first, second); !errors.Is(err, grants.ErrNotPossible) || first.begun.Load()+second.begun.Load() != 0 {
			t.Errorf("the error is %v", err)
		}
	})
}

// After nobody came back to the listener both ways are good: whichever brings a token first is the
// one, and the other is told.
func TestSignIn_AnotherWayBesideTheFirst(t *testing.T) {
	for _, winner := range []string{"first", "second"} {
		t.Run(winner, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPath("first"), newPath("second")
				second.takes = time.Second
				g, f, err := travel(t, func(f *grants.Flight) {
					before := f.Prompt()
					first.reached.Store(true)
					if f.Another(grants.ErrUnreached) != nil {
						t.Error("another way is gone although a browser has come back")
					}
					first.reached.Store(false)
					turned := f.Another(grants.ErrUnreached)
					if turned == nil || f.Another(grants.ErrUnreached) != turned {
						t.Fatal("nobody has come back, and no other way is gone, or two are")
					}
					<-turned
					flies(t, f, "second", "no browser has come back")
					if before.VerificationURI != "https://as.example/first" || f.Prompt().VerificationURI != "https://as.example/second" || !f.Prompt().Scopes.Covers(scopes.Of("notes:read")) {
						t.Errorf("the prompts are %q and then %q", before.VerificationURI, f.Prompt().VerificationURI)
					}
					if f.Another(grants.ErrUnreached) != nil {
						t.Error("a third way is gone, of two")
					}
					map[string]*path{"first": first, "second": second}[winner].approved <- nil
				}, first, second)
				if err != nil || g.Token().AccessToken != winner {
					t.Fatalf("the grant is that of %v (%v), want %s", g, err, winner)
				}
				if name, _ := f.Flow(); name != winner {
					t.Errorf("the flight came to its end by %q", name)
				}
				for _, p := range []*path{first, second} {
					if o := p.ended[0]; o.Flow != winner || o.Err != nil {
						t.Errorf("the %s flow was told %+v", p.flow, o)
					}
				}
			})
		})
	}
}

func TestSignIn_WhatEndsBothWays(t *testing.T) {
	denied := &oauth.Error{Op: "device token", Kind: oauth.ErrDenied}
	broken := &oauth.Error{Op: "device token", Kind: oauth.ErrUnavailable}
	for name, test := range map[string]struct {
		meanwhile func(first, second *path)
		second    error // what beginning it comes to
		want      error
		after     time.Duration
	}{
		"a refusal at the first":            {meanwhile: func(first, _ *path) { first.approved <- denied }, want: oauth.ErrDenied, after: time.Second},
		"a refusal at the second":           {meanwhile: func(_, second *path) { second.approved <- denied }, want: oauth.ErrDenied, after: time.Second},
		"the end of both":                   {want: device.ErrExpired, after: 10*time.Minute + time.Second},
		"the first fails, later both":       {meanwhile: func(first, _ *path) { first.approved <- broken }, want: device.ErrExpired, after: 10*time.Minute + time.Second},
		"the second was not possible":       {second: errors.New("no endpoint"), want: device.ErrExpired, after: 5 * time.Minute},
		"another process was given a grant": {second: pending.ErrElsewhere, want: grants.ErrLoggedOut, after: time.Second}, // which is gone again
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPath("first"), newPath("second")
				first.life, second.life, second.takes, second.impossible = 5*time.Minute, 10*time.Minute, time.Second, test.second
				began := time.Now()
				_, f, err := travel(t, func(f *grants.Flight) {
					<-f.Another(grants.ErrUnreached)
					if test.meanwhile != nil {
						test.meanwhile(first, second)
					}
				}, first, second)
				if !errors.Is(err, test.want) || time.Since(began) != test.after {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if o := first.ended[0]; !errors.Is(o.Err, test.want) {
					t.Errorf("the first flow was told %+v", o)
				}
				if flow, _ := f.Flow(); test.second != nil && flow != "first" {
					t.Errorf("the flow is %q", flow)
				}
			})
		})
	}
}

// A flight has no prompt that is dead: once the code that is shown has lapsed, the next call begins
// another flight, though the link before is still good. Not while somebody is on their way by that.
func TestSignIn_WhatIsShownLapses(t *testing.T) {
	for name, test := range map[string]struct {
		reached bool
		after   time.Duration
	}{
		"nobody came by the first":   {false, 2*time.Minute + time.Second},
		"somebody came by the first": {true, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newPath("first"), newPath("second")
				first.life, second.life, second.takes = 10*time.Minute, 2*time.Minute, time.Second
				began := time.Now()
				_, f, err := travel(t, func(f *grants.Flight) {
					<-f.Another(grants.ErrUnreached)
					first.reached.Store(test.reached)
				}, first, second)
				if !errors.Is(err, device.ErrExpired) || time.Since(began) != test.after {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if flow, _ := f.Flow(); flow == "second" == test.reached {
					t.Errorf("the flight came to its end by %q", flow)
				}
			})
		})
	}
}

// What the first comes to while the second is being begun is no reason not to go that.
func TestSignIn_TheFirstEndsWhileTurning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPath("first"), newPath("second")
		first.life, second.takes = time.Minute, 2*time.Minute
		second.approved <- nil
		g, _, err := travel(t, func(f *grants.Flight) { <-f.Another(grants.ErrUnreached) }, first, second)
		if err != nil || g.Token().AccessToken != "second" {
			t.Errorf("the grant is %v (%v)", g, err)
		}
	})
}

// A token that comes although the person refused by the other way is revoked. The second of two tokens is
// not: where one browser session has one grant, that would end the one that is used.
func TestSignIn_TwoAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		first   error // what the first way comes to, just before the second has brought a token
		revoked []string
	}{
		"two tokens":            {nil, nil},
		"a refusal and a token": {oauth.ErrDenied, []string{"/revoke second"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				revoked := make(chan string, 9)
				server, err := grants.NewAuthorizationServer(oauth.Config{
					Endpoints:   oauth.Endpoints{Token: "https://as.example/token", Revocation: "https://as.example/revoke"},
					Credentials: oauth.Credentials{ID: "notes"},
					Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
						if err := req.ParseForm(); err != nil {
							return nil, err
						}
						revoked <- req.URL.Path + " " + req.PostForm.Get("token")
						return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
					}),
				}, grants.Clients{}, false, func(oauth.Endpoints) error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				first, second := newPath("first"), newPath("second")
				second.insists = true
				g, _, err := travelAt(t, server, func(f *grants.Flight) {
					<-f.Another(grants.ErrUnreached)
					first.approved <- test.first
					synctest.Wait()
					second.approved <- nil
				}, first, second)
				if test.first == nil && (err != nil || g.Token().AccessToken != "first") || !errors.Is(err, test.first) {
					t.Errorf("the flight came to %v, %v", g, err)
				}
				close(revoked)
				var got []string
				for token := range revoked {
					got = append(got, token)
				}
				if !slices.Equal(got, test.revoked) {
					t.Errorf("revoked were %q, want %q", got, test.revoked)
				}
			})
		})
	}
}

// A flight that is closed while its second way is being begun leaves nothing behind, which the
// end of the bubble shows.
func TestSignIn_CloseWhileTurning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newPath("first"), newPath("second")
		second.takes = time.Minute
		config := grants.Config{Service: "Notes", Words: func(scopes.Set) []string { return nil }, Observer: deaf{}, Ways: []grants.Way{first, second}}
		config.MaxSignIns = 1
		keeper := grants.New(config)
		_, err := keeper.Owner(grants.Principal{}).Obtain(t.Context(), scopes.Of("notes:read"), traveller{follow: func(f *grants.Flight) {
			f.Another(grants.ErrUnreached)
			synctest.Wait()
			keeper.Close()
		}})
		synctest.Wait()
		if !errors.Is(err, grants.ErrClosed) || !slices.ContainsFunc(first.ended, func(o grants.Outcome) bool { return errors.Is(o.Err, grants.ErrClosed) }) {
			t.Errorf("the error is %v, and the first flow was told %+v", err, first.ended)
		}
		if still := keeper.Join(time.Second); still != nil || second.begun.Load() != 1 {
			t.Errorf("these did not end: %q; the second was begun %d times", still, second.begun.Load())
		}
	})
}

func (onPath) Passed() bool { return false }

func (onPath) Shows(elicit.Prompt) {}
