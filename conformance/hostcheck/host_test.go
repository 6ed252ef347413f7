package hostcheck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// play runs one scenario with a host that is a function, in virtual time.
func play(t *testing.T, c hostcheck.Config, host func(ctx context.Context, t *testing.T, launch hostcheck.Launch)) hostcheck.Result {
	t.Helper()
	var report *hostcheck.Report
	synctest.Test(t, func(t *testing.T) {
		c.Play = func(ctx context.Context, launch hostcheck.Launch) error {
			host(ctx, t, launch)
			return nil
		}
		var err error
		if report, err = hostcheck.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // net/http waits for half of one before it closes a connection with a body unread
	})
	return report.Results[0]
}

// one is a configuration for one scenario.
func one(scenario, protocol, transport string) hostcheck.Config {
	return hostcheck.Config{
		Scenarios: []string{scenario}, Protocols: []string{protocol}, Transports: []string{transport}, Timeout: 10 * time.Second,
	}
}

// check returns a check of a result.
func check(t *testing.T, r hostcheck.Result, id string) hostcheck.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("%s has no check %s", r.Scenario, id)
	return hostcheck.Check{}
}

// A browser is a client on the network of a launch.
type browser struct {
	t    *testing.T
	ctx  context.Context
	http *http.Client
}

func visitor(ctx context.Context, t *testing.T, launch hostcheck.Launch) *browser {
	transport := &http.Transport{DialContext: launch.Dial, DisableKeepAlives: true}
	return &browser{t, ctx, &http.Client{Transport: transport}}
}

// do makes a request and returns the status and the body.
func (b *browser) do(method, url, body string, header ...string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.ctx, method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	out, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(bytes.TrimSpace(out))
}

// speak is a host of the newer era, by hand, that does what the scenario wants
// of it, reports nothing, and answers prompts by itself after a while.
func speak(ctx context.Context, t *testing.T, launch hostcheck.Launch, think time.Duration) {
	b := visitor(ctx, t, launch)
	id := 0
	for _, step := range launch.Task.Steps {
		for _, c := range step {
			params := map[string]any{"name": c.Tool, "arguments": c.Arguments}
			for {
				id++
				params["_meta"] = map[string]any{
					"io.modelcontextprotocol/protocolVersion":    hostcheck.Modern,
					"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "by hand", "version": "1"},
					"io.modelcontextprotocol/clientCapabilities": map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
				}
				raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
				if err != nil {
					t.Fatal(err)
				}
				_, body := b.do("POST", launch.URL, string(raw), "Content-Type", "application/json", "Accept",
					"application/json, text/event-stream", "Mcp-Method", "tools/call", "Mcp-Name", c.Tool,
					"MCP-Protocol-Version", hostcheck.Modern)
				if _, data, ok := strings.Cut(body, "data: "); ok {
					body = data
				}
				var r struct {
					Result struct {
						ResultType    string                     `json:"resultType"`
						RequestState  string                     `json:"requestState"`
						InputRequests map[string]json.RawMessage `json:"inputRequests"`
					} `json:"result"`
				}
				if err := json.Unmarshal([]byte(body), &r); err != nil || r.Result.ResultType != "input_required" {
					break
				}
				time.Sleep(think)
				answers := make(map[string]any)
				for key := range r.Result.InputRequests {
					answers[key] = map[string]any{"action": "accept"}
				}
				params["inputResponses"], params["requestState"] = answers, r.Result.RequestState
			}
		}
	}
}
