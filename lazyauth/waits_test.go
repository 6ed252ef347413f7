package lazyauth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
			inBothEras(t, func(t *testing.T, era string) {
				log := captureDefault(t)
				m := new(mischief)
				w := mischievous(t, m, c.at == "Options.Token")
				h := w.host(era, accepts)
				release := make(chan struct{})
				defer synctest.Wait()
				defer close(release)
				m.set(c.at, func() { <-release })
				began := time.Now()
				tool := c.tool
				if tool == "" {
					tool = "whoami"
				}
				r := <-h.call(t.Context(), tool, nil)
				took := time.Since(began)
				if !m.happened() {
					t.Fatal("it was not called")
				}
				if c.want == succeeds {
					r.succeeds(t, "Ada")
				} else {
					r.fails(t, c.want)
				}
				if took > c.most || !strings.Contains(r.text(), c.text) {
					t.Errorf("after %v: %q", took, r.text())
				}
				began = time.Now()
				err := w.auth.Close()
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
			_, err := w.auth.Accounts(t.Context())
			if took := time.Since(began); took > 20*time.Second || err == nil || !strings.Contains(err.Error(), "the store's Keys has not returned within 20s") {
				t.Errorf("after %v: %v", took, err)
			}
		})
	})
	t.Run("the person", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			w := newWorld(t, setup{})
			began := time.Now()
			r := <-w.host(era, accepts).call(t.Context(), "whoami", nil)
			if took := time.Since(began); took > 56*time.Second || !strings.Contains(r.text(), "Finish it in the browser") {
				t.Errorf("after %v: %q", took, r.text())
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
	inBothEras(t, func(t *testing.T, era string) {
		var ended []time.Duration
		var mu sync.Mutex
		began := time.Now()
		var worked error
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: 20 * time.Second}, tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "works"}, scopes.Of("profile"), func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
				worked = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1})
				return nil, answer{}, worked
			})
			w.server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
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
		_, err := w.server.Connect(context.Background(), ownTransport{func(ctx context.Context) (mcp.Connection, error) {
			c, err := there.Connect(ctx)
			return stoppable{c, pipe}, err
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := w.connect(era, manners{progress: true}, here)
		again := pipe.now()
		began = time.Now()
		first := h.call(t.Context(), "works", nil)
		code := w.person().UserCode
		later(time.Minute)
		if err := w.as.Approve(code); err != nil {
			t.Fatal(err)
		}
		later(10 * time.Second)
		w.trace.mu.Lock()
		granted := slices.Contains(w.trace.list, "granted")
		w.trace.mu.Unlock()
		if !granted {
			t.Error("the flight is held up")
		}
		second := h.call(t.Context(), "works", nil)
		later(10 * time.Second)
		mu.Lock()
		if len(ended) != 2 || ended[0] > 25*time.Second || ended[1] > 75*time.Second {
			t.Errorf("the calls ended after %v", ended)
		}
		mu.Unlock()
		if worked == nil || !strings.Contains(worked.Error(), "does not read") {
			t.Errorf("a handler's progress came to %v", worked)
		}
		began = time.Now()
		if err := w.auth.Close(); err != nil || time.Since(began) > 5*time.Second {
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
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "deaf"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
				<-release
				return nil, answer{}, errors.New("late")
			})
		}})
		h := w.host(modern, accepts)
		call := h.call(t.Context(), "deaf", nil)
		w.approves()
		later(time.Minute)
		began := time.Now()
		err := w.auth.Close()
		if took := time.Since(began); took > 5*time.Second || err == nil || err.Error() != "lazyauth: handlers ignored that their context ended: deaf" {
			t.Errorf("Close after %v: %v", took, err)
		}
		close(release)
		<-call
	})
}
