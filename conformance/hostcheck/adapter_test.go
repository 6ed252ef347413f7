package hostcheck_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// The control endpoint is for the host alone: not for pages in a browser, not
// for names that resolve to loopback, not for whoever guesses.
func TestControl_IsGuarded(t *testing.T) {
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
			"two reports":        {"POST", launch.Control + "/shown", `{"message":"a"}{"message":"b"}`, nil, 400},
			"nothing":            {"POST", launch.Control + "/opened", "null", nil, 400},
			"a list":             {"POST", launch.Control + "/outcome", "[]", nil, 400},
			"with a new line":    {"POST", launch.Control + "/outcome", " {\"call\":\"first\"}\n", nil, 204},
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
func TestControl_ReportsAreBounded(t *testing.T) {
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
