package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type spanKey struct{}

// The context of each hook has the values of the request that it is about, or that caused
// the flight or the refresh that it is about: a span can be tied to it.
func TestTrace_HasTheValuesOfTheRequest(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var mu sync.Mutex
		spans := map[string]any{}
		note := func(hook string, ctx context.Context) {
			mu.Lock()
			defer mu.Unlock()
			spans[hook] = ctx.Value(spanKey{})
		}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Trace: &lazyauth.Trace{
			Waiting:   func(ctx context.Context, _ lazyauth.WaitingInfo) { note("waiting", ctx) },
			Prompted:  func(ctx context.Context, _ lazyauth.PromptedInfo) { note("prompted", ctx) },
			Polled:    func(ctx context.Context, _ lazyauth.PolledInfo) { note("polled", ctx) },
			Granted:   func(ctx context.Context, _ lazyauth.GrantedInfo) { note("granted", ctx) },
			Refreshed: func(ctx context.Context, _ lazyauth.RefreshedInfo) { note("refreshed", ctx) },
			Failed:    func(ctx context.Context, _ lazyauth.FailedInfo) { note("failed", ctx) },
		}}})
		calls := 0
		w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "tools/call" {
					mu.Lock()
					calls++
					ctx = context.WithValue(ctx, spanKey{}, calls)
					mu.Unlock()
				}
				return next(ctx, method, req)
			}
		})
		h := w.SignedIn(era)
		world.Later(2 * time.Minute) // the token has ended
		before := calls
		h.Gets("whoami", nil, "Ada")
		refused := h.Call(t.Context(), "list_notes", nil)
		w.Denies()
		(<-refused).Fails(t, lazyauth.ReasonDenied)
		mu.Lock()
		defer mu.Unlock()
		for _, hook := range []string{"waiting", "prompted", "polled", "granted", "refreshed", "failed"} {
			if n, ok := spans[hook].(int); !ok || n == 0 || hook == "refreshed" && n != before+1 {
				t.Errorf("%s: the context has the value %v", hook, spans[hook])
			}
		}
	})
}

// One line has a whole flight for an operator, whichever logger writes it.
func TestTrace_OneLineForEachFlight(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}})
		h := w.Host(era, world.Says("cancel", 3*time.Second))
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		req := w.Person()
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		(<-two).Fails(t, lazyauth.ReasonDeclined)
		world.Later(20 * time.Second)
		w.AS.Approve(req.UserCode)
		world.Later(10 * time.Second)
		synctest.Wait()
		for name, log := range map[string]string{"zap": w.Log.String(), "slog": w.Slog.String()} {
			lines := 0
			for line := range strings.Lines(log) {
				if !strings.Contains(line, "authorization granted") {
					continue
				}
				lines++
				for _, want := range []string{`"service":"Notes"`, `"principal":"local user"`, `"tool":"whoami"`, `"scopes":"profile"`, `"prompts":1`, `"calls":2`, `"attempt":5`, `"took":`, `"life":`} {
					if !strings.Contains(line, want) {
						t.Errorf("%s: the line %s lacks %s", name, line, want)
					}
				}
				if strings.Contains(line, `"wait":`) { // until the next poll, elsewhere
					t.Errorf("%s: the line %s has a wait", name, line)
				}
			}
			if lines != 1 {
				t.Errorf("%s: %d lines for one flight", name, lines)
			}
		}
		counts := w.Counters.All()
		for name, want := range map[string]int64{"waiting": 2, "prompted.url": 1, "failed.declined": 1, "granted": 1, "polled.granted": 1} {
			if counts[name] != want {
				t.Errorf("the counter %s is %d, want %d (%v)", name, counts[name], want, counts)
			}
		}
		if s := counts["seconds"]; s < 25 || s > 27 {
			t.Errorf("the flight is said to have taken %d seconds", s)
		}
		if text := w.Counters.String(); !strings.Contains(text, `"granted":1`) {
			t.Errorf("the counters as text: %s", text)
		}
	})
}

func TestTrace_FailuresReachTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.LocalUser, errors.New("directory is down")
		}}})
		h := w.Host(world.Modern, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonAnonymous)
		if strings.Contains(r.Text(), "log") && !strings.Contains(w.Log.String(), "directory is down") {
			t.Errorf("%q, but the log says %q", r.Text(), w.Log.String())
		}
	})
}

// A call is one call, however often its host comes back for it.
func TestTrace_ACallIsCountedOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		synctest.Wait()
		if !strings.Contains(w.Log.String(), `"calls":1`) {
			t.Errorf("one call waited: %s", w.Log.String())
		}
	})
}

// With nil options, and without a trace, what fails is in the default log; with a trace it is
// there alone.
func TestTrace_DefaultLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureDefault(t)
		auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: "https://as.invalid", ClientID: "c"}, &lazyauth.Options{
			Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") }),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer auth.Close()
		err = auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("x"), nil)
		if e, ok := errors.AsType[*lazyauth.Error](err); !ok || e.Reason != lazyauth.ReasonUnavailable {
			t.Errorf("Authorize: %v", err)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "lazyauth: authorization failed") || !strings.Contains(text, "no route to host") {
			t.Errorf("the default log has:\n%s", text)
		}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: noToken{}}})
		(<-w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if text := log.String(); strings.Count(text, "\n") != 1 {
			t.Errorf("beside a trace the default log has:\n%s", text)
		}
	})
}

// warned demands that the log has these warnings and no others.
func warned(t *testing.T, w *world.World, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(w.Slog.String()) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if entry.Level == "WARN" {
			got = append(got, entry.Msg)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log warns of %q, want %q", got, want)
	}
}
