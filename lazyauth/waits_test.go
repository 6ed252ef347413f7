package lazyauth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Whatever a call waits for stops: the call ends in the time that docs/design.md states
// ("Waits") and says what it must, and so does Close, which names what did not end.
func TestWaits_EachHasAnEnd(t *testing.T) {
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
		{at: "the store's Load", most: person + 20*time.Second, want: succeeds, left: "the store"},
		{at: "the store's Update", most: person + 5*time.Second, want: succeeds, left: "the store"},
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

// A stoppable connection is one to a host that reads nothing while it is stopped. Writes wait
// at a channel, and not at the mutex of the SDK's, so that virtual time goes on.
type stoppable struct {
	mcp.Connection
	*stop
}

type stop struct {
	mu   sync.Mutex
	gate chan struct{} // closed while it is read
}

func (s stoppable) Write(ctx context.Context, m jsonrpc.Message) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	<-gate
	return s.Connection.Write(ctx, m)
}

// now stops the host, until the function is called that it returns.
func (s *stop) now() (again func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() { close(gate) }
}

// A host that reads nothing, so that progress messages fill the pipe to it, keeps a call no
// longer than one that reads, and holds nothing else up: neither its handler's progress, nor
// the flight, nor Close.
func TestWaits_HostThatDoesNotRead(t *testing.T) {
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

// Close says which handler does not heed the end of its context.
func TestWaits_HandlerThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "deaf"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				<-release
				return nil, world.Answer{}, errors.New("late")
			})
		}})
		h := w.Host(world.Modern, world.Accepts)
		call := h.Call(t.Context(), "deaf", nil)
		w.Approves()
		world.Later(time.Minute)
		began := time.Now()
		err := w.Auth.Close()
		if took := time.Since(began); took > 5*time.Second || err == nil || err.Error() != "lazyauth: handlers ignored that their context ended: deaf" {
			t.Errorf("Close after %v: %v", took, err)
		}
		close(release)
		<-call
	})
}
