package lazyauth_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 20 * time.Second, NoRefresh: seed%2 == 0, CodeLifetime: time.Minute, Latency: time.Duration(roll(2)) * time.Second},
					options: lazyauth.Options{Principal: everyone}, tools: withSaga})
				react := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					return says([]string{"accept", "accept", "cancel", "accept"}[roll(4)], time.Duration(roll(5))*time.Second)(ctx, p)
				}
				raw := w.rawHost()
				hosts := []*host{w.host(legacy, react), w.host(modern, react), w.host(modern, react)}
				stop := make(chan struct{})
				var person sync.WaitGroup
				person.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Duration(roll(10)+1) * time.Second):
							for _, r := range w.as.Waiting() {
								w.as.Approve(r.UserCode)
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
							later(time.Duration(roll(5)) * time.Second)
						}
					})
				}
				for range 3 {
					run(func(ctx context.Context) {
						r := <-raw.round(ctx, "saga", noteArgs{"x"}, "", "")
						for r.err == nil && r.result.NeedsInput() {
							s := r.result.RequestState
							var dup []<-chan reply
							for range roll(3) {
								c2, cancel := context.WithTimeout(ctx, time.Duration(roll(10))*time.Second)
								defer cancel()
								dup = append(dup, raw.round(c2, "saga", noteArgs{"x"}, s, []string{"accept", "decline", "cancel", ""}[roll(4)]))
							}
							r = <-raw.round(ctx, "saga", noteArgs{"x"}, s, []string{"accept", "accept", "cancel", ""}[roll(4)])
							for _, d := range dup {
								<-d
							}
						}
					})
					run(func(ctx context.Context) {
						w.auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("notes:read"), func(context.Context, elicit.Prompt) error { return nil })
					})
					for _, h := range hosts {
						run(func(ctx context.Context) { <-h.call(ctx, "saga", noteArgs{"x"}) })
						run(func(ctx context.Context) { <-h.call(ctx, "whoami", nil) })
					}
				}
				later(time.Duration(roll(60000)) * time.Millisecond)
				began := time.Now()
				if err := w.auth.Close(); err != nil {
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
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 90 * time.Second, NoRefresh: seed%2 == 0, CodeLifetime: 3 * time.Minute},
					options: lazyauth.Options{Principal: everyone}, tools: withSaga})
				react := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					return says([]string{"accept", "decline", "cancel", "accept"}[roll(4)], time.Duration(roll(40))*time.Second)(ctx, p)
				}
				hosts := []*host{w.host(legacy, react), w.host(modern, react), w.host(modern, react), w.host(legacy, nil), w.host(modern, nil)}
				stop := make(chan struct{})
				var person sync.WaitGroup
				person.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Duration(roll(60)) * time.Second):
							for _, r := range w.as.Waiting() {
								switch roll(4) {
								case 0:
									w.as.Deny(r.UserCode)
								case 1:
									w.as.Approve(r.UserCode, "profile")
								default:
									w.as.Approve(r.UserCode)
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
									args = noteArgs{"x"}
								}
								select {
								case <-h.call(ctx, tool, args):
								case <-time.After(10 * time.Minute):
									t.Errorf("a call of %s hangs", tool)
								}
								cancel()
								later(time.Duration(roll(30)) * time.Second)
							}
						})
					}
				}
				wg.Wait()
				close(stop)
				person.Wait()
				began := time.Now()
				if err := w.auth.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("Close took %v", took)
				}
			})
		})
	}
}
