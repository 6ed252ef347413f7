package lazyauth_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func reasonOf(err error) lazyauth.Reason {
	if e, ok := errors.AsType[*lazyauth.Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestAuthorize_ShowsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		shown := 0
		show := func(_ context.Context, p elicit.Prompt) error {
			shown++
			return w.AS.Approve(p.UserCode)
		}
		for range 2 {
			if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:read"), show); err != nil {
				t.Fatal(err)
			}
		}
		if shown != 1 {
			t.Errorf("shown %d times, want 1", shown)
		}
		h := w.Host(world.Modern, world.Accepts)
		h.Gets("list_notes", nil, "[]")
		h.WantPrompts(0)

		if err := w.Auth.Authorize(t.Context(), lazyauth.Principal{Subject: "x"}, scopes.Set{}, show); reasonOf(err) != lazyauth.ReasonUnverified {
			t.Errorf("a principal that cannot be verified: %v", err)
		}
		refused := errors.New("no terminal")
		err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:write"), func(context.Context, elicit.Prompt) error { return refused })
		if !errors.Is(err, refused) {
			t.Errorf("an error of show: %v", err)
		}
	})
}

// Nothing satisfies a nil requirement, so nobody is asked for it.
func TestAuthorize_NilNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		shown := 0
		err := w.Auth.Authorize(ctx, lazyauth.LocalUser, nil, func(_ context.Context, p elicit.Prompt) error {
			shown++
			return w.AS.Approve(p.UserCode)
		})
		if shown != 0 || reasonOf(err) != lazyauth.ReasonExceeded {
			t.Errorf("the person was asked %d times, and it ended with %v", shown, err)
		}
	})
}
