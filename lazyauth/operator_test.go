package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// ada is a person, and not the local user.
var ada = lazyauth.Principal{Issuer: "https://idp.example", Subject: "ada"}

// An audited world is a world in which every call is ada's, for the account in its argument.
type audited struct {
	*world.World
	mu      sync.Mutex
	entries []lazyauth.AuditEntry
}

// audit returns the entries, once all are told, as "event by" words.
func (o *audited) audit() string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	var words []string
	for _, e := range o.entries {
		words = append(words, string(e.Event)+" by "+string(e.By))
	}
	return strings.Join(words, ", ")
}

func newAudited(t *testing.T, s store.Store, shared *fakeas.Server, change func(*lazyauth.Options)) *audited {
	t.Helper()
	o := new(audited)
	options := lazyauth.Options{
		Store:      s,
		Principal:  func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) { return ada, nil },
		Account:    lazyauth.AccountFromArgument("text"),
		VerifyUser: func(context.Context, lazyauth.Principal, *oauth2.Token) error { return nil },
		Audit: &lazyauth.Audit{Record: func(_ context.Context, e lazyauth.AuditEntry) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.entries = append(o.entries, e)
		}},
	}
	if change != nil {
		change(&options)
	}
	o.World = world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, Interval: time.Second}, Shared: shared, Options: options})
	return o
}

// signsIn has a call for this account ask ada, who approves.
func (o *audited) signsIn(h *world.Host, account string) {
	call := h.Call(o.T.Context(), "create_note", world.Note{Text: account})
	o.Approves()
	(<-call).Succeeds(o.T, account)
}

func TestOperator_ListsWhatAPersonHasGranted(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o := newAudited(t, store.Memory(), nil, nil)
		h := o.Host(era, world.Accepts)
		o.signsIn(h, "work")
		began := time.Now()
		world.Later(time.Minute)
		o.signsIn(h, "home")
		all, err := o.Auth.GrantsOf(t.Context(), ada)
		if err != nil || len(all) != 2 || all[0].Principal.Account != "home" || all[1].Principal.Account != "work" {
			t.Fatalf("the grants: %+v, %v", all, err)
		}
		if s := all[1]; s.Since.After(began) || time.Since(s.Since) < time.Minute || s.ID == "" || s.ID == all[0].ID || !s.Renewable || !s.Renewed.IsZero() {
			t.Errorf("the first grant: %+v", s)
		}
		o.AS.ExpireAccessTokens()
		h.Gets("create_note", world.Note{Text: "work"}, "work")
		if again, err := o.Auth.GrantsOf(t.Context(), ada); err != nil || !again[1].Since.Equal(all[1].Since) || again[1].ID != all[1].ID || again[1].Renewed.IsZero() {
			t.Errorf("after a refresh: %+v, %v", again, err)
		}
		eve := lazyauth.Principal{Issuer: ada.Issuer, Subject: "eve"}
		if none, err := o.Auth.GrantsOf(t.Context(), eve); err != nil || len(none) != 0 {
			t.Errorf("somebody else's: %+v, %v", none, err)
		}
		if err := o.Auth.RevokeAll(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		if none, err := o.Auth.GrantsOf(t.Context(), ada); err != nil || len(none) != 0 {
			t.Errorf("after the end of all: %+v, %v", none, err)
		}
		if got := o.audit(); got != "granted by person, granted by person, ended by person, ended by person" {
			t.Errorf("the audit has: %s", got)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.entries[0].ID != all[1].ID || o.entries[3].ID != all[1].ID || o.entries[0].Account != "work" || o.entries[0].Person != `"ada" of "https://idp.example"` {
			t.Errorf("the entries: %+v", o.entries)
		}
	})
}

func TestOperator_ABarredPersonsCallsFailAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		o := newAudited(t, kept, nil, nil)
		h := o.Host(era, world.Accepts)
		o.signsIn(h, "work")
		waiting := h.Call(t.Context(), "create_note", world.Note{Text: "home"})
		asked := o.Person() // who has not decided yet
		until := time.Now().Add(24 * time.Hour)
		began := time.Now()
		n, err := lazyauth.NewOperator(o.Auth, "olga").Bar(t.Context(), ada, until)
		if err != nil || n != 1 {
			t.Fatalf("%d grants ended, %v", n, err)
		}
		(<-waiting).Fails(t, lazyauth.ReasonBarred)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the call that waited was answered after %v", took)
		}
		_ = o.AS.Approve(asked.UserCode) // too late
		prompts := len(h.Shown())
		for _, account := range []string{"work", "home"} {
			r := <-h.Call(t.Context(), "create_note", world.Note{Text: account})
			r.Fails(t, lazyauth.ReasonBarred)
			if !strings.Contains(r.Text(), "ask the operator") || !strings.Contains(r.Text(), until.UTC().Format("2006-01-02")) {
				t.Errorf("the model is told: %s", r.Text())
			}
		}
		if len(h.Shown()) != prompts {
			t.Error("a barred person was asked")
		}
		if keys, _ := kept.Keys(t.Context()); len(keys) != 2 { // the person's record and the journal
			t.Errorf("the store has %d records: %q", len(keys), keys)
		}
		op := lazyauth.NewOperator(o.Auth, "olga")
		if bar, err := op.Barred(t.Context(), ada); err != nil || bar == nil || bar.By != "olga" || !bar.Until.Equal(until) {
			t.Errorf("the bar: %+v, %v", bar, err)
		}
		if all, err := op.Bars(t.Context()); err != nil || len(all) != 1 || all[0].Subject != "ada" {
			t.Errorf("all bars: %+v, %v", all, err)
		}
		if was, err := op.Lift(t.Context(), ada); err != nil || !was {
			t.Errorf("lifted %t, %v", was, err)
		}
		o.signsIn(h, "work")
		if got := o.audit(); got != "granted by person, barred by operator, ended by operator, lifted by operator, granted by person" {
			t.Errorf("the audit has: %s", got)
		}
	})
}

func TestOperator_ABarEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newAudited(t, nil, nil, nil) // without a store, too
		h := o.Host(world.Legacy, world.Accepts)
		if _, err := lazyauth.NewOperator(o.Auth, "olga").Bar(t.Context(), ada, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, lazyauth.ReasonBarred)
		world.Later(time.Hour)
		o.signsIn(h, "work")
	})
}

func TestOperator_NobodyBarsTheLocalUser(t *testing.T) {
	o := newAudited(t, nil, nil, nil)
	if _, err := lazyauth.NewOperator(o.Auth, "olga").Bar(t.Context(), lazyauth.LocalUser, time.Time{}); !errors.Is(err, lazyauth.ErrLocalUser) {
		t.Errorf("the error is %v", err)
	}
}

// One process has a grant in its memory and a flight under way; the operator acts in another one,
// with the same store.
func TestOperator_ActsFromAnotherProcess(t *testing.T) {
	for name, act := range map[string]func(context.Context, *lazyauth.Operator) error{
		"bar": func(ctx context.Context, op *lazyauth.Operator) error {
			_, err := op.Bar(ctx, ada, time.Time{})
			return err
		},
		"end":   func(ctx context.Context, op *lazyauth.Operator) error { _, err := op.EndAll(ctx, ada); return err },
		"erase": func(ctx context.Context, op *lazyauth.Operator) error { _, err := op.Erase(ctx, ada); return err },
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				server := newAudited(t, kept, nil, nil)
				h := server.Host(era, world.Accepts)
				server.signsIn(h, "work")
				waiting := h.Call(t.Context(), "create_note", world.Note{Text: "home"})
				asked := server.Person()
				command := newAudited(t, kept, server.AS, nil)
				if err := act(t.Context(), lazyauth.NewOperator(command.Auth, "olga")); err != nil {
					t.Fatal(err)
				}
				reason := lazyauth.ReasonDenied
				if name == "bar" {
					reason = lazyauth.ReasonBarred
				}
				// The person approves what was begun before: nothing comes of it.
				if err := server.AS.Approve(asked.UserCode); err != nil {
					t.Fatal(err)
				}
				(<-waiting).Fails(t, reason)
				world.Later(30 * time.Second)
				if all, err := server.Auth.GrantsOf(t.Context(), ada); err != nil || len(all) != 0 {
					t.Errorf("after half a minute: %+v, %v", all, err)
				}
				if name == "bar" {
					(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, reason)
				} else {
					server.signsIn(h, "work")
				}
			})
		})
	}
}

// A process has ended in the middle of a sign-in, which lies in the store for the next one to go on with. Whoever ends
// what the person has ends that, too, whichever account it is for: nothing of it is left, and the next call asks anew.
func TestOperator_EndsASignInThatNobodyWaitsFor(t *testing.T) {
	for name, act := range map[string]func(context.Context, *lazyauth.Interceptor) error{
		"end": func(ctx context.Context, auth *lazyauth.Interceptor) error {
			_, err := lazyauth.NewOperator(auth, "olga").EndAll(ctx, ada)
			return err
		},
		"erase": func(ctx context.Context, auth *lazyauth.Interceptor) error {
			_, err := lazyauth.NewOperator(auth, "olga").Erase(ctx, ada)
			return err
		},
		"by the person": func(ctx context.Context, auth *lazyauth.Interceptor) error { return auth.RevokeAll(ctx, ada) },
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := frequent{store.Memory()}
				server := newAudited(t, kept, nil, nil)
				waiting := server.Host(era, world.Accepts).Call(t.Context(), "create_note", world.Note{Text: "home"})
				asked := server.Person()
				synctest.Wait() // until they are shown it: the store has it before
				if err := server.Auth.Close(); err != nil {
					t.Fatal(err)
				}
				<-waiting
				if keys, err := kept.Keys(t.Context()); err != nil || !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "lazyauth flight ") }) {
					t.Fatalf("the sign-in is not in the store, which has %q, %v", keys, err)
				}
				if err := server.AS.Approve(asked.UserCode); err != nil {
					t.Fatal(err)
				}
				if err := act(t.Context(), newAudited(t, kept, server.AS, nil).Auth); err != nil {
					t.Fatal(err)
				}
				keys, err := kept.Keys(t.Context())
				for _, key := range keys {
					if strings.HasPrefix(key, "lazyauth flight ") || name == "erase" && !strings.HasPrefix(key, "lazyauth ended ") {
						t.Errorf("the store has %s", key)
					}
				}
				if err != nil {
					t.Error(err)
				}
				next := newAudited(t, kept, server.AS, nil)
				next.signsIn(next.Host(era, world.Accepts), "home")
				next.WantAuthorizations(2)
			})
		})
	}
}

func TestOperator_ErasesAndExports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		o := newAudited(t, kept, nil, nil)
		h := o.Host(world.Modern, world.Accepts)
		o.signsIn(h, "work")
		op := lazyauth.NewOperator(o.Auth, "olga")
		export, err := op.Export(t.Context(), ada)
		if err != nil || len(export.Grants) != 1 || export.Grants[0].Account != "work" || len(export.Grants[0].Scopes) == 0 || !strings.Contains(strings.Join(export.Remains, "\n"), "sign-ins under way") {
			t.Fatalf("the export: %+v, %v", export, err)
		}
		text, err := json.Marshal(export)
		if err != nil {
			t.Error(err)
		}
		credentials, _ := o.Secrets.All()
		for _, secret := range credentials {
			if strings.Contains(string(text), secret) {
				t.Error("a secret is in the export")
			}
		}
		if n, err := op.Bar(t.Context(), ada, time.Time{}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := op.Erase(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		keys, err := kept.Keys(t.Context())
		for _, key := range keys {
			record, failed := kept.Load(t.Context(), key)
			if text := key + string(record); failed != nil || strings.Contains(text, "ada") || strings.Contains(text, "work") || strings.Contains(text, "olga") {
				t.Errorf("after the erasure the store has %s (%v)", text, failed)
			}
		}
		if err != nil || len(keys) != 2 { // the hash of who is barred, and the journal
			t.Errorf("%d records, %v", len(keys), err)
		}
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, lazyauth.ReasonBarred)
	})
}

// A refresh is under way, in this process, when the grant is ended.
func TestOperator_ARefreshDoesNotBringAGrantBack(t *testing.T) {
	for name, s := range map[string]func() store.Store{"in memory": func() store.Store { return nil }, "stored": store.Memory} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				o := newAudited(t, s(), nil, nil)
				h := o.Host(era, world.Accepts)
				o.signsIn(h, "work")
				world.Later(2 * time.Hour)
				o.AS.Script(fakeas.Refresh, fakeas.Pass().After(3*time.Second))
				call := h.Call(t.Context(), "create_note", world.Note{Text: "work"})
				world.Later(time.Second)
				if _, err := lazyauth.NewOperator(o.Auth, "olga").Bar(t.Context(), ada, time.Time{}); err != nil && !errors.Is(err, lazyauth.ErrNotRevoked) {
					t.Fatal(err)
				}
				(<-call).Fails(t, lazyauth.ReasonBarred)
				world.Later(time.Minute)
				if all, err := o.Auth.GrantsOf(t.Context(), ada); err != nil || len(all) != 0 {
					t.Errorf("it is back: %+v, %v", all, err)
				}
			})
		})
	}
}

// A store that does not answer does not say who is barred: nobody is asked.
func TestOperator_AStoreThatFailsBarsNewSignIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &world.FailingStore{Store: store.Memory()}
		dead.Fails(errors.New("broken"))
		o := newAudited(t, dead, nil, nil)
		h := o.Host(world.Modern, world.Accepts)
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, lazyauth.ReasonUnavailable)
		o.WantAuthorizations(0)
		if _, err := lazyauth.NewOperator(o.Auth, "olga").Bar(t.Context(), ada, time.Time{}); err == nil {
			t.Error("a bar that was not written is no error")
		}
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, lazyauth.ReasonBarred)
	})
}

func TestOperator_AuthorizeOfABarredPersonFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newAudited(t, store.Memory(), nil, nil)
		if _, err := lazyauth.NewOperator(o.Auth, "olga").Bar(t.Context(), ada, time.Time{}); err != nil {
			t.Fatal(err)
		}
		err := o.Auth.Authorize(t.Context(), ada, scopes.Of("profile"), func(context.Context, elicit.Prompt) error { return nil })
		if e, ok := errors.AsType[*lazyauth.Error](err); !ok || e.Reason != lazyauth.ReasonBarred {
			t.Errorf("the error is %v", err)
		}
	})
}
