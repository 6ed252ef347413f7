package hostcheck_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// Without a hook the canary does not know whether a page that was requested before
// the answer was opened by the person: that is no pass, and no failure either.
func TestNavigation_CanaryWithoutHooks(t *testing.T) {
	for name, c := range map[string]struct {
		before bool
		want   hostcheck.Status
	}{"before": {true, hostcheck.Info}, "after": {false, hostcheck.Success}} {
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

// "Open URL" comes before "Accept response" in the specification. So does the report of a
// host that says what it opens, and not what it shows: that is no failure.
func TestNavigation_OpenedBeforeAccept(t *testing.T) {
	for name, c := range map[string]struct {
		wait time.Duration // the answer comes after two seconds
		want hostcheck.Status
	}{"before": {time.Second, hostcheck.Info}, "after": {3 * time.Second, hostcheck.Success}} {
		t.Run(name, func(t *testing.T) {
			r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
				b := visitor(ctx, t, launch)
				page := canaryOf(launch) + "/sign-in?p=consent-1&back=%2Fnotes%3Fq%3Dtea%26cake"
				b.do("GET", launch.Control+"/task?hooks=opened", "")
				go func() {
					time.Sleep(c.wait)
					b.do("POST", launch.Control+"/opened", fmt.Sprintf(`{"url":%q,"in":"browser"}`, page))
				}()
				speak(ctx, t, launch, 2*time.Second)
			})
			for id, want := range map[string]hostcheck.Status{"A12": c.want, "P18": hostcheck.Success, "A14": hostcheck.Success} {
				if got := check(t, r, id); got.Status != want {
					t.Errorf("%s is %s: %s", id, got.Status, got.ErrorMessage)
				}
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
