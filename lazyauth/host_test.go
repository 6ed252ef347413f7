package lazyauth_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestHost_ErasOnOneServer(t *testing.T) {
	// One server, hosts of both eras, one person: each is prompted in its own
	// way, and one approval resumes both.
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		old, current := w.Host(world.Legacy, world.Accepts), w.Host(world.Modern, world.Accepts)
		one, two := old.Call(t.Context(), "whoami", nil), current.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
		old.WantPrompts(1)
		current.WantPrompts(1)
		w.WantAuthorizations(1)
		synctest.Wait()
		if n := w.Wire.Count("elicitation/create", `"id"`, `"method":"elicitation/create","params":{"mode":"url"`); n == 0 {
			t.Error("no prompt on the wire")
		}
		if id := current.Shown()[0].ElicitationID; id == "" || id == old.Shown()[0].ElicitationID {
			t.Errorf("elicitationId of the modern prompt: %q", id) // hosts exist that need it
		}
		if len(current.Completions()) != 0 || len(old.Completions()) != 1 || old.Completions()[0] != old.Shown()[0].ElicitationID {
			t.Errorf("completions: %q in the old era, %q in the new", old.Completions(), current.Completions())
		}
	})
}

func TestHost_ErasInOneSession(t *testing.T) {
	// A request of the new era in a session that was initialized in the old
	// one: neither a server request nor an InputRequiredResult is safe.
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.Mixed = true
		h := w.Host(world.Legacy, world.Accepts)
		params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{
			mcp.MetaKeyProtocolVersion:    world.Modern,
			mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
		}}
		result, err := h.Session.CallTool(t.Context(), params)
		world.Reply{Result: result, Err: err}.Fails(t, lazyauth.ReasonPending)
		h.WantPrompts(0)
		if w.Wire.Count("elicitation/create") != 0 || w.Wire.Count("input_required") != 0 {
			t.Errorf("the wire: %s", w.Wire.Text())
		}
	})
}

// Requests of the old era on a stateless endpoint have no session to go by: the
// principal is the client, so that the second call joins the first one's flight.
func TestHost_LegacyOnStatelessHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
		client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, nil)
		session, err := client.Connect(t.Context(), world.ServeHTTP(t, w, true, true).As("ada"), &mcp.ClientSessionOptions{ProtocolVersion: world.Legacy})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { session.Close() })
		h := w.HostOf(session)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if !strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("%q lacks the code", r.Text())
		}
		w.Approves()
		// Others who wait for the same authorization learn when it is over.
		if err := w.Auth.Authorize(t.Context(), lazyauth.Principal{Issuer: "https://idp.example", Subject: "ada"}, scopes.Of("profile"), nil); err != nil {
			t.Fatal(err)
		}
		h.Gets("whoami", nil, "Ada")
		w.WantAuthorizations(1)
	})
}

// What a request of the old era says in _meta is no capability of its session.
func TestHost_LegacyMetaDeclaresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(world.Legacy, world.Manners{})
		began := time.Now()
		params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{
			mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
		}}
		result, err := h.Session.CallTool(t.Context(), params)
		r := world.Reply{Result: result, Err: err}
		r.Fails(t, lazyauth.ReasonPending)
		if !strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("after %v, the prompt was not shown as text: %q", time.Since(began), r.Text())
		}
	})
}

// Two hosts of one person: each shows the prompt once, refusing it at one leaves the
// other alone, and one approval serves both.
func TestHost_TwoOfOnePerson(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		first, second := w.Host(era, world.Says("decline", 5*time.Second)), w.Host(era, world.Accepts)
		one, two := first.Call(t.Context(), "whoami", nil), second.Call(t.Context(), "whoami", nil)
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		third := second.Call(t.Context(), "whoami", nil) // joins
		w.Approves()
		(<-two).Succeeds(t, "Ada")
		(<-third).Succeeds(t, "Ada")
		// What was refused was the prompt, and there is a grant now.
		first.Gets("whoami", nil, "Ada")
		first.WantPrompts(1)
		second.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// The host that was prompted is gone: its call ends, the flight does not, and another
// host of the same person is asked with the same code.
func TestHost_ThatWasPromptedLeaves(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		second := w.Host(era, world.Accepts)
		first, hangUp := w.HostThatHangsUp(era)
		gone := first.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		first.WantPrompts(1)
		hangUp()
		<-gone
		call := second.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		second.WantPrompts(1)
		if p := second.Shown(); !strings.Contains(p[0].Message, code) {
			t.Errorf("the prompt %q has another code", p[0].Message)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

func waitForRequest(t *testing.T, w *world.World) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := w.AS.WaitForRequest(ctx)
	return req.UserCode, err
}

// A host that shows one dialog at a time, and has two services to ask for.
func TestHost_ThatSerializesDialogs(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		var screen sync.Mutex // a mutex would freeze virtual time where nothing else runs: it is held for short
		busy := false
		var overlaps int
		h := w.Host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			for {
				screen.Lock()
				if !busy {
					busy = true
					screen.Unlock()
					break
				}
				overlaps++
				screen.Unlock()
				world.Later(time.Second)
			}
			defer func() { screen.Lock(); busy = false; screen.Unlock() }()
			return world.Says("accept", 20*time.Second)(ctx, p) // when the person comes back
		})
		var calls []<-chan world.Reply
		for range 4 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "list_notes", nil))
		}
		for range 2 {
			if req, err := waitForRequest(t, w); err == nil {
				world.Later(10 * time.Second)
				w.AS.Approve(req)
			}
		}
		for _, call := range calls {
			(<-call).Succeeds(t, "")
		}
		if n := len(h.Shown()); n > 2 {
			t.Errorf("%d dialogs for one burst of calls with two needs", n)
		}
		if overlaps > 30 {
			t.Errorf("a dialog stood %d seconds behind another one", overlaps)
		}
	})
}

// A host that makes at most two calls at once gets the third one through when the
// first two are answered, and nobody waits for a call that cannot come.
func TestHost_WithTwoCallsAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		slots := make(chan struct{}, 2)
		var done sync.WaitGroup
		for range 6 {
			done.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				h.Gets("whoami", nil, "Ada")
			})
		}
		req := w.Person()
		world.Later(20 * time.Second)
		w.AS.Approve(req.UserCode)
		done.Wait()
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// On stateless HTTP several hosts of one person are one client. A host that refuses by
// itself, unattended as it is, does not do so for the others: they are asked in its place.
func TestHost_UnattendedBesideAnother(t *testing.T) {
	for name, unattended := range map[string]world.Manners{
		"which has nothing else": {URL: true},
		"which takes a form":     {URL: true, Form: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
				web := world.ServeHTTP(t, w, true, true)
				refuse := make(chan struct{})
				unattended.React = func(_ context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					if p.Mode == "form" {
						return &mcp.ElicitResult{Action: "accept"}, nil
					}
					<-refuse
					return &mcp.ElicitResult{Action: "decline"}, nil
				}
				a := web.HostAs("ada", unattended)
				b := web.HostAs("ada", world.Manners{URL: true, React: world.Accepts})
				one := a.Call(t.Context(), "whoami", nil)
				world.Later(300 * time.Millisecond)
				a.WantPrompts(1)
				two := b.Call(t.Context(), "whoami", nil)
				world.Later(300 * time.Millisecond) // no more than a program takes to refuse
				b.WantPrompts(0)
				close(refuse)
				if !unattended.Form {
					r := <-one
					r.Fails(t, lazyauth.ReasonDeclined)
					if strings.Contains(r.Text(), "minute") {
						t.Errorf("%q speaks for the person", r.Text())
					}
					world.Later(300 * time.Millisecond)
					b.WantPrompts(1)
				} else {
					world.Later(300 * time.Millisecond)
					if n := len(a.Shown()) + len(b.Shown()); n != 2 {
						t.Errorf("%d prompts, want two", n)
					}
				}
				w.Approves()
				(<-two).Succeeds(t, "Ada")
				if unattended.Form {
					(<-one).Succeeds(t, "Ada")
				}
				w.WantAuthorizations(1)
			})
		})
	}
}
