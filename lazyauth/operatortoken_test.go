package lazyauth_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

type noToken struct{}

func (noToken) Token() (*oauth2.Token, error) { return nil, errors.New("the vault is sealed") }

// approving is a show function of a person who approves.
func approving(w *world.World) func(context.Context, elicit.Prompt) error {
	return func(_ context.Context, p elicit.Prompt) error { return w.AS.Approve(p.UserCode) }
}

// The operator's token: nobody is asked, whatever happens to it.
func TestOperatorToken_AsksNobody(t *testing.T) {
	operated := func(source func(w *world.World) oauth2.TokenSource, story func(*testing.T, *world.World, *world.Host)) func(*testing.T) {
		return func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				ci := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Token: source(w)}})
				h := ci.Host(era, world.Accepts)
				story(t, ci, h)
				h.WantPrompts(0)
				ci.WantAuthorizations(1) // the one that issued the token
			})
		}
	}
	good := func(w *world.World) oauth2.TokenSource {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Secrets.Last()})
	}
	wrong := func(*world.World) oauth2.TokenSource {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "wrong"})
	}
	none := func(*world.World) oauth2.TokenSource { return noToken{} }
	t.Run("accepted", operated(good, func(t *testing.T, w *world.World, h *world.Host) {
		h.Gets("whoami", nil, "Ada")
		h.Gets("list_notes", nil, "[]")
		// It lacks this, and the handler sees what the API says.
		if r := <-h.Call(t.Context(), "create_note", world.Note{Text: "x"}); r.Result == nil || !r.Result.IsError || !strings.Contains(r.Text(), "403") {
			t.Errorf("without the scope: %q, %v", r.Text(), r.Err)
		}
		if s, err := w.Auth.Status(t.Context(), lazyauth.LocalUser); err != nil || s == nil || !s.Configured {
			t.Errorf("status: %+v, %v", s, err)
		}
	}))
	t.Run("refused", operated(wrong, func(t *testing.T, _ *world.World, h *world.Host) {
		if r := <-h.Call(t.Context(), "whoami", nil); r.Result == nil || !r.Result.IsError || !strings.Contains(r.Text(), "401") {
			t.Errorf("a wrong token: %q, %v", r.Text(), r.Err)
		}
	}))
	t.Run("unavailable", operated(none, func(t *testing.T, _ *world.World, h *world.Host) {
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.Text(), "operator configured") {
			t.Errorf("%q does not say who has to act", r.Text())
		}
	}))
}

func TestOperatorToken_FromEnv(t *testing.T) {
	t.Setenv("NOTES_TOKEN", "")
	if lazyauth.TokenFromEnv("NOTES_TOKEN") != nil {
		t.Error("an empty variable is a token")
	}
	t.Setenv("NOTES_TOKEN", " secret\n")
	if got, err := lazyauth.TokenFromEnv("NOTES_TOKEN").Token(); err != nil || got.AccessToken != "secret" {
		t.Errorf("%v, %v", got, err)
	}
}

// exits gives up its goroutine.
type exits struct{}

func (exits) Token() (*oauth2.Token, error) { runtime.Goexit(); return nil, nil }

// A token source that gives up its goroutine fails the renewal.
func TestOperatorToken_SourceThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: exits{}}})
		h := w.Host(world.Legacy, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if err := w.Auth.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// The operator is told why their token could not be had.
func TestOperatorToken_SourceThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: noToken{}}})
		(<-w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if w.Trace.Count("failed") == 0 {
			t.Error("the cause is in no event")
		}
	})
}

// verbose is a token source that quotes what a server wrote.
type verbose struct{}

func (verbose) Token() (*oauth2.Token, error) {
	return nil, errors.New("answer: \x1b[2J" + strings.Repeat("x", 10_000))
}

// What a source quotes reaches the log escaped and shortened, and the model not at all.
func TestOperatorToken_VerboseSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: verbose{}}})
		r := <-w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		if log := w.Log.String(); !strings.Contains(log, "Options.Token") || strings.Contains(log, strings.Repeat("x", 300)) || strings.Contains(r.Text(), "xxx") {
			t.Errorf("the log has %d bytes, the model gets %q", len(log), r.Text())
		}
	})
}

// Whose token the operator gave is said, too.
func TestOperatorToken_Named(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
			t.Fatal(err)
		}
		ci := world.New(t, world.Setup{Shared: w.AS, Service: func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }, Options: lazyauth.Options{
			Token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Secrets.Last()})}})
		h := ci.Host(world.Legacy, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Succeeds(t, "Ada")
		if r.Result.Meta[lazyauth.MetaAccount] == nil {
			t.Error("whose token it is, is not said")
		}
	})
}
