package httpforward_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A database is what the replicas of these tests share.
type database struct {
	store.Store

	mu        sync.Mutex
	marks     map[string]string
	addresses map[string]string
	down      error
}

// A seat is a database as one replica uses it.
type seat struct {
	*database
	name string
}

func (s seat) Incarnation() string { return s.name }

func (s seat) Mark(_ context.Context, name string, _ time.Duration) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks[name] == "" {
		s.marks[name] = s.name
	}
	return s.marks[name], s.down
}

func (s seat) Holder(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[name], s.down
}

func (s seat) Announce(_ context.Context, address string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses[s.name] = address
	return s.down
}

func (s seat) Address(_ context.Context, incarnation string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses[incarnation], s.down
}

// A fleet is a few replicas, which reach each other without a network.
type fleet struct {
	t        *testing.T
	database *database
	worlds   []*world.World
	seats    []*world.Endpoint
	pages    []http.Handler
	gone     map[string]bool // hosts that do not answer
	hops     int             // requests from one to another
	turn     int             // counts requests of browsers
}

// page returns a connect page, which each replica has one of.
func (*fleet) page() (*lazyauth.ConnectPage, error) {
	return lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: "https://mcp.example.com/connect", Who: world.SignedInAs("")})
}

// redirects has every replica ask by the redirect flow, and its own page.
func (f *fleet) redirects(n int, s *world.Setup) {
	page, err := f.page()
	if err != nil {
		f.t.Fatal(err)
	}
	f.pages[n] = page
	s.Options.VerifyUser = nil
	s.Service = func(service *lazyauth.Service) {
		service.Flows, service.ConnectPage = []lazyauth.Flow{lazyauth.FlowRedirect}, page
	}
}

// ServeHTTP implements [http.Handler]: each request of a browser meets another replica.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.turn++
	f.seats[f.turn%len(f.seats)].ServeHTTP(w, r)
}

var _ httpforward.Directory = (*store.Fleet)(nil)

var key = bytes.Repeat([]byte("hop-key-"), 4)

func newFleet(t *testing.T, size int, changes ...func(f *fleet, n int, s *world.Setup)) *fleet {
	t.Helper()
	f := &fleet{t: t, pages: make([]http.Handler, size), database: &database{Store: store.Memory(), marks: map[string]string{}, addresses: map[string]string{}}, gone: map[string]bool{}}
	page, err := f.page()
	if err != nil {
		t.Fatal(err)
	}
	as := fakeas.New(&fakeas.Options{Interval: time.Second, Clients: []fakeas.Client{{
		ID: fakeas.DefaultClientID, RedirectURIs: []string{page.RedirectURI(lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer})},
	}}, People: []fakeas.Person{{Subject: "ada", Name: "Ada Example"}}})
	for n := range size {
		s := seat{f.database, string(rune('a' + n))}
		setup := world.Setup{Shared: as, Tools: world.WithSaga, Options: lazyauth.Options{VerifyUser: world.Anybody, Store: s}}
		for _, change := range changes {
			change(f, n, &setup)
		}
		w := world.New(t, setup)
		forwarder, err := httpforward.New(s, httpforward.Options{Address: "http://" + s.name, Key: key, Transport: f})
		if err != nil {
			t.Fatal(err)
		}
		go forwarder.Announce(t.Context())
		e := w.Endpoint()
		e.Behind(func(endpoint http.Handler) http.Handler {
			return forwarder.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if page := f.pages[n]; page != nil && strings.HasPrefix(r.URL.Path, "/connect") {
					page.ServeHTTP(w, r)
				} else {
					endpoint.ServeHTTP(w, r)
				}
			}))
		})
		f.worlds, f.seats = append(f.worlds, w), append(f.seats, e)
	}
	synctest.Wait()
	return f
}

// RoundTrip implements [http.RoundTripper].
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.gone[r.URL.Host] {
		return nil, errors.New("connection refused")
	}
	f.hops++
	answer := httptest.NewRecorder()
	there := r.Clone(r.Context())
	there.RemoteAddr, there.RequestURI = "192.0.2.1:1", ""
	f.seats[r.URL.Host[0]-'a'].ServeHTTP(answer, there)
	return answer.Result(), nil
}

func (f *fleet) sends(n int, r world.Request) <-chan world.Reply {
	r.Caps = world.URLAlone
	out := f.seats[n].Send(f.t.Context(), r)
	synctest.Wait()
	return out
}

// begun returns the last request of a call whose handler is in its middle, at the first replica.
func (f *fleet) begun() world.Request {
	f.t.Helper()
	saga := world.Request{Tool: "saga", Text: "x"}
	saga.State, saga.Action = (<-f.sends(0, saga)).State(f.t), "accept"
	again := f.sends(0, saga)
	f.worlds[0].Approves()
	saga.State = (<-again).State(f.t)
	f.worlds[0].WantSaga(1, 1)
	return saga
}

func TestForward_ToTheHandlerInItsMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		saga := f.begun()
		last := f.sends(1, saga)
		f.worlds[0].Approves()
		(<-last).Succeeds(t, "x")
		f.worlds[0].WantSaga(1, 1)
		(<-f.sends(2, saga)).Succeeds(t, "x") // what it came to is handed out there, too
		(<-f.sends(0, saga)).Succeeds(t, "x")
		f.worlds[0].WantSaga(1, 1)
		if f.hops != 2 {
			t.Errorf("%d hops, want 2", f.hops)
		}
	})
}

// A call that has not begun needs no hop: it begins where it is.
func TestForward_NothingThatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		r := world.Request{Action: "accept"}
		r.State = (<-f.sends(0, world.Request{})).State(t)
		f.worlds[0].Approves()
		time.Sleep(5 * time.Second)
		(<-f.sends(1, r)).Succeeds(t, "ada")
		if f.hops != 0 {
			t.Errorf("%d hops", f.hops)
		}
		(<-f.sends(0, r)).Succeeds(t, "ada") // by a hop
		if n := f.worlds[0].Starts("whoami") + f.worlds[1].Starts("whoami"); n != 1 || f.hops != 1 {
			t.Errorf("%d starts, %d hops", n, f.hops)
		}
	})
}

// Where the owner is gone nobody starts the handler again, and the model is told that it may have run.
func TestForward_OwnerIsGone(t *testing.T) {
	for how, end := range map[string]func(*fleet){
		"unreachable": func(f *fleet) { f.gone["a"] = true },
		"unknown":     func(f *fleet) { f.database.addresses = map[string]string{} },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3)
				saga := f.begun()
				end(f)
				reply := <-f.sends(1, saga)
				reply.Fails(t, lazyauth.ReasonAbandoned)
				if !strings.Contains(reply.Text(), "may be done") {
					t.Errorf("the model is told %q", reply.Text())
				}
				f.worlds[0].WantSaga(1, 1)
				if n := f.worlds[1].Starts("saga"); n != 0 {
					t.Errorf("it started %d times more", n)
				}
			})
		})
	}
}

// A request goes one hop, whatever the directory says; and a caller cannot pass one off as a hop.
func TestForward_OneHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		saga := f.begun()
		f.database.mu.Lock()
		f.database.addresses["a"] = "http://b" // whoever is asked sends it to b, which sends it nowhere
		f.database.mu.Unlock()
		(<-f.sends(2, saga)).Fails(t, lazyauth.ReasonAbandoned)
		if f.hops != 1 {
			t.Errorf("%d hops, want 1", f.hops)
		}
	})
}

func TestForward_CallersCannotSayThatTheyAreReplicas(t *testing.T) {
	directory := seat{&database{marks: map[string]string{"start CALL": "other"}, addresses: map[string]string{"other": "http://other"}}, "this"}
	sent := make(chan *http.Request, 1)
	forwarder, err := httpforward.New(directory, httpforward.Options{Address: "http://this", Key: key, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent <- r
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	here := 0
	handler := forwarder.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Lazyauth-Forwarded") != "" {
			t.Error("the next handler is shown the header")
		}
		here++
	}))
	request := func(header string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://public.example/mcp?x=1", strings.NewReader(`{"method":"tools/call","params":{"requestState":"CALL.AAAA"}}`))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.Header.Set("Authorization", "Bearer ada")
		if header != "" {
			r.Header.Set("Lazyauth-Forwarded", header)
		}
		return r
	}
	handler.ServeHTTP(httptest.NewRecorder(), request(""))
	out := <-sent
	signed := out.Header.Get("Lazyauth-Forwarded")
	if out.URL.String() != "http://other/mcp?x=1" || out.Host != "public.example" || out.Header.Get("Authorization") != "Bearer ada" || signed == "" {
		t.Errorf("sent to %s as %s: %v", out.URL, out.Host, out.Header)
	}
	for _, forged := range []string{"1.AAAA", "x", signed + "A", "9" + signed} {
		handler.ServeHTTP(httptest.NewRecorder(), request(forged))
		select {
		case <-sent:
		default:
			t.Errorf("%q passes for a hop", forged)
		}
	}
	if handler.ServeHTTP(httptest.NewRecorder(), request(signed)); here != 1 {
		t.Error("a hop of a replica's goes on to another one")
	}
	other := request(signed)
	other.Header.Set("Authorization", "Bearer eve")
	handler.ServeHTTP(httptest.NewRecorder(), other)
	select {
	case <-sent:
	default:
		t.Error("a hop that was seen is one for another caller")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What has no call in it reaches the next handler as it was.
func TestForward_LeavesOthersAlone(t *testing.T) {
	directory := seat{&database{marks: map[string]string{"start CALL": "other"}, addresses: map[string]string{"other": "http://other"}}, "this"}
	forwarder, err := httpforward.New(directory, httpforward.Options{Address: "https://this:8443/", Key: key, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, errors.New("it was forwarded")
	}), Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"no state":       `{"method":"tools/call","params":{}}`,
		"another method": `{"method":"prompts/get","params":{"requestState":"CALL.AAAA"}}`,
		"no call":        `{"method":"tools/call","params":{"requestState":"call/../x.AAAA"}}`,
		"not marked":     `{"method":"tools/call","params":{"requestState":"NEW.AAAA"}}`,
		"no JSON":        `{"method":"tools/call","params":{"requestState":"CALL.AAAA"`,
		"a batch":        `[{"method":"tools/call","params":{"requestState":"CALL.AAAA"}}]`,
		"very long":      `{"method":"tools/call","params":{"requestState":"CALL.AAAA","x":"` + strings.Repeat("x", 4<<20) + `"}}`,
	} {
		var got []byte
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://public.example/mcp", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		forwarder.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) })).ServeHTTP(httptest.NewRecorder(), r)
		if string(got) != body {
			t.Errorf("%s: the next handler reads %.80q (%d bytes)", name, got, len(got))
		}
	}
}

func TestNew_RefusesWhatCannotBe(t *testing.T) {
	d := seat{&database{}, "this"}
	for _, o := range []httpforward.Options{
		{Address: "", Key: key}, {Address: "10.0.0.7:80", Key: key}, {Address: "ftp://x", Key: key}, {Address: "http://x/path", Key: key},
		{Address: "http://user:secret@x", Key: key}, {Address: "http://x", Key: key[1:]}, {Address: "http://x?y", Key: key},
	} {
		_, err := httpforward.New(d, o)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q, a key of %d bytes: %v", o.Address, len(o.Key), err)
		}
	}
	if _, err := httpforward.New(nil, httpforward.Options{Address: "http://x", Key: key}); err == nil {
		t.Error("no directory is one")
	}
}

// Every request of one sign-in meets another replica: the host's, and each of the browser's.
func TestForward_ConnectPageAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, (*fleet).redirects)
		first := <-f.sends(0, world.Request{})
		retry := world.Request{State: first.State(t), Action: "accept"}
		link := first.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams).URL
		waiting := f.sends(1, retry) // before its person has done anything
		browser := f.worlds[0].Visitor(f, "ada")
		if page := browser.Connects(link); page.Name != "signed-in" {
			t.Errorf("the last page is %q: %s", page.Name, page.HTML)
		}
		(<-waiting).Succeeds(t, "ada")
		(<-f.sends(2, retry)).Succeeds(t, "ada")
		starts, prompts := 0, 0
		for _, w := range f.worlds {
			starts += w.Starts("whoami")
			prompts += len(w.Trace.Channels())
		}
		if starts != 1 || prompts != 1 {
			t.Errorf("%d starts, %d prompts", starts, prompts)
		}
	})
}
