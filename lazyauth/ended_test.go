package lazyauth_test

import (
	"context"
	"errors"
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

// The ways in which a grant ends by somebody's word, in the process of the call or in another one.
var ends = map[string]func(context.Context, *lazyauth.Interceptor, lazyauth.Principal) error{
	"revoke": func(ctx context.Context, i *lazyauth.Interceptor, who lazyauth.Principal) error {
		return i.Revoke(ctx, who)
	},
	"revoke all": func(ctx context.Context, i *lazyauth.Interceptor, who lazyauth.Principal) error {
		return i.RevokeAll(ctx, who)
	},
	"end": func(ctx context.Context, i *lazyauth.Interceptor, who lazyauth.Principal) error {
		return lazyauth.NewOperator(i, "olga").End(ctx, who)
	},
	"bar": func(ctx context.Context, i *lazyauth.Interceptor, who lazyauth.Principal) error {
		_, err := lazyauth.NewOperator(i, "olga").Bar(ctx, who, time.Time{})
		return err
	},
	"erase": func(ctx context.Context, i *lazyauth.Interceptor, who lazyauth.Principal) error {
		_, err := lazyauth.NewOperator(i, "olga").Erase(ctx, who)
		return err
	},
}

// endings runs a story for each way in which a grant ends, in the memory of one process, and in one and in another
// one of a store.
func endings(t *testing.T, story func(t *testing.T, kept store.Store, end func(here *office, who lazyauth.Principal))) {
	t.Helper()
	for name, end := range ends {
		for where, kept := range map[string]func(*testing.T) (here, there store.Store){
			"in memory": func(*testing.T) (here, there store.Store) { return nil, nil },
			"stored":    func(*testing.T) (here, there store.Store) { return store.Memory(), nil },
			"elsewhere": func(*testing.T) (here, there store.Store) { s := store.Memory(); return s, s },
			"at another replica": func(t *testing.T) (here, there store.Store) {
				all := fleetsOf(t, false)
				return all[0], all[1]
			},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, there := kept(t)
					story(t, s, func(here *office, who lazyauth.Principal) {
						t.Helper()
						process := here.Auth
						if there != nil {
							process = newOffice(t, world.Setup{Shared: here.AS, Options: lazyauth.Options{Store: there}}).Auth
						}
						if err := end(t.Context(), process, who); err != nil && !errors.Is(err, lazyauth.ErrNotRevoked) {
							t.Error(err)
						}
					})
				})
			})
		}
	}
}

// over demands that a person has nothing, now and half a minute later, and that no token of theirs is good.
func (o *office) over(who lazyauth.Principal) {
	o.T.Helper()
	world.Later(30 * time.Second)
	credentials, _ := o.Secrets.All()
	for _, token := range credentials {
		if access, good := o.AS.Introspect(token); good {
			o.T.Errorf("a token for %q is good", access.Scopes)
		}
	}
	for range 2 {
		if all, err := o.Auth.GrantsOf(o.T.Context(), who); err != nil || len(all) != 0 {
			o.T.Errorf("it is back: %+v, %v", all, err)
		}
		world.Later(time.Hour)
	}
}

var adaCalls = lazyauth.Principal{Subject: "ada"} // as newOffice has its callers

// A callback has come, and its code is on its way to the authorization server, when the grant, of which there is none
// yet, is ended: nothing comes of it.
func TestEnded_ACallbackInFlight(t *testing.T) {
	endings(t, func(t *testing.T, kept store.Store, end func(*office, lazyauth.Principal)) {
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		call, link := o.asks(world.Modern)
		ada := o.Visitor(o.page, "ada")
		back := ada.SignsIn(ada.Continues(link), "ada")
		o.AS.Script(fakeas.Exchange, fakeas.Pass().After(3*time.Second))
		landed := ada.Get(back)
		world.Later(time.Second)
		end(o, adaCalls)
		page := ada.ComesBack(landed.Location)
		if page.Name == "signed-in" || page.Name == "working" {
			t.Errorf("the browser shows %q", page.Name)
		}
		if r := <-call; r.Err != nil || !r.Result.IsError {
			t.Errorf("the call came to %q, %v", r.Text(), r.Err)
		}
		o.over(adaCalls)
	})
}

// What there is ends, its tokens too.
func TestEnded_AGrant(t *testing.T) {
	endings(t, func(t *testing.T, kept store.Store, end func(*office, lazyauth.Principal)) {
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		o.connects("ada")
		end(o, adaCalls)
		o.over(adaCalls)
		if n := o.AS.Count(fakeas.Revocation, ""); n != 2 { // of the access token, and of the refresh token
			t.Errorf("%d revocations", n)
		}
	})
}

// The person is at the authorization server when it is ended: what they approve there comes to nothing.
func TestEnded_AnAttemptInFlight(t *testing.T) {
	endings(t, func(t *testing.T, kept store.Store, end func(*office, lazyauth.Principal)) {
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		call, link := o.asks(world.Modern)
		ada := o.Visitor(o.page, "ada")
		onward := ada.Continues(link)
		end(o, adaCalls)
		if page := ada.ComesBack(ada.SignsIn(onward, "ada")); page.Name == "signed-in" {
			t.Errorf("the browser shows %q", page.Name)
		}
		if r := <-call; r.Err != nil || !r.Result.IsError {
			t.Errorf("the call came to %q, %v", r.Text(), r.Err)
		}
		o.over(adaCalls)
	})
}

// The answer to a poll is on its way when it is ended.
func TestEnded_APollInFlight(t *testing.T) {
	endings(t, func(t *testing.T, kept store.Store, end func(*office, lazyauth.Principal)) {
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Store: kept, VerifyUser: world.Anybody}}, lazyauth.FlowDevice, lazyauth.FlowRedirect)
		h := o.HostWith(world.Modern, world.Manners{Name: "ada", URL: true, React: world.Accepts})
		call := h.Call(t.Context(), "whoami", nil)
		asked := o.Person()
		o.AS.Script(fakeas.Poll, fakeas.Pass().After(3*time.Second))
		if err := o.AS.Approve(asked.UserCode); err != nil {
			t.Fatal(err)
		}
		world.Later(6 * time.Second) // the poll after five is being answered
		end(o, adaCalls)
		if r := <-call; r.Err != nil || !r.Result.IsError {
			t.Errorf("the call came to %q, %v", r.Text(), r.Err)
		}
		o.over(adaCalls)
	})
}

// A refresh is on its way when it is ended, in this process or in the other one.
func TestEnded_ARefreshInFlight(t *testing.T) {
	endings(t, func(t *testing.T, kept store.Store, end func(*office, lazyauth.Principal)) {
		o := newOffice(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept}})
		h := o.connects("ada")
		world.Later(2 * time.Hour)
		o.AS.Script(fakeas.Refresh, fakeas.Pass().After(3*time.Second))
		call := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		end(o, adaCalls)
		o.over(adaCalls)
		<-call // it has asked anew, and nobody came
	})
}

// The store hangs in a write while somebody's grants are ended: that ends with an error, after a while, and what is
// stored does not come back in this process. Once the store answers, it is done again, and done.
func TestEnded_TheStoreHangs(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := &hanging{Store: store.Memory(), release: make(chan struct{})}
				o := newOffice(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept}})
				h := o.connects("ada")
				kept.hangs.Store(true)
				began := time.Now()
				if err := end(t.Context(), o.Auth, adaCalls); err == nil {
					t.Error("it is no error")
				}
				if took := time.Since(began); took > 5*time.Minute {
					t.Errorf("it took %v", took)
				}
				call := h.Call(t.Context(), "whoami", nil)
				if r := <-call; r.Err != nil || !r.Result.IsError {
					t.Errorf("the grant is used: %q, %v", r.Text(), r.Err)
				}
				kept.hangs.Store(false)
				close(kept.release)
				world.Later(time.Minute)
				if err := end(t.Context(), o.Auth, adaCalls); err != nil && !errors.Is(err, lazyauth.ErrNotRevoked) {
					t.Error(err)
				}
				o.over(adaCalls)
			})
		})
	}
}

// A hanging store does not end its writes while it hangs, not even with their contexts.
type hanging struct {
	store.Store
	hangs   atomic.Bool
	release chan struct{}
}

func (s *hanging) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.hangs.Load() {
		<-s.release
	}
	return s.Store.Update(ctx, key, change)
}

// Somebody's grants are ended elsewhere between the last look at the journal and the writing of what has come of a
// sign-in: it is taken back once it is stored.
func TestEnded_BeforeItIsStored(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := &interrupted{Store: store.Memory()}
				as := fakeas.New(&fakeas.Options{Interval: time.Second})
				deaf := withoutRevocation{as.Transport()} // or the token would be refused
				o := newOffice(t, world.Setup{Shared: as, Options: lazyauth.Options{Store: kept, VerifyUser: world.Anybody, Transport: deaf}}, lazyauth.FlowDevice, lazyauth.FlowRedirect)
				other := newOffice(t, world.Setup{Shared: as, Options: lazyauth.Options{Store: kept.Store, Transport: deaf}}).Auth
				kept.interrupt = func() {
					if err := end(t.Context(), other, adaCalls); err != nil && !errors.Is(err, lazyauth.ErrNotRevoked) {
						t.Error(err)
					}
				}
				h := o.HostWith(world.Modern, world.Manners{Name: "ada", URL: true, React: world.Accepts})
				call := h.Call(t.Context(), "whoami", nil)
				if err := o.AS.Approve(o.Person().UserCode); err != nil {
					t.Fatal(err)
				}
				<-call
				if !kept.was.Load() {
					t.Error("nothing was ended")
				}
				world.Later(time.Second)
				if all, err := o.Auth.GrantsOf(t.Context(), adaCalls); err != nil || len(all) != 0 {
					t.Errorf("it is back: %+v, %v", all, err)
				}
			})
		})
	}
}

// An interrupted store has something happen once, before a grant is written.
type interrupted struct {
	store.Store
	interrupt func()
	was       atomic.Bool
}

func (s *interrupted) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if !strings.HasPrefix(key, "lazyauth ") && !s.was.Swap(true) { // which those have that are no grants
		s.interrupt()
	}
	return s.Store.Update(ctx, key, change)
}
