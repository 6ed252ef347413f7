package lazyauth_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A link is one replica's to the rows that they share: it counts what is sent, and can be cut.
type link struct {
	store.Shared
	cut    atomic.Bool
	mute   atomic.Bool  // there is no answer about places
	places atomic.Int64 // steps about these
}

func (l *link) sends(kind string) error {
	if kind == "place" {
		l.places.Add(1)
	}
	if l.cut.Load() || kind == "place" && l.mute.Load() {
		return store.ErrNoAnswer
	}
	return nil
}

func (l *link) Read(ctx context.Context, id store.ID) (*store.Row, error) {
	if err := l.sends(id.Kind); err != nil {
		return nil, err
	}
	return l.Shared.Read(ctx, id)
}

func (l *link) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	if err := l.sends(id.Kind); err != nil {
		return nil, 0, err
	}
	return l.Shared.Begin(ctx, id, a)
}

func (l *link) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	if err := l.sends(id.Kind); err != nil {
		return false, err
	}
	return l.Shared.Write(ctx, id, fence, generation, c)
}

func (l *link) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	if err := l.sends(id.Kind); err != nil {
		return false, err
	}
	return l.Shared.Insert(ctx, id, c)
}

func (l *link) OfPerson(ctx context.Context, person store.Hash, after store.ID, limit int) ([]store.ID, error) {
	if err := l.sends("place"); err != nil {
		return nil, err
	}
	return l.Shared.OfPerson(ctx, person, after, limit)
}

// busyReplicas are some replicas whose callers name accounts, of each of which a code lives ten minutes.
type busyReplicas struct {
	*world.Fleet
	links []*link
	all   int // accounts that were named
}

func newBusy(t *testing.T, size int, change func(*lazyauth.Options)) *busyReplicas {
	t.Helper()
	rows := store.NewSharedMemory(nil)
	c := &busyReplicas{}
	newBusyOf(t, c, size, change, func() store.Store {
		l := &link{Shared: rows}
		c.links = append(c.links, l)
		return world.JoinFleet(t, l)
	})
	return c
}

func newBusyOf(t *testing.T, c *busyReplicas, size int, change func(*lazyauth.Options), open func() store.Store) {
	t.Helper()
	c.Fleet = &world.Fleet{T: t}
	as := fakeas.New(&fakeas.Options{CodeLifetime: 10 * time.Minute, Interval: time.Second})
	for range size {
		o := lazyauth.Options{Store: open(), Account: lazyauth.AccountFromArgument("text"), VerifyUser: world.Anybody}
		if change != nil {
			change(&o)
		}
		w := world.New(t, world.Setup{Shared: as, Options: o})
		c.Worlds, c.Seats = append(c.Worlds, w), append(c.Seats, w.Endpoint())
	}
}

// signsIn has somebody call a replica for an account of theirs that was not named before, and reports whether they are asked.
// Otherwise the call has to be busy.
func (c *busyReplicas) signsIn(n int, user string) bool {
	c.T.Helper()
	c.all++
	return c.isAsked(<-c.Sends(n, world.Request{User: user, Tool: "create_note", Text: fmt.Sprint("account-", c.all)}))
}

func (c *busyReplicas) isAsked(r world.Reply) bool {
	c.T.Helper()
	if r.Result != nil && r.Result.NeedsInput() {
		return true
	}
	if r.Fails(c.T, lazyauth.ReasonBusy); c.T.Failed() {
		c.T.FailNow()
	}
	if !strings.Contains(r.Text(), "Call again in a minute") {
		c.T.Errorf("it does not say when to come back: %q", r.Text())
	}
	return false
}

// begins has mallory begin as many sign-ins as she can, at those replicas in turn, and demands that these are so many.
func (c *busyReplicas) begins(want int, at ...int) {
	c.T.Helper()
	asked := c.Worlds[0].AS.Count(fakeas.DeviceAuthorization, "")
	n, refused := 0, 0
	for ; refused < len(at); n++ {
		if c.signsIn(at[n%len(at)], "mallory") {
			refused = 0
		} else {
			refused++
		}
	}
	if n -= refused; n != want {
		c.T.Errorf("%d sign-ins, want %d", n, want)
	}
	if more := c.Worlds[0].AS.Count(fakeas.DeviceAuthorization, "") - asked; more != n {
		c.T.Errorf("the authorization server was asked %d times for %d sign-ins", more, n)
	}
}

// ends has the first of those that wait approved.
func (c *busyReplicas) ends() {
	c.T.Helper()
	if err := c.Worlds[0].AS.Approve(c.Worlds[0].AS.Waiting()[0].UserCode); err != nil {
		c.T.Error(err)
	}
	time.Sleep(5 * time.Second) // it is polled for
}

// One person begins sixteen sign-ins at all replicas together, and is refused another one at each, before anything is asked of the
// authorization server. When one ends there is room for one, wherever it comes. Others are not touched.
func TestBusyReplicas_Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 3, nil)
		c.begins(16, 0, 1, 2)
		for n := range c.Seats {
			if !c.signsIn(n, "ada") {
				t.Errorf("ada is refused at replica %d", n)
			}
		}
		c.ends() // mallory's first, of replica 0
		c.begins(1, 2)
		c.begins(0, 0, 1)
	})
}

// Of two replicas that are asked at the same moment for the last place, one has it.
func TestBusyReplicas_LastPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 3, nil)
		for n := range 15 {
			if !c.signsIn(n%3, "mallory") {
				t.Fatalf("refused after %d", n)
			}
		}
		for range 5 {
			var replies []<-chan world.Reply
			for n, seat := range c.Seats {
				c.all++
				replies = append(replies, seat.Send(t.Context(), world.Request{User: "mallory", Tool: "create_note", Text: fmt.Sprint("at-once-", c.all, "-", n), Caps: world.URLAlone}))
			}
			asked := 0
			for _, reply := range replies {
				if c.isAsked(<-reply) {
					asked++
				}
			}
			if asked != 1 {
				t.Fatalf("%d have the last place", asked)
			}
			c.ends()
		}
	})
}

// What a replica that was killed had begun counts until it can be approved no more, and a token that came at the last moment
// would be there. Nobody cleans up.
func TestBusyReplicas_Killed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 3, nil)
		for range 6 {
			c.signsIn(0, "mallory")
		}
		c.links[0].cut.Store(true)
		c.begins(10, 1, 2)
		time.Sleep(10*time.Minute + 5*time.Second) // the others' have ended, too, as was seen
		c.begins(10, 1, 2)
		time.Sleep(90 * time.Second)
		c.begins(6, 1, 2)
	})
}

// A sign-in whose replica was killed is gone on with by another one, and gives its place back when that has ended it.
func TestBusyReplicas_TakenOver(t *testing.T) {
	for what, end := range map[string]func(*busyReplicas){
		"approved": (*busyReplicas).ends,
		"refused": func(c *busyReplicas) {
			_ = c.Worlds[0].AS.Deny(c.Worlds[0].AS.Waiting()[0].UserCode)
			time.Sleep(5 * time.Second)
		},
		"logged out": func(c *busyReplicas) {
			who := lazyauth.Principal{Subject: "mallory", Account: "one"}
			if err := c.Worlds[2].Auth.Revoke(c.T.Context(), who); err != nil {
				c.T.Error(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newBusy(t, 3, nil)
				one := world.Request{User: "mallory", Tool: "create_note", Text: "one"}
				c.isAsked(<-c.Sends(0, one))
				c.links[0].cut.Store(true)
				c.isAsked(<-c.Sends(1, one)) // it joins
				c.begins(15, 1, 2)
				time.Sleep(10 * time.Second) // and polls from now on
				end(c)
				c.begins(1, 2)
			})
		})
	}
}

// Who has declined can still take the sign-in up, at any replica, which begins none. So it counts.
func TestBusyReplicas_Declined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 2, nil)
		one := world.Request{User: "mallory", Tool: "create_note", Text: "one"}
		first := <-c.Sends(0, one)
		declined := one
		declined.State, declined.Action = first.State(t), "decline"
		time.Sleep(2 * time.Second)
		(<-c.Sends(0, declined)).Fails(t, lazyauth.ReasonDeclined)
		c.begins(15, 0, 1)
		time.Sleep(time.Minute)
		if !c.isAsked(<-c.Sends(1, one)) {
			t.Error("it is not taken up")
		}
		c.begins(0, 0, 1)
		c.ends()
		c.begins(1, 0)
	})
}

// A sign-in costs one more step of the store until the person is asked; to join one, a poll, and a call with a grant cost none.
func TestBusyReplicas_Steps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 2, nil)
		took := func(what string, want int64, f func()) {
			t.Helper()
			for _, l := range c.links {
				l.places.Store(0)
			}
			f()
			if n := c.links[0].places.Load() + c.links[1].places.Load(); n != want {
				t.Errorf("%s: %d steps about places, want %d", what, n, want)
			}
		}
		took("the first, of a server of which it is not known how long its codes live", 3, func() { c.signsIn(0, "ada") })
		took("another one", 1, func() { c.signsIn(0, "bob") })
		one := world.Request{User: "carol"}
		took("one more", 1, func() { one.State = (<-c.Sends(0, one)).State(t) })
		took("joining", 0, func() { (<-c.Sends(1, world.Request{User: "carol"})).State(t) })
		took("polls", 0, func() { time.Sleep(time.Minute) })
		took("its end", 2, func() {
			waiting := c.Worlds[0].AS.Waiting()
			if err := c.Worlds[0].AS.Approve(waiting[len(waiting)-1].UserCode); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Second)
		})
		took("calls with a grant", 0, func() {
			one.Action = "accept"
			(<-c.Sends(0, one)).Succeeds(t, "Ada")
			(<-c.Sends(1, world.Request{User: "carol"})).Succeeds(t, "Ada")
		})
		for range 15 {
			c.signsIn(0, "ada")
		}
		took("one too many", 2, func() { c.signsIn(1, "ada") })
	})
}

// The local user could as well start another program, and is bounded by each for itself.
func TestBusyReplicas_LocalUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 2, func(o *lazyauth.Options) { o.InsecureSingleUser, o.VerifyUser = true, nil })
		c.begins(16, 0)
		c.begins(16, 1)
	})
}

// Where the store does not say, and where sign-ins under way are not in it, each replica bounds what is its own.
func TestBusyReplicas_EachForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 2, nil)
		c.begins(16, 0)
		for _, l := range c.links {
			l.mute.Store(true)
		}
		c.begins(16, 1)
		c.begins(0, 0)
		if c.Worlds[1].Trace.Count("storefailed") == 0 {
			t.Error("it is not told")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newBusy(t, 2, func(o *lazyauth.Options) { o.UnsharedSignIns = true })
		c.begins(16, 0)
		c.begins(16, 1)
	})
}

// Processes of one machine have their sixteen in a folder.
func TestBusyReplicas_Processes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "grants")
	synctest.Test(t, func(t *testing.T) {
		c := &busyReplicas{}
		newBusyOf(t, c, 2, nil, func() store.Store {
			folder, err := store.UnencryptedFile(dir)
			if err != nil {
				t.Fatal(err)
			}
			return store.NewProcesses(folder)
		})
		c.begins(16, 0, 1)
		c.ends()
		c.begins(1, 1)
	})
}
