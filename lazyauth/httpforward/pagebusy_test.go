package httpforward_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// accounts are those that ada names by an argument.
func accounts(_ *fleet, s *world.Setup) { s.Options.Account = lazyauth.AccountFromArgument("text") }

// account is a call for one of ada's accounts.
func account(n int) world.Request {
	return world.Request{Tool: "create_note", Text: fmt.Sprint("account-", n)}
}

// begins has ada begin sign-ins for accounts from this one on, at those replicas in turn, until one is refused. It returns how many
// there were, and the prompts.
func (f *fleet) begins(from int, at ...int) (n int, prompts []world.Reply) {
	f.T.Helper()
	for {
		r := <-f.Sends(at[n%len(at)], account(from+n))
		if r.Result == nil || !r.Result.NeedsInput() {
			r.Fails(f.T, lazyauth.ReasonBusy)
			return n, prompts
		}
		prompts = append(prompts, r)
		n++
	}
}

// A person has sixteen links of the connect page at a time, at all replicas together. There is room for another one when one has been
// gone through, also if its replica was killed and another one answers for it; and when those that nobody answers for have
// expired.
func TestForward_ManyPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, (*fleet).redirects, accounts)
		n, first := f.begins(0, 0, 1, 2)
		if n != 16 {
			t.Fatalf("%d links, want 16", n)
		}
		more := func(what string, from, want int, at ...int) {
			t.Helper()
			if n, _ := f.begins(from, at...); n != want {
				t.Errorf("%s: %d more, want %d", what, n, want)
			}
		}
		f.connects(0, linkOf(t, first[1]))
		time.Sleep(time.Second)
		more("one was gone through", 100, 1, 2)

		f.dies(0)
		time.Sleep(35 * time.Second)
		again := <-f.Sends(1, account(0)) // of a replica that was killed: taken over
		if link := linkOf(t, again); link != linkOf(t, first[0]) {
			t.Errorf("another link: %s", link)
		}
		more("one was taken over", 200, 0, 1, 2)
		f.connects(1, linkOf(t, again))
		time.Sleep(time.Second)
		more("that was gone through", 300, 1, 2)

		time.Sleep(13 * time.Minute)
		more("the others have expired", 400, 16, 1, 2)
	})
}

// A replica that others cannot reach has links of its own, which count with theirs.
func TestForward_ManyPagesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, (*fleet).redirects, accounts)
		f.leaves[1]()
		time.Sleep(time.Minute)
		n, prompts := f.begins(0, 0, 1)
		if n != 16 {
			t.Fatalf("%d links, want 16", n)
		}
		f.connects(1, linkOf(t, prompts[1]))
		time.Sleep(time.Second)
		if n, _ := f.begins(100, 0); n != 1 {
			t.Errorf("%d more, want 1", n)
		}
	})
}
