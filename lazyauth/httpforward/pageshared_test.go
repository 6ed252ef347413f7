package httpforward_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// dies has a replica answer nobody any more, neither the proxy nor the others, which find out when its address is known no
// longer.
func (f *fleet) dies(n int) {
	f.T.Helper()
	f.gone.Store(string(rune('a'+n)), true)
	f.leaves[n]()
}

// others are the replicas from n on, to the proxy.
func (f *fleet) others(n int) *fleet {
	return &fleet{Fleet: &world.Fleet{T: f.T, Seats: f.Seats[n:]}}
}

func linkOf(t *testing.T, r world.Reply) string {
	t.Helper()
	p, ok := r.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams)
	if !ok {
		t.Fatalf("there is no prompt in %+v", r.Result)
	}
	return p.URL
}

func (f *fleet) prompts() (n int) {
	for _, w := range f.Worlds {
		n += len(w.Trace.Channels())
	}
	return n
}

// connects has the person go through the connect page of those replicas.
func (f *fleet) connects(from int, link string) {
	f.T.Helper()
	if page := f.Worlds[from].Visitor(f.others(from), "ada").Connects(link); page.Name != "signed-in" {
		f.T.Errorf("the last page is %q: %s", page.Name, page.HTML)
	}
}

// Two calls of one person, at two replicas, are one sign-in: both have the same link.
func TestForward_OnePageForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, (*fleet).redirects)
		first, second := <-f.Sends(0, world.Request{}), <-f.Sends(1, world.Request{})
		link := linkOf(t, first)
		if other := linkOf(t, second); other != link {
			t.Errorf("two links: %s and %s", link, other)
		}
		one := f.Sends(0, world.Request{State: first.State(t), Action: "accept"})
		two := f.Sends(1, world.Request{State: second.State(t), Action: "accept"})
		f.connects(0, link)
		(<-one).Succeeds(t, "ada")
		(<-two).Succeeds(t, "ada")
		f.Wants("whoami", 2)
		if n := f.Worlds[0].AS.Count(fakeas.Exchange, ""); n != 1 {
			t.Errorf("%d sign-ins", n)
		}
	})
}

// A sign-in is finished while a replica that has found no grant looks for the authorization server: nobody is shown another link for
// what is there by then.
func TestForward_PageDoneBeforeItIsLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goesOn := make(chan struct{})
		f := newFleet(t, 2, (*fleet).redirects, func(f *fleet, s *world.Setup) {
			if len(f.pages) == 2 {
				s.Options.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					<-goesOn
					return f.Worlds[0].AS.Transport().RoundTrip(r)
				})
			}
		})
		first := <-f.Sends(0, world.Request{})
		second := f.Sends(1, world.Request{})
		time.Sleep(time.Second)
		f.connects(0, linkOf(t, first))
		time.Sleep(time.Second)
		close(goesOn)
		(<-second).Succeeds(t, "ada")
		if n := f.Worlds[0].AS.Count(fakeas.Exchange, ""); n != 1 || f.prompts() != 1 {
			t.Errorf("%d sign-ins, and %d prompts", n, f.prompts())
		}
	})
}

// The replica whose page answers is killed: another one answers for the same link, and the person is not asked again, whether a
// call waits there by then or comes back later, and also if that one is killed in turn.
func TestForward_PageOutlivesItsReplica(t *testing.T) {
	for name, waits := range map[string]bool{"a call waits at another": true, "the call comes back": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 4, (*fleet).redirects)
				first := <-f.Sends(0, world.Request{})
				retry, link := world.Request{State: first.State(t), Action: "accept"}, linkOf(t, first)
				var joined <-chan world.Reply
				if waits {
					second := <-f.Sends(1, world.Request{})
					if other := linkOf(t, second); other != link {
						t.Errorf("two links: %s and %s", link, other)
					}
					joined = f.Sends(1, world.Request{State: second.State(t), Action: "accept"})
				}
				f.dies(0)
				time.Sleep(35 * time.Second)
				call := f.Sends(1, retry)
				time.Sleep(5 * time.Second)
				f.dies(1)
				time.Sleep(35 * time.Second)
				last := f.Sends(2, retry)
				time.Sleep(5 * time.Second)
				f.connects(2, link)
				(<-last).Succeeds(t, "ada")
				prompts := 1
				if waits {
					prompts = 2 // of two calls, of the same link
				}
				if n := f.prompts(); n != prompts {
					t.Errorf("%d prompts, want %d", n, prompts)
				}
				if n := f.Worlds[0].AS.Count(fakeas.Exchange, ""); n != 1 {
					t.Errorf("%d sign-ins", n)
				}
				// What was cut off finds the grant, too: it is killed in the play alone.
				(<-call)
				if joined != nil {
					<-joined
				}
				f.Wants("whoami", 1)
			})
		})
	}
}

// What a person refuses is refused for all who wait for it.
func TestForward_PageRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects)
		first, second := <-f.Sends(0, world.Request{}), <-f.Sends(1, world.Request{})
		one := f.Sends(0, world.Request{State: first.State(t), Action: "accept"})
		two := f.Sends(1, world.Request{State: second.State(t), Action: "accept"})
		browser := f.Worlds[0].Visitor(f, "ada")
		callback, err := f.Worlds[0].AS.DenyURL(t.Context(), browser.Continues(linkOf(t, first)))
		if err != nil {
			t.Fatal(err)
		}
		browser.ComesBack(callback)
		(<-one).Fails(t, lazyauth.ReasonDenied)
		(<-two).Fails(t, lazyauth.ReasonDenied)
	})
}

// Nobody is shown a link that has ended, nor one that is about to.
func TestForward_PageLapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects)
		link := linkOf(t, <-f.Sends(0, world.Request{}))
		time.Sleep(9*time.Minute + 45*time.Second)
		other := linkOf(t, <-f.Sends(1, world.Request{}))
		if other == link {
			t.Error("the link ends in a moment")
		}
		time.Sleep(30 * time.Second)
		if again := linkOf(t, <-f.Sends(0, world.Request{})); again != other {
			t.Errorf("it is not the link that is open: %s, not %s", again, other)
		}
		f.connects(0, other)
	})
}

// A replica that does not wait for a sign-in on its page leaves it to who comes: the link is the same one.
func TestForward_PageOfAReplicaThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects)
		first := <-f.Sends(0, world.Request{})
		f.gone.Store("a", true)
		f.leaves[0]()
		if err := f.Worlds[0].Auth.Close(); err != nil {
			t.Error(err)
		}
		call := f.Sends(1, world.Request{State: first.State(t), Action: "accept"})
		time.Sleep(time.Second)
		f.connects(1, linkOf(t, first))
		(<-call).Succeeds(t, "ada")
		if n := f.prompts(); n != 1 {
			t.Errorf("%d prompts", n)
		}
	})
}

// A replica that only seems to be gone, since the directory does not know it for a while: another one has the link then, and
// whichever of them the person's browser meets, all who wait get the grant.
func TestForward_PageOfAReplicaThatComesBack(t *testing.T) {
	for _, finishes := range []string{"at the one that came back", "at the one that took over"} {
		t.Run(finishes, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 2, (*fleet).redirects)
				first := <-f.Sends(0, world.Request{})
				link := linkOf(t, first)
				browser := f.Worlds[0].Visitor(f.pages[0], "ada")
				onward := ""
				if finishes == "at the one that came back" {
					onward = browser.Continues(link) // with its cookie
				}
				f.leaves[0]()
				time.Sleep(35 * time.Second)
				other := <-f.Sends(1, world.Request{}) // has the link now
				if got := linkOf(t, other); got != link {
					t.Errorf("two links: %s and %s", link, got)
				}
				here := f.Sends(0, world.Request{State: first.State(t), Action: "accept"})
				there := f.Sends(1, world.Request{State: other.State(t), Action: "accept"})
				if onward != "" {
					if page := browser.ComesBack(browser.SignsIn(onward, "ada")); page.Name != "signed-in" {
						t.Errorf("the last page is %q: %s", page.Name, page.HTML)
					}
				} else {
					time.Sleep(20 * time.Second) // by then the first one knows that it has the link no longer
					f.connects(1, link)
				}
				(<-here).Succeeds(t, "ada")
				(<-there).Succeeds(t, "ada")
				if n := f.Worlds[0].AS.Count(fakeas.Exchange, ""); n != 1 {
					t.Errorf("%d sign-ins", n)
				}
			})
		})
	}
}

// A replica that takes a link over and cannot have it found leaves it to the next one, and tells its own call so.
func TestForward_PageTakenInVain(t *testing.T) {
	for what, err := range map[string]error{"fails": errors.New("the rows cannot be written"), "ends its goroutine": world.ErrGoexit} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, 3, (*fleet).redirects)
				first := <-f.Sends(0, world.Request{})
				retry, link := world.Request{State: first.State(t), Action: "accept"}, linkOf(t, first)
				second := <-f.Sends(1, world.Request{})
				waits := f.Sends(1, world.Request{State: second.State(t), Action: "accept"})
				f.dies(0)
				f.MarksFail(err)
				time.Sleep(35 * time.Second) // in which it takes the link over
				select {
				case <-waits:
				default:
					t.Error("who waits at the one that has tried is told nothing")
				}
				f.MarksFail(nil)
				last := f.Sends(2, retry)
				time.Sleep(5 * time.Second)
				f.connects(2, link)
				(<-last).Succeeds(t, "ada")
			})
		})
	}
}

// A replica that has a link for the second time has it for as long as the link lasts, though the last page of the first time, which a
// browser may still look at, is forgotten meanwhile.
func TestForward_PageOfAReplicaForTheSecondTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects)
		first := <-f.Sends(0, world.Request{})
		link := linkOf(t, first)
		f.Worlds[0].AS.Script(fakeas.Exchange, fakeas.Unavailable(503, 0))
		browser := f.Worlds[0].Visitor(f.pages[0], "ada")
		if page := browser.ComesBack(browser.SignsIn(browser.Continues(link), "ada")); page.Name != "again" {
			t.Errorf("the page is %q", page.Name)
		}
		f.leaves[0]()
		time.Sleep(time.Second)
		<-f.Sends(1, world.Request{}) // has the link now
		time.Sleep(15 * time.Second)
		if err := f.Stores[0].Announce(t.Context(), "http://a", time.Hour); err != nil {
			t.Fatal(err)
		}
		f.dies(1)
		time.Sleep(70 * time.Second)
		if page := f.Worlds[0].Visitor(f.pages[0], "ada").Connects(link); page.Name != "signed-in" {
			t.Errorf("the last page is %q", page.Name)
		}
		(<-f.Sends(0, world.Request{State: first.State(t), Action: "accept"})).Succeeds(t, "ada")
	})
}

// All who wait for a link that ends by its time hear that it has expired.
func TestForward_PageLapsedForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, (*fleet).redirects)
		var calls []<-chan world.Reply
		var all []world.Request
		for n := range 3 {
			all = append(all, world.Request{State: (<-f.Sends(n, world.Request{})).State(t), Action: "accept"})
			time.Sleep(700 * time.Millisecond) // they do not look at the same moment
		}
		time.Sleep(9*time.Minute + 50*time.Second)
		for n := range 3 {
			calls = append(calls, f.Sends(n, all[n]))
		}
		for _, call := range calls {
			(<-call).Fails(t, lazyauth.ReasonExpired)
		}
	})
}

// Who logs out at one replica, while another one's page answers, gets no grant by that page any more.
func TestForward_PageLoggedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, (*fleet).redirects)
		first, second := <-f.Sends(0, world.Request{}), <-f.Sends(1, world.Request{})
		link := linkOf(t, first)
		one := f.Sends(0, world.Request{State: first.State(t), Action: "accept"})
		two := f.Sends(1, world.Request{State: second.State(t), Action: "accept"})
		if err := f.Worlds[2].Auth.Revoke(t.Context(), lazyauth.Principal{Subject: "ada"}); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		browser := f.Worlds[0].Visitor(f.pages[0], "ada")
		if page := browser.ComesBack(browser.SignsIn(browser.Continues(link), "ada")); page.Name != "unfinished" {
			t.Errorf("the last page is %q: %s", page.Name, page.HTML)
		}
		(<-one).Fails(t, lazyauth.ReasonDenied)
		(<-two).Fails(t, lazyauth.ReasonDenied)
		for n, w := range f.Worlds {
			if status, err := w.Auth.Status(t.Context(), lazyauth.Principal{Subject: "ada"}); !errors.Is(err, lazyauth.ErrNoGrant) {
				t.Errorf("replica %d has a grant: %v, %v", n, status, err)
			}
		}
	})
}

// A replica that only seems to be gone, and that has a code in hand when another one takes its link, is given the time to exchange it: the person
// is done.
func TestForward_PageTakenWithACodeInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects)
		first := <-f.Sends(0, world.Request{})
		browser := f.Worlds[0].Visitor(f.pages[0], "ada")
		back := browser.SignsIn(browser.Continues(linkOf(t, first)), "ada")
		f.leaves[0]()
		time.Sleep(time.Second)
		f.Worlds[0].AS.Script(fakeas.Exchange, fakeas.Pass().After(9*time.Second))
		other := <-f.Sends(1, world.Request{}) // has the link now
		time.Sleep(5 * time.Second)            // less than it takes until the first one sees that
		here := f.Sends(0, world.Request{State: first.State(t), Action: "accept"})
		there := f.Sends(1, world.Request{State: other.State(t), Action: "accept"})
		if page := browser.ComesBack(back); page.Name != "signed-in" {
			t.Errorf("the last page is %q", page.Name)
		}
		(<-here).Succeeds(t, "ada")
		(<-there).Succeeds(t, "ada")
		if n := f.Worlds[0].AS.Count(fakeas.Exchange, ""); n != 1 {
			t.Errorf("%d sign-ins", n)
		}
	})
}

// Who comes back at the last moment is done, also if the server takes its time.
func TestForward_PageLapsesWithACodeInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, (*fleet).redirects)
		first := <-f.Sends(0, world.Request{})
		browser := f.Worlds[0].Visitor(f.pages[0], "ada")
		onward := browser.Continues(linkOf(t, first))
		f.Worlds[0].AS.Script(fakeas.Exchange, fakeas.Pass().After(9*time.Second))
		time.Sleep(9*time.Minute + 57*time.Second)
		call := f.Sends(0, world.Request{State: first.State(t), Action: "accept"})
		if page := browser.ComesBack(browser.SignsIn(onward, "ada")); page.Name != "signed-in" {
			t.Errorf("the last page is %q", page.Name)
		}
		(<-call).Succeeds(t, "ada")
	})
}
