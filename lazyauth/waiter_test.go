package lazyauth_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestWait_MaxWaitEnds(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 56*time.Second {
			t.Errorf("the call waited for %v", took)
		}
		if strings.Contains(r.Text(), "/device") {
			t.Errorf("a host that shows prompts got the link as text: %q", r.Text())
		}
		// The next call joins; its person is shown the same code again.
		call := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
		if p := h.Shown(); len(p) != 2 || p[0].URL != p[1].URL {
			t.Errorf("prompts: %+v", p)
		}
	})
}

// A MaxWait that would overflow is endless, and not over.
func TestWait_EndlessMaxWait(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: math.MaxInt64}})
		world.Later(time.Second)
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		req := w.Person()
		world.Later(30 * time.Second)
		w.AS.Approve(req.UserCode)
		(<-call).Succeeds(t, "Ada")
	})
}

// A MaxWait of a second is one of a second.
func TestWait_ShortMaxWait(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Second}})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// MaxWait of a call that waits to begin ends, the person approves, and then calls
// again: the handler has run once in all.
func TestWait_MaxWaitEndsThenApproval(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		one, two := h.Call(t.Context(), "saga", world.Note{Text: "x"}), h.Call(t.Context(), "saga", world.Note{Text: "x"})
		code := w.Person().UserCode
		(<-one).Fails(t, lazyauth.ReasonPending)
		(<-two).Fails(t, lazyauth.ReasonPending)
		w.AS.Approve(code)
		world.Later(time.Minute)
		w.WantSaga(0, 0) // approval starts nothing by itself
		call := h.Call(t.Context(), "saga", world.Note{Text: "x"})
		w.Approves() // what the handler needs in its middle
		(<-call).Succeeds(t, "x")
		w.WantSaga(1, 1)
		w.WantAuthorizations(2)
	})
}

func TestWait_CallerGoesAway(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Call(ctx, "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		cancel()
		if r := <-call; r.Err == nil {
			t.Errorf("a cancelled call returned %q", r.Text())
		}
		// The flight lives on; the next call joins it, without a prompt.
		call = h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

// The person takes longer than MaxWait to say yes to the dialog.
func TestWait_SlowAcceptIsNotAskedTwice(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 55 * time.Second}})
		h := w.Host(era, world.Says("accept", 70*time.Second))
		call := h.Call(t.Context(), "whoami", nil)
		if era == world.Legacy {
			(<-call).Fails(t, lazyauth.ReasonPending)
			h.WantPrompts(1)
			return
		}
		world.Later(75 * time.Second) // the retry serves the call
		synctest.Wait()
		h.WantPrompts(1)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
	})
}

// Whatever a call waits for stops: the call ends in the time that docs/design.md states
// ("Waits") and says what it must, and so does Close, which names what did not end.
func TestWait_EachHasAnEnd(t *testing.T) {
	const (
		succeeds = lazyauth.Reason("")
		person   = 10 * time.Second // who approves, and the next poll
	)
	for _, c := range []struct {
		at   string
		tool string
		most time.Duration
		want lazyauth.Reason
		text string
		// left is what Close says of what has not ended; empty if it is "at".
		left string
	}{
		{at: "Options.Principal", most: 10 * time.Second, want: lazyauth.ReasonAnonymous, text: "does not know whose call"},
		{at: "Options.Account", most: 10 * time.Second, want: lazyauth.ReasonAnonymous, text: "does not know whose call"},
		{at: "Options.VerifyUser", most: person + 30*time.Second, want: lazyauth.ReasonUnverified, text: "could not be confirmed"},
		{at: "Options.Identify", most: person + 10*time.Second, want: succeeds},
		{at: "Options.Wording", most: person + 2*time.Second, want: succeeds},
		{at: "Options.Token", most: 15 * time.Second, want: lazyauth.ReasonUnavailable, text: "operator configured"},
		{at: "Options.Transport to the server", most: 30 * time.Second, want: lazyauth.ReasonUnavailable, text: "did not answer as it should", left: "Options.Transport"},
		{at: "Service.Dialect", tool: "challenged", most: person + 2*time.Second, want: lazyauth.ReasonUnsupported},
		{at: "the store's Load", most: 2 * 20 * time.Second, want: lazyauth.ReasonUnavailable, text: "cannot read it", left: "the store"}, // for a grant, and for a bar
		{at: "the store's Update", most: person + 2*5*time.Second, want: succeeds, left: "the store"},
		{at: "Trace.Waiting", most: person + time.Second, want: succeeds},
		{at: "Trace.Polled", most: person + time.Second, want: succeeds},
		{at: "Trace.Granted", most: person + time.Second, want: succeeds},
	} {
		t.Run(c.at, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				log := captureDefault(t)
				m := new(mischief)
				w := mischievous(t, m, c.at == "Options.Token")
				h := w.Host(era, world.Accepts)
				release := make(chan struct{})
				defer synctest.Wait()
				defer close(release)
				m.set(c.at, func() { <-release })
				began := time.Now()
				tool := c.tool
				if tool == "" {
					tool = "whoami"
				}
				r := <-h.Call(t.Context(), tool, nil)
				took := time.Since(began)
				if !m.happened() {
					t.Fatal("it was not called")
				}
				if c.want == succeeds {
					r.Succeeds(t, "Ada")
				} else {
					r.Fails(t, c.want)
				}
				if took > c.most || !strings.Contains(r.Text(), c.text) {
					t.Errorf("after %v: %q", took, r.Text())
				}
				began = time.Now()
				err := w.Auth.Close()
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("Close took %v", took)
				}
				left := c.left
				if left == "" {
					left = c.at
				}
				if strings.HasPrefix(left, "Trace.") { // of which the default log has it
					if err != nil || !strings.Contains(log.String(), left) {
						t.Errorf("Close: %v; the default log has:\n%s", err, log)
					}
				} else if err == nil || !strings.Contains(err.Error(), "callbacks ignored that their time was over: "+left) {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
	t.Run("the store's Keys", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := new(mischief)
			w := mischievous(t, m, false)
			release := make(chan struct{})
			defer synctest.Wait()
			defer close(release)
			m.set("the store's Keys", func() { <-release })
			began := time.Now()
			_, err := w.Auth.Accounts(t.Context())
			if took := time.Since(began); took > 20*time.Second || err == nil || !strings.Contains(err.Error(), "the store's Keys has not returned within 20s") {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
	t.Run("the person", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			began := time.Now()
			r := <-w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
			if took := time.Since(began); took > 56*time.Second || !strings.Contains(r.Text(), "Finish it in the browser") {
				t.Errorf("after %v: %q", took, r.Text())
			}
		})
	})
}

type stop struct {
	mu   sync.Mutex
	gate chan struct{} // closed while it is read
}

// now stops the host, until the function is called that it returns.
func (s *stop) now() (again func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() { close(gate) }
}

// A stoppable connection is one to a host that reads nothing while it is stopped. Writes wait
// at a channel, and not at the mutex of the SDK's, so that virtual time goes on.
type stoppable struct {
	mcp.Connection
	*stop
}

func (s stoppable) Write(ctx context.Context, m jsonrpc.Message) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	<-gate
	return s.Connection.Write(ctx, m)
}

// A host that reads nothing, so that progress messages fill the pipe to it, keeps a call no
// longer than one that reads, and holds nothing else up: neither its handler's progress, nor
// the flight, nor Close.
func TestWait_HostThatDoesNotRead(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var ended []time.Duration
		var mu sync.Mutex
		began := time.Now()
		var worked error
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 20 * time.Second}, Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "works"}, scopes.Of("profile"), func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				worked = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1})
				return nil, world.Answer{}, worked
			})
			w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
					result, err := next(ctx, method, r)
					if method == "tools/call" {
						mu.Lock()
						ended = append(ended, time.Since(began))
						mu.Unlock()
					}
					return result, err
				}
			})
		}})
		read := make(chan struct{})
		close(read)
		pipe := &stop{gate: read}
		here, there := mcp.NewInMemoryTransports()
		_, err := w.Server.Connect(context.Background(), ownTransport{func(ctx context.Context) (mcp.Connection, error) {
			c, err := there.Connect(ctx)
			return stoppable{c, pipe}, err
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := w.Connect(era, world.Manners{Progress: true}, here)
		again := pipe.now()
		began = time.Now()
		first := h.Call(t.Context(), "works", nil)
		code := w.Person().UserCode
		world.Later(time.Minute)
		if err := w.AS.Approve(code); err != nil {
			t.Fatal(err)
		}
		world.Later(10 * time.Second)
		if w.Trace.Count("granted") == 0 {
			t.Error("the flight is held up")
		}
		second := h.Call(t.Context(), "works", nil)
		world.Later(10 * time.Second)
		mu.Lock()
		if len(ended) != 2 || ended[0] > 25*time.Second || ended[1] > 75*time.Second {
			t.Errorf("the calls ended after %v", ended)
		}
		mu.Unlock()
		if worked == nil || !strings.Contains(worked.Error(), "does not read") {
			t.Errorf("a handler's progress came to %v", worked)
		}
		began = time.Now()
		if err := w.Auth.Close(); err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("Close: %v, after %v", err, time.Since(began))
		}
		again()
		<-first
		<-second
	})
}
