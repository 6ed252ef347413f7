package hostcheck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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

// The control endpoint is for the host alone: not for pages in a browser, not
// for names that resolve to loopback, not for whoever guesses.
func TestControlEndpointIsGuarded(t *testing.T) {
	play(t, one("advertising", hostcheck.Modern, hostcheck.Stdio), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		b := visitor(ctx, t, launch)
		root := launch.Control[:strings.LastIndex(launch.Control, "/")]
		for name, c := range map[string]struct {
			method, url, body string
			header            []string
			want              int
		}{
			"the task":           {"GET", launch.Control + "/task", "", nil, 200},
			"a page in a tab":    {"GET", launch.Control + "/task", "", []string{"Origin", "http://evil.example"}, 403},
			"a rebound name":     {"GET", launch.Control + "/task", "", []string{"Host", "evil.example"}, 421},
			"a guess":            {"GET", root + "/control/task", "", nil, 404},
			"no path":            {"GET", root + "/", "", nil, 404},
			"another method":     {"POST", launch.Control + "/task", "{}", nil, 404},
			"no JSON":            {"POST", launch.Control + "/shown", "shown!", nil, 400},
			"too much JSON":      {"POST", launch.Control + "/shown", `{"message":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 400},
			"an unknown dialog":  {"GET", launch.Control + "/press?dialog=dialog-7", "", nil, 404},
			"an unknown opening": {"POST", launch.Control + "/opened", `{"url":"http://127.0.0.1:1/","in":"browser"}`, nil, 204},
		} {
			if got, body := b.do(c.method, c.url, c.body, c.header...); got != c.want {
				t.Errorf("%s: status %d, not %d: %s", name, got, c.want, body)
			}
		}
	})
}

// Reports are bounded.
func TestReportsAreBounded(t *testing.T) {
	play(t, one("advertising", hostcheck.Modern, hostcheck.Stdio), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		b := visitor(ctx, t, launch)
		for _, path := range []string{"/opened", "/outcome"} {
			status := 0
			for i := 0; i < 2000 && status != http.StatusTooManyRequests; i++ {
				status, _ = b.do("POST", launch.Control+path, fmt.Sprintf(`{"url":"u%d","call":"c%d"}`, i, i))
			}
			if status != http.StatusTooManyRequests {
				t.Errorf("%s takes reports without end", path)
			}
		}
	})
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

// A host without hooks is judged by its messages; what shows in its user
// interface alone is skipped, and nothing else is.
func TestHostWithoutHooks(t *testing.T) {
	r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		speak(ctx, t, launch, time.Second)
	})
	observed := make(map[string][]hostcheck.Observation)
	for _, q := range hostcheck.Requirements() {
		observed[q.ID] = q.Observed
	}
	for _, c := range r.Checks {
		want := hostcheck.Success
		for _, o := range observed[c.ID] {
			if o == hostcheck.UI {
				want = hostcheck.Skipped
			}
		}
		if c.Status != want {
			t.Errorf("%s is %s, not %s: %s", c.ID, c.Status, want, c.ErrorMessage)
		}
		if want == hostcheck.Skipped && c.Details["reason"] != "no UI hook" {
			t.Errorf("%s is skipped because of %v", c.ID, c.Details["reason"])
		}
	}
}

// A host that announces hooks and reports nothing is not skipped.
func TestHostThatAnnouncesHooksInVain(t *testing.T) {
	r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		visitor(ctx, t, launch).do("GET", launch.Control+"/task?hooks=shown,opened,outcome", "")
		speak(ctx, t, launch, time.Second)
	})
	if c := check(t, r, "P4"); c.Status != hostcheck.Failure || !strings.Contains(c.ErrorMessage, "was not shown") {
		t.Errorf("P4 is %s: %s", c.Status, c.ErrorMessage)
	}
	if c := check(t, r, "A13"); c.Status != hostcheck.Failure || !strings.HasPrefix(c.ErrorMessage, "prerequisite missing") {
		t.Errorf("A13 is %s: %s", c.Status, c.ErrorMessage)
	}
}

// The canary tells a page that was requested before consent from one that was
// opened after it, without any hook.
func TestCanaryWithoutHooks(t *testing.T) {
	for name, c := range map[string]struct {
		before bool
		want   hostcheck.Status
	}{"before": {true, hostcheck.Failure}, "after": {false, hostcheck.Success}} {
		t.Run(name, func(t *testing.T) {
			r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
				b := visitor(ctx, t, launch)
				page := canaryOf(launch) + "/sign-in?p=consent-1"
				go func() {
					wait := 3 * time.Second
					if c.before {
						wait = 500 * time.Millisecond
					}
					time.Sleep(wait)
					b.do("GET", page, "")
				}()
				speak(ctx, t, launch, 2*time.Second)
			})
			if got := check(t, r, "A11"); got.Status != c.want {
				t.Errorf("A11 is %s: %s", got.Status, got.ErrorMessage)
			}
			visited := false
			for _, e := range r.Events {
				visited = visited || e.From == hostcheck.FromCanary
			}
			if !visited {
				t.Error("the visit is not in the record")
			}
		})
	}
}

// canaryOf guesses the canary's address: the network in memory numbers its
// ports, and the canary's is the second of the two.
func canaryOf(launch hostcheck.Launch) string {
	var a, b, c, d, port int
	if _, err := fmt.Sscanf(launch.Control, "http://%d.%d.%d.%d:%d/", &a, &b, &c, &d, &port); err != nil {
		panic(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", port+1)
}

// A run that is interrupted returns what there is.
func TestInterruptedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := one("waiting", hostcheck.Modern, hostcheck.HTTP)
		c.Play = func(ctx context.Context, _ hostcheck.Launch) error {
			<-ctx.Done()
			return nil
		}
		report, err := hostcheck.Run(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range report.Results[0].Checks {
			if check.Status != hostcheck.Failure || !strings.Contains(check.ErrorMessage, "interrupted") {
				t.Errorf("%s is %s: %s", check.ID, check.Status, check.ErrorMessage)
			}
		}
	})
}
