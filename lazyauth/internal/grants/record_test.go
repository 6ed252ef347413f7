package grants_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// What is stored and cannot be read, or is of a later version, is no grant. That of a later
// version is left alone, whatever happens; the rest is replaced by the next grant.
func TestStore_RecordOfAnotherKind(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		kept bool
	}{
		"garbage":       {"garbage", false},
		"later version": {`{"v":2,"grant":"x"}`, true},
		"no version":    {`{"access":"ab"}`, true},
		"bad token":     {`{"v":1,"access":"a b","scopes":"profile"}`, false},
		"no token":      {`{"v":1,"scopes":"profile"}`, false},
		"bad scopes":    {`{"v":1,"access":"ab","scopes":"\u0000"}`, false},
		"bad asked":     {`{"v":1,"access":"ab","scopes":"profile","asked":"\u0000"}`, false},
		"bad client":    {`{"v":1,"access":"ab","scopes":"profile","client":"\u0000"}`, false},
		"bad whole":     {`{"v":1,"access":"ab","scopes":"profile","whole":"\u0000"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute}, store: store.Memory()})
				w.plant(test.text)
				is := func(when string) {
					t.Helper()
					if got := w.stored(); (got == test.text) != test.kept {
						t.Errorf("after %s the record is %.20q", when, got)
					}
				}
				w.signsIn(profile)
				is("the sign-in")
				if failed := w.told("store failed"); len(failed) == 0 || strings.Contains(fmt.Sprint(failed), test.text) {
					t.Errorf("told %v", failed)
				}
				w.plant(test.text)
				later(20 * time.Minute)
				w.has(profile)
				is("the refresh")
				w.plant(test.text)
				w.as.RevokeRefreshTokens()
				later(20 * time.Minute)
				c := w.asks(profile)
				w.person()
				if test.kept {
					is("the refused refresh")
				}
				w.approves()
				(<-c).holds(profile)
				w.plant(test.text)
				if err := w.another().me.Forget(t.Context()); !errors.Is(err, grants.ErrNotRevoked) {
					t.Errorf("of what cannot be read it is said that it was revoked: %v", err)
				}
				if got := w.stored(); got != "" {
					t.Errorf("after the logout the record is %.20q", got)
				}
			})
		})
	}
}

// A record that is far too long is not read.
func TestStore_RecordTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{store: kept})
		text := `{"v":1,"access":"ab","scopes":"profile","asked":"` + strings.Repeat("a ", 1<<19) + `"}`
		kept.loads(func(context.Context, string) ([]byte, error) { return []byte(text), nil })
		w.signsIn(profile)
		if failed := w.told("store failed"); len(failed) != 1 || !strings.Contains(failed[0].err.Error(), "too long") {
			t.Errorf("told %d times", len(failed))
		}
	})
}

// A record that does not say what was asked for is taken for one of what the program asks for.
func TestStore_RecordThatDoesNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory()})
		w.plant(`{"v":1,"access":"ab","scopes":"profile internal:admin"}`)
		o := <-w.asks(profile)
		if o.err != nil || o.grant.Known() != profile || !o.grant.Covers(scopes.Of("internal:admin")) {
			t.Errorf("%v, %v", o.grant, o.err)
		}
	})
}

// A record that has expired is no grant, and keeps none from being stored.
func TestStore_ExpiredRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, NoRefresh: true}, store: store.Memory()})
		w.signsIn(scopes.Of("profile", "notes:read"))
		later(time.Hour)
		two := w.another()
		c := two.asks(profile)
		two.approves("profile")
		(<-c).holds(profile)
		w.another().has(profile)
	})
}
