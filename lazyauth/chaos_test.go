package lazyauth_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Close comes at any moment, whatever is under way.
func TestCloseAtAnyMoment(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 9))
				var mu sync.Mutex
				roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return rnd.IntN(n) }
				everyone := func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
					return lazyauth.LocalUser, nil
				}
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 20 * time.Second, NoRefresh: seed%2 == 0, CodeLifetime: time.Minute, Latency: time.Duration(roll(2)) * time.Second},
					Options: lazyauth.Options{Principal: everyone}, Tools: world.WithSaga})
				react := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					return world.Says([]string{"accept", "accept", "cancel", "accept"}[roll(4)], time.Duration(roll(5))*time.Second)(ctx, p)
				}
				raw := w.RawHost()
				hosts := []*world.Host{w.Host(world.Legacy, react), w.Host(world.Modern, react), w.Host(world.Modern, react)}
				stop := make(chan struct{})
				var person sync.WaitGroup
				person.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Duration(roll(10)+1) * time.Second):
							for _, r := range w.AS.Waiting() {
								w.AS.Approve(r.UserCode)
							}
						}
					}
				})
				var wg sync.WaitGroup
				run := func(f func(context.Context)) {
					wg.Go(func() {
						for range 5 {
							ctx, cancel := context.WithTimeout(t.Context(), time.Duration(roll(20)+1)*time.Second)
							f(ctx)
							cancel()
							world.Later(time.Duration(roll(5)) * time.Second)
						}
					})
				}
				for range 3 {
					run(func(ctx context.Context) {
						r := <-raw.Request(ctx, "saga", world.Note{Text: "x"}, "", "")
						for r.Err == nil && r.Result.NeedsInput() {
							s := r.Result.RequestState
							var dup []<-chan world.Reply
							for range roll(3) {
								c2, cancel := context.WithTimeout(ctx, time.Duration(roll(10))*time.Second)
								defer cancel()
								dup = append(dup, raw.Request(c2, "saga", world.Note{Text: "x"}, s, []string{"accept", "decline", "cancel", ""}[roll(4)]))
							}
							r = <-raw.Request(ctx, "saga", world.Note{Text: "x"}, s, []string{"accept", "accept", "cancel", ""}[roll(4)])
							for _, d := range dup {
								<-d
							}
						}
					})
					run(func(ctx context.Context) {
						w.Auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("notes:read"), func(context.Context, elicit.Prompt) error { return nil })
					})
					for _, h := range hosts {
						run(func(ctx context.Context) { <-h.Call(ctx, "saga", world.Note{Text: "x"}) })
						run(func(ctx context.Context) { <-h.Call(ctx, "whoami", nil) })
					}
				}
				world.Later(time.Duration(roll(60000)) * time.Millisecond)
				began := time.Now()
				if err := w.Auth.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("Close took %v", took)
				}
				wg.Wait()
				close(stop)
				person.Wait()
			})
		})
	}
}

// Random hosts; anything may happen at any moment.
func TestChaos(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				var mu sync.Mutex
				roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return rnd.IntN(n) }
				everyone := func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
					return lazyauth.LocalUser, nil
				}
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 90 * time.Second, NoRefresh: seed%2 == 0, CodeLifetime: 3 * time.Minute},
					Options: lazyauth.Options{Principal: everyone}, Tools: world.WithSaga})
				react := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					return world.Says([]string{"accept", "decline", "cancel", "accept"}[roll(4)], time.Duration(roll(40))*time.Second)(ctx, p)
				}
				hosts := []*world.Host{w.Host(world.Legacy, react), w.Host(world.Modern, react), w.Host(world.Modern, react), w.Host(world.Legacy, nil), w.Host(world.Modern, nil)}
				stop := make(chan struct{})
				var person sync.WaitGroup
				person.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Duration(roll(60)) * time.Second):
							for _, r := range w.AS.Waiting() {
								switch roll(4) {
								case 0:
									w.AS.Deny(r.UserCode)
								case 1:
									w.AS.Approve(r.UserCode, "profile")
								default:
									w.AS.Approve(r.UserCode)
								}
							}
						}
					}
				})
				var wg sync.WaitGroup
				for _, h := range hosts {
					for range 4 {
						wg.Go(func() {
							for range 6 {
								ctx, cancel := context.WithTimeout(t.Context(), time.Duration(roll(200)+1)*time.Second)
								tool := []string{"whoami", "saga", "list_notes", "create_note"}[roll(4)]
								var args any
								if tool == "saga" || tool == "create_note" {
									args = world.Note{Text: "x"}
								}
								select {
								case <-h.Call(ctx, tool, args):
								case <-time.After(10 * time.Minute):
									t.Errorf("a call of %s hangs", tool)
								}
								cancel()
								world.Later(time.Duration(roll(30)) * time.Second)
							}
						})
					}
				}
				wg.Wait()
				close(stop)
				person.Wait()
				began := time.Now()
				if err := w.Auth.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("Close took %v", took)
				}
			})
		})
	}
}
