package refhost_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/refhost"
)

// pipes is a network in this process, with one listener.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p <- there
	return here, nil
}

// In the older era the host lists no tools before the server has answered its
// request for the stream on which the server says what belongs to no call; a
// server without such a stream does not keep it, nor one that never answers.
func TestListen_BeforeTheFirstCall(t *testing.T) {
	for name, c := range map[string]struct {
		stream http.HandlerFunc
		want   time.Duration // how long after initialize the first request comes
	}{
		"a slow server": {func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(400 * time.Millisecond)
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 400 * time.Millisecond},
		"no stream":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }, 0},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var (
					guard       sync.Mutex
					order       []string
					initialized time.Time
					took        time.Duration
				)
				mux := http.NewServeMux()
				mux.HandleFunc("/control/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
				mux.HandleFunc("GET /mcp", c.stream)
				mux.HandleFunc("POST /mcp", func(w http.ResponseWriter, r *http.Request) {
					var m struct {
						ID     json.RawMessage `json:"id"`
						Method string          `json:"method"`
					}
					raw, _ := io.ReadAll(r.Body)
					if err := json.Unmarshal(raw, &m); err != nil {
						t.Errorf("%s: %v", raw, err)
					}
					guard.Lock()
					order = append(order, m.Method)
					switch m.Method {
					case "initialize":
						initialized = time.Now()
					case "tools/list":
						took = time.Since(initialized)
					}
					guard.Unlock()
					w.Header().Set("Content-Type", "application/json")
					body := map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": map[string]any{}}
					if m.Method == "server/discover" {
						delete(body, "result")
						body["error"] = map[string]any{"code": -32601, "message": "Method not found"}
					}
					_ = json.NewEncoder(w).Encode(body)
				})
				network := make(pipes)
				server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
				go func() { _ = server.Serve(network) }()
				defer func() { close(network); server.Close() }()

				task := hostcheck.Task{
					Server: hostcheck.Server{Name: "slow", URL: "http://server/mcp"},
					Steps:  [][]hostcheck.Call{{{ID: "first", Tool: "notes_search"}}},
				}
				if err := refhost.Run(t.Context(), refhost.Launch{Task: task, Control: "http://server/control", Dial: network.dial}, refhost.None); err != nil {
					t.Fatal(err)
				}
				if want := []string{"server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call"}; !slices.Equal(order, want) {
					t.Errorf("the host sent %v, not %v", order, want)
				}
				if took != c.want {
					t.Errorf("it went on %v after it had initialized, not %v", took, c.want)
				}
			})
		})
	}
}
