package lazyauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// These stories measure how long what was ended at one replica is used at the others. No token is revoked in them,
// as at a service that has no way to: what refuses is the replica, and not the service.

// maxUse is how long, by docs/operators.md.
const maxUse = 30 * time.Second

// A branch is one replica, which can be cut off from the store.
type branch struct {
	*world.World
	host  *world.Host
	store *severed
}

// severed is a store as one replica sees it.
type severed struct {
	store.Store
	cut atomic.Bool
}

func (s *severed) Load(ctx context.Context, key string) ([]byte, error) {
	if s.cut.Load() {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.Store.Load(ctx, key)
}

func (s *severed) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.cut.Load() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return s.Store.Update(ctx, key, change)
}

// Unwrap is for [store.IsFleet].
func (s *severed) Unwrap() store.Store { return s.Store }

type withoutRevocation struct{ http.RoundTripper }

func (w withoutRevocation) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/revoke") {
		return nil, errors.New("there is no revocation here")
	}
	return w.RoundTripper.RoundTrip(req)
}

// sharings are the stores that three replicas share.
var sharings = map[string]func(*testing.T) []store.Store{
	"fleet":           func(t *testing.T) []store.Store { return fleetsOf(t, true) },
	"fleet, no hints": func(t *testing.T) []store.Store { return fleetsOf(t, false) },
	"processes": func(*testing.T) []store.Store {
		kept := filesLike{store.Memory()}
		return []store.Store{store.NewProcesses(kept), store.NewProcesses(kept), store.NewProcesses(kept)}
	},
}

// filesLike is a store that others may write, as a folder is.
type filesLike struct{ store.Store }

func (filesLike) SuitsFrequentWrites() bool { return true }

func fleetsOf(t *testing.T, hints bool) (all []store.Store) {
	t.Helper()
	rows := store.NewSharedMemory(nil)
	for range 3 {
		f := world.JoinFleet(t, rows)
		if hints {
			go func() { _ = f.Run(t.Context()) }()
		}
		all = append(all, f)
	}
	return all
}

// branches returns three replicas, at which this person calls; the local user if it is the zero one.
func branches(t *testing.T, stores []store.Store, who lazyauth.Principal) (all []*branch) {
	t.Helper()
	as := fakeas.New(&fakeas.Options{TokenLifetime: 24 * time.Hour, Interval: time.Second})
	for _, s := range stores {
		b := &branch{store: &severed{Store: s}}
		o := lazyauth.Options{Store: b.store, VerifyUser: world.Anybody, Transport: withoutRevocation{as.Transport()}}
		if !who.IsLocal() {
			o.Principal = func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) { return who, nil }
		}
		b.World = world.New(t, world.Setup{Shared: as, Options: o})
		b.host = b.Host(world.Legacy, world.Accepts)
		all = append(all, b)
	}
	call := all[0].host.Call(t.Context(), "whoami", nil)
	all[0].Approves()
	(<-call).Succeeds(t, "Ada")
	for n, b := range all { // each looks at another time
		world.Later(time.Duration(n) * 7 * time.Second)
		b.host.Gets("whoami", nil, "Ada")
	}
	return all
}

// starts makes a call, and reports whether its handler has started once what can happen at once has, or after a while.
func (b *branch) starts(after time.Duration) bool {
	b.T.Helper()
	ctx, cancel := context.WithCancel(b.T.Context())
	defer cancel()
	before := b.Starts("whoami")
	reply := b.host.Call(ctx, "whoami", nil)
	synctest.Wait()
	if after > 0 {
		world.Later(after)
		synctest.Wait()
	}
	cancel()
	<-reply
	return b.Starts("whoami") > before
}

// Whatever ends a grant at one replica, no other one uses it for longer than half a minute, and not a moment longer
// where hints come.
func TestEndedEverywhere(t *testing.T) {
	for sharing, stores := range sharings {
		for name, end := range ends {
			for whose, who := range map[string]lazyauth.Principal{"ada's": ada, "the local user's": lazyauth.LocalUser} {
				if who.IsLocal() && name == "bar" {
					continue // nobody can
				}
				t.Run(sharing+": "+name+", "+whose, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						all := branches(t, stores(t), who)
						if err := end(t.Context(), all[0].Auth, who); err != nil && !errors.Is(err, lazyauth.ErrNotRevoked) {
							t.Fatal(err)
						}
						synctest.Wait()
						longest := time.Duration(0)
						for n, took := range everywhere(all) {
							if longest = max(longest, took); n == 0 && took > 0 {
								t.Errorf("it is used for %v where it was ended", took)
							}
						}
						most := maxUse
						if sharing == "fleet" {
							most = 0
						}
						if longest > most {
							t.Errorf("it is used for %v, want at most %v", longest, most)
						}
						if most > 0 && longest == 0 {
							t.Error("nobody has used it: this measures nothing")
						}
						if name == "bar" {
							for _, b := range all {
								(<-b.host.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonBarred)
							}
						}
						for _, b := range all {
							if _, err := b.Auth.Status(t.Context(), who); !errors.Is(err, lazyauth.ErrNoGrant) {
								t.Errorf("its status is %v", err)
							}
						}
					})
				})
			}
		}
	}
}

// everywhere is used, at all replicas at once.
func everywhere(all []*branch) []time.Duration {
	took := make([]time.Duration, len(all))
	began := time.Now()
	for left := len(all); left > 0 && time.Since(began) < time.Hour; world.Later(time.Second) {
		for n, b := range all {
			if took[n] == 0 && !b.starts(0) {
				took[n], left = time.Since(began)+1, left-1 // and one, so that none is zero
			}
		}
	}
	for n := range took {
		took[n]--
	}
	return took
}

// Whoever has not called for long is refused at once.
func TestEndedEverywhere_AfterAPause(t *testing.T) {
	for sharing, stores := range sharings {
		t.Run(sharing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := branches(t, stores(t), lazyauth.LocalUser)
				if err := all[0].Auth.Revoke(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNotRevoked) {
					t.Fatal(err)
				}
				world.Later(maxUse)
				for n, b := range all {
					if b.starts(0) {
						t.Errorf("replica %d uses it", n)
					}
				}
			})
		})
	}
}

// Whoever signs in anew, at one replica, has the others use what they have now.
func TestEndedEverywhere_SignedInAnew(t *testing.T) {
	for sharing, stores := range sharings {
		t.Run(sharing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := branches(t, stores(t), ada)
				if err := all[0].Auth.Revoke(t.Context(), ada); !errors.Is(err, lazyauth.ErrNotRevoked) {
					t.Fatal(err)
				}
				call := all[0].host.Call(t.Context(), "whoami", nil)
				all[0].Approves()
				(<-call).Succeeds(t, "Ada")
				fresh, err := all[0].Auth.Status(t.Context(), ada)
				if err != nil {
					t.Fatal(err)
				}
				world.Later(maxUse)
				for n, b := range all {
					b.host.Gets("whoami", nil, "Ada")
					if s, err := b.Auth.Status(t.Context(), ada); err != nil || s.ID != fresh.ID {
						t.Errorf("replica %d uses %+v, %v", n, s, err)
					}
					if n > 0 {
						b.host.WantPrompts(0)
					}
				}
			})
		})
	}
}

// A replica that is cut off from the store uses what it has for five minutes, without holding calls up for more than a
// few seconds, and then refuses; once it is back it goes on, without a prompt.
func TestEndedEverywhere_CutOff(t *testing.T) {
	for sharing, stores := range sharings {
		t.Run(sharing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := branches(t, stores(t), ada)
				b := all[2]
				b.store.cut.Store(true)
				began := time.Now()
				for time.Since(began) < 4*time.Minute {
					if !b.starts(3 * time.Second) {
						t.Fatalf("it refuses after %v", time.Since(began))
					}
					world.Later(10 * time.Second)
				}
				world.Later(5*time.Minute - time.Since(began))
				(<-b.host.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				b.store.cut.Store(false)
				b.host.Gets("whoami", nil, "Ada")
				b.host.WantPrompts(0)
			})
		})
	}
}

// The local user's token in a folder that cannot be read is used for as long as it lives.
func TestEndedEverywhere_CutOffFromOnesOwnFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := filesLike{store.Memory()}
		all := branches(t, []store.Store{kept, kept}, lazyauth.LocalUser)
		all[1].store.cut.Store(true)
		for range 10 {
			world.Later(time.Hour)
			if !all[1].starts(3 * time.Second) {
				t.Fatal("it refuses")
			}
		}
	})
}
