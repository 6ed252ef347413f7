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
	"sync/atomic"
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

// A fleet is a few replicas, which reach each other without a network: replica 0 at http://a, and so on.
type fleet struct {
	*world.Fleet
	leaves []context.CancelFunc // end what announces each
	pages  []http.Handler
	gone   sync.Map     // hosts that do not answer
	hops   atomic.Int64 // requests from one to another
	turn   atomic.Int64 // counts requests of browsers
}

// page returns a connect page, which each replica has one of.
func (*fleet) page() (*lazyauth.ConnectPage, error) {
	return lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: "https://mcp.example.com/connect", Who: world.SignedInAs("")})
}

// redirects has every replica ask by the redirect flow, and its own page.
func (f *fleet) redirects(s *world.Setup) {
	page, err := f.page()
	if err != nil {
		f.T.Fatal(err)
	}
	f.pages = append(f.pages, page)
	s.Options.VerifyUser = nil
	s.Service = func(service *lazyauth.Service) {
		service.Flows, service.ConnectPage = []lazyauth.Flow{lazyauth.FlowRedirect}, page
	}
}

// ServeHTTP implements [http.Handler]: each request of a browser meets another replica.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Seats[f.turn.Add(1)%int64(len(f.Seats))].ServeHTTP(w, r)
}

var _ httpforward.Directory = (*store.Fleet)(nil)

var key = bytes.Repeat([]byte("hop-key-"), 4)

func newFleet(t *testing.T, size int, changes ...func(f *fleet, s *world.Setup)) *fleet {
	t.Helper()
	f := &fleet{Fleet: &world.Fleet{T: t}}
	page, err := f.page()
	if err != nil {
		t.Fatal(err)
	}
	as := fakeas.New(&fakeas.Options{Interval: time.Second, Clients: []fakeas.Client{{
		ID: fakeas.DefaultClientID, RedirectURIs: []string{page.RedirectURI(lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer})},
	}}, People: []fakeas.Person{{Subject: "ada", Name: "Ada Example"}}})
	f.Fleet = world.NewFleet(t, size, as, func(int) world.Setup {
		setup := world.Setup{Tools: world.WithSaga, Options: lazyauth.Options{VerifyUser: world.Anybody}}
		for _, change := range changes {
			change(f, &setup)
		}
		return setup
	})
	for n, seat := range f.Seats {
		forwarder, err := httpforward.New(f.Stores[n], httpforward.Options{Address: "http://" + string(rune('a'+n)), Key: key, Transport: f})
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		f.leaves = append(f.leaves, leave)
		go forwarder.Announce(ctx)
		seat.Behind(func(endpoint http.Handler) http.Handler {
			return forwarder.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if f.pages != nil && strings.HasPrefix(r.URL.Path, "/connect") {
					f.pages[n].ServeHTTP(w, r)
				} else {
					endpoint.ServeHTTP(w, r)
				}
			}))
		})
	}
	synctest.Wait()
	return f
}

// RoundTrip implements [http.RoundTripper].
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, gone := f.gone.Load(r.URL.Host); gone {
		return nil, errors.New("connection refused")
	}
	f.hops.Add(1)
	answer := httptest.NewRecorder()
	there := r.Clone(r.Context())
	there.RemoteAddr, there.RequestURI = "192.0.2.1:1", ""
	f.Seats[r.URL.Host[0]-'a'].ServeHTTP(answer, there)
	return answer.Result(), nil
}

// begun returns the last request of a call whose handler is in its middle, at the first replica.
func (f *fleet) begun() world.Request {
	f.T.Helper()
	saga := world.Request{Tool: "saga", Text: "x"}
	saga.State, saga.Action = (<-f.Sends(0, saga)).State(f.T), "accept"
	again := f.Sends(0, saga)
	f.Worlds[0].Approves()
	saga.State = (<-again).State(f.T)
	f.Worlds[0].WantSaga(1, 1)
	return saga
}

func TestForward_ToTheHandlerInItsMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		saga := f.begun()
		last := f.Sends(1, saga)
		f.Worlds[0].Approves()
		(<-last).Succeeds(t, "x")
		f.Worlds[0].WantSaga(1, 1)
		(<-f.Sends(2, saga)).Succeeds(t, "x") // what it came to is handed out there, too
		(<-f.Sends(0, saga)).Succeeds(t, "x")
		f.Worlds[0].WantSaga(1, 1)
		if n := f.hops.Load(); n != 2 {
			t.Errorf("%d hops, want 2", n)
		}
	})
}

// A call that has not begun needs no hop: it begins where it is.
func TestForward_NothingThatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		r := world.Request{Action: "accept"}
		r.State = (<-f.Sends(0, world.Request{})).State(t)
		f.Worlds[0].Approves()
		time.Sleep(5 * time.Second)
		(<-f.Sends(1, r)).Succeeds(t, "ada")
		if n := f.hops.Load(); n != 0 {
			t.Errorf("%d hops", n)
		}
		(<-f.Sends(0, r)).Succeeds(t, "ada") // by a hop
		f.Wants("whoami", 1)
		if n := f.hops.Load(); n != 1 {
			t.Errorf("%d hops, want 1", n)
		}
	})
}

// Where the owner is gone nobody starts the handler again, and the model is told that it may have run.
func TestForward_OwnerIsGone(t *testing.T) {
	for how, end := range map[string]func(*fleet){
		"unreachable": func(f *fleet) { f.gone.Store("a", true) },
		"unknown":     func(f *fleet) { f.leaves[0](); time.Sleep(time.Second) }, // it has said that it goes
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3)
				saga := f.begun()
				end(f)
				reply := <-f.Sends(1, saga)
				reply.Fails(t, lazyauth.ReasonAbandoned)
				if !strings.Contains(reply.Text(), "may be done") {
					t.Errorf("the model is told %q", reply.Text())
				}
				f.Worlds[0].WantSaga(1, 1)
				f.Wants("saga", 1)
				if n := f.hops.Load(); n != 0 {
					t.Errorf("%d hops", n)
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
		f.leaves[0]()
		synctest.Wait()
		// Whoever is asked sends it to b, which sends it nowhere.
		if err := f.Stores[0].Announce(t.Context(), "http://b", time.Minute); err != nil {
			t.Fatal(err)
		}
		(<-f.Sends(2, saga)).Fails(t, lazyauth.ReasonAbandoned)
		if n := f.hops.Load(); n != 1 {
			t.Errorf("%d hops, want 1", n)
		}
	})
}

// beside returns the directory of a replica beside another one, at this address, which has begun CALL.
func beside(t *testing.T, address string) *store.Fleet {
	t.Helper()
	rows := store.NewSharedMemory(nil)
	other := world.JoinFleet(t, rows)
	holder, err := other.Mark(t.Context(), "start CALL", time.Hour)
	if err != nil || holder != other.Incarnation() {
		t.Fatalf("%q, %v", holder, err)
	}
	if err := other.Announce(t.Context(), address, time.Hour); err != nil {
		t.Fatal(err)
	}
	return world.JoinFleet(t, rows)
}

func TestForward_CallersCannotSayThatTheyAreReplicas(t *testing.T) {
	directory := beside(t, "http://other")
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
	directory := beside(t, "http://other")
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
	d := world.JoinFleet(t, store.NewSharedMemory(nil))
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
		first := <-f.Sends(0, world.Request{})
		retry := world.Request{State: first.State(t), Action: "accept"}
		link := first.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams).URL
		waiting := f.Sends(1, retry) // before its person has done anything
		browser := f.Worlds[0].Visitor(f, "ada")
		if page := browser.Connects(link); page.Name != "signed-in" {
			t.Errorf("the last page is %q: %s", page.Name, page.HTML)
		}
		(<-waiting).Succeeds(t, "ada")
		(<-f.Sends(2, retry)).Succeeds(t, "ada")
		f.Wants("whoami", 1)
		prompts := 0
		for _, w := range f.Worlds {
			prompts += len(w.Trace.Channels())
		}
		if prompts != 1 {
			t.Errorf("%d prompts", prompts)
		}
	})
}
