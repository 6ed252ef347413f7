package lazyauth_test

import (
	"context"
	"io"
	"net/http"
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

// Two are the services of a story: Notes, which is its world's, and Drive, an authorization
// server and an API of its own.
type two struct {
	*world.World
	drive   *fakeas.Server
	toDrive *lazyauth.Interceptor
	sent    *sending
}

// A sending network notes the Authorization headers that reached each origin.
type sending struct {
	notes, drive http.RoundTripper
	mu           sync.Mutex
	headers      map[string]map[string]bool
}

// RoundTrip implements [http.RoundTripper].
func (s *sending) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.headers[req.URL.Host] == nil {
		s.headers[req.URL.Host] = make(map[string]bool)
	}
	s.headers[req.URL.Host][req.Header.Get("Authorization")] = true
	s.mu.Unlock()
	if strings.HasPrefix(req.URL.Host, "drive") {
		return s.drive.RoundTrip(req)
	}
	return s.notes.RoundTrip(req)
}

// twoServices makes a world of two services, with the tools that add adds.
func twoServices(t *testing.T, options lazyauth.Options, add func(w *two)) *two {
	t.Helper()
	notes := fakeas.New(nil)
	drive := fakeas.New(&fakeas.Options{Issuer: "https://drive.example.test"})
	w := &two{drive: drive, sent: &sending{notes: notes.Transport(), drive: drive.Transport(), headers: make(map[string]map[string]bool)}}
	options.Transport = w.sent
	var err error
	w.toDrive, err = lazyauth.New(lazyauth.Service{
		Name: "Drive", Issuer: drive.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{drive.API()},
	}, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.toDrive.Close(); err != nil {
			t.Error(err)
		}
		if violations := drive.Violations(); len(violations) > 0 {
			t.Errorf("the client of Drive broke rules: %v", violations)
		}
	})
	w.World = world.New(t, world.Setup{Shared: notes, Options: options, Tools: func(inner *world.World) {
		w.World = inner
		add(w)
	}})
	return w
}

// copied is a handler that reads a note of Notes and writes it to Drive.
func (w *two) copied(ctx context.Context, _ *mcp.CallToolRequest, in world.Note) (*mcp.CallToolResult, world.Answer, error) {
	if _, err := text(w.Auth.Client(ctx).Get(w.AS.API() + "/me")); err != nil {
		return nil, world.Answer{}, err
	}
	got, err := text(w.toDrive.Client(ctx).Post(w.drive.API()+"/notes", "application/json", strings.NewReader(`{"text":"`+in.Text+`"}`)))
	return nil, world.Answer{Text: got}, err
}

// text returns what the API answered.
func text(res *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.Status + " " + string(body), err
}

// How a tool comes to need both.
var waysToTwo = map[string]func(w *two){
	"Also": func(w *two) {
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "copy"}, scopes.Of("profile"),
			lazyauth.Also(w.toDrive, "copy", scopes.Of("notes:write"), world.Counted(w.World, "copy", w.copied)))
	},
	"two policies": func(w *two) {
		mcp.AddTool(w.Server, &mcp.Tool{Name: "copy"}, world.Counted(w.World, "copy", w.copied))
		w.toDrive.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"copy": scopes.Of("notes:write")}})
		w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"copy": scopes.Of("profile")}})
	},
}

// byTwoWays runs a story for each way in which a tool needs both, in both eras.
func byTwoWays(t *testing.T, story func(t *testing.T, era string, add func(w *two))) {
	for name, add := range waysToTwo {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) { story(t, era, add) })
		})
	}
}

// approves waits for the next code of a server, which must be for these scopes, and approves it.
func approves(t *testing.T, as *fakeas.Server, want string, granted ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	req, err := as.WaitForRequest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(req.Scopes, " "); got != want {
		t.Errorf("%s is asked for %q, want %q", as.Issuer(), got, want)
	}
	if err := as.Approve(req.UserCode, granted...); err != nil {
		t.Error(err)
	}
}

// The person signs in to one after the other, each in a prompt of its own; the handler runs
// once, with both.
func TestSeveral_OneAfterTheOther(t *testing.T) {
	byTwoWays(t, func(t *testing.T, era string, add func(w *two)) {
		w := twoServices(t, lazyauth.Options{}, add)
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "copy", world.Note{Text: "x"})
		approves(t, w.AS, "profile")
		synctest.Wait()
		if n := w.drive.Count(fakeas.DeviceAuthorization, ""); n != 0 {
			t.Error("both were asked for at once")
		}
		approves(t, w.drive, "notes:write")
		(<-call).Succeeds(t, "201")
		h.Gets("copy", world.Note{Text: "y"}, "201") // nobody is asked again
		h.WantPrompts(2)
		for n, want := range []string{"Notes", "Drive"} {
			if got := h.Shown()[n].Message; !strings.Contains(got, want) {
				t.Errorf("prompt %d says %q, want %s", n+1, got, want)
			}
		}
		if n := w.Starts("copy"); n != 2 {
			t.Errorf("the handler started %d times", n)
		}
		w.wantTokensApart(t)
	})
}

// wantTokensApart demands that no origin was sent a token that another one was sent.
func (w *two) wantTokensApart(t *testing.T) {
	t.Helper()
	w.sent.mu.Lock()
	defer w.sent.mu.Unlock()
	seen := make(map[string]string)
	for host, headers := range w.sent.headers {
		if strings.HasPrefix(host, "drive") {
			host = "drive"
		} else {
			host = "notes"
		}
		for header := range headers {
			if header == "" {
				continue
			}
			if other, met := seen[header]; met && other != host {
				t.Errorf("%s was sent what %s was sent", host, other)
			}
			seen[header] = host
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d tokens were sent", len(seen))
	}
}

// A refusal at either service ends the call in that one's name, before the handler; what was
// granted by the other one stays.
func TestSeveral_Refused(t *testing.T) {
	byTwoWays(t, func(t *testing.T, era string, add func(w *two)) {
		w := twoServices(t, lazyauth.Options{}, add)
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "copy", world.Note{Text: "x"})
		approves(t, w.AS, "profile")
		req, err := w.drive.WaitForRequest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.drive.Deny(req.UserCode)
		r := <-call
		r.Fails(t, lazyauth.ReasonDenied)
		if !strings.Contains(r.Text(), "Drive") || strings.Contains(r.Text(), "Notes") || r.Result.Meta[lazyauth.MetaRequired] != "notes:write" {
			t.Errorf("the model reads %q, _meta %v", r.Text(), r.Result.Meta)
		}
		if n := w.Starts("copy"); n != 0 {
			t.Errorf("the handler started %d times", n)
		}
		call = h.Call(t.Context(), "copy", world.Note{Text: "x"})
		approves(t, w.drive, "notes:write")
		(<-call).Succeeds(t, "201")
		h.WantPrompts(3)
	})
}

// Who declines one of the two is left alone by that one, and not asked by the other.
func TestSeveral_Declined(t *testing.T) {
	byTwoWays(t, func(t *testing.T, era string, add func(w *two)) {
		w := twoServices(t, lazyauth.Options{}, add)
		h := w.Host(era, world.InTurn(world.Accepts, world.Says("decline", 3*time.Second)))
		call := h.Call(t.Context(), "copy", world.Note{Text: "x"})
		approves(t, w.AS, "profile")
		for n := range 2 {
			if n > 0 {
				call = h.Call(t.Context(), "copy", world.Note{Text: "x"})
			}
			r := <-call
			r.Fails(t, lazyauth.ReasonDeclined)
			if !strings.Contains(r.Text(), "declined to sign in to Drive") {
				t.Errorf("the model reads %q", r.Text())
			}
		}
		h.WantPrompts(2)
		if n := w.Starts("copy"); n != 0 {
			t.Errorf("the handler started %d times", n)
		}
	})
}

// In the middle of a handler each API can ask for more of its own grant, also in turn, and
// the handler goes on where it stood.
func TestSeveral_StepUpInEach(t *testing.T) {
	both := func(w *two) mcp.ToolHandlerFor[world.NoArgs, world.Answer] {
		return world.Counted(w.World, "both", func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			notes, drive := w.Auth.Client(ctx), w.toDrive.Client(ctx)
			var said []string
			for _, get := range []func() (*http.Response, error){
				func() (*http.Response, error) { return drive.Get(w.drive.API() + "/notes") },
				func() (*http.Response, error) { return notes.Get(w.AS.API() + "/notes") },
				func() (*http.Response, error) {
					return drive.Post(w.drive.API()+"/notes", "application/json", strings.NewReader(`{"text":"d"}`))
				},
			} {
				got, err := text(get())
				if err != nil {
					return nil, world.Answer{}, err
				}
				said = append(said, got[:3])
			}
			if err := w.Auth.Require(ctx, scopes.Of("notes:write")); err != nil {
				return nil, world.Answer{}, err
			}
			return nil, world.Answer{Text: strings.Join(said, " ")}, nil
		})
	}
	declared := func(w *two) { // so that challenges may ask for it
		for name, auth := range map[string]*lazyauth.Interceptor{"a": w.Auth, "b": w.toDrive} {
			lazyauth.AddTool(w.Server, auth, &mcp.Tool{Name: name}, scopes.Of("notes:read", "notes:write"), both(w))
		}
	}
	for name, add := range map[string]func(w *two){
		"Also": func(w *two) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "both"}, scopes.Of("profile"), lazyauth.Also(w.toDrive, "both", scopes.Of("profile"), both(w)))
		},
		"two policies": func(w *two) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "both"}, both(w))
			w.toDrive.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"both": scopes.Of("profile")}})
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"both": scopes.Of("profile")}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := twoServices(t, lazyauth.Options{}, func(w *two) {
					declared(w)
					add(w)
				})
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "both", nil)
				approves(t, w.AS, "profile")
				approves(t, w.drive, "profile")
				approves(t, w.drive, "notes:read profile")
				approves(t, w.AS, "notes:read profile")
				approves(t, w.drive, "notes:read notes:write profile")
				approves(t, w.AS, "notes:read notes:write profile")
				(<-call).Succeeds(t, "200 200 201")
				h.WantPrompts(6)
				if n := w.Starts("both"); n != 1 {
					t.Errorf("the handler started %d times", n)
				}
				w.wantTokensApart(t)
			})
		})
	}
}

// On a host that shows no prompts, the model is told of one sign-in at a time.
func TestSeveral_AsText(t *testing.T) {
	byTwoWays(t, func(t *testing.T, era string, add func(w *two)) {
		w := twoServices(t, lazyauth.Options{}, add)
		h := w.Host(era, nil)
		for _, as := range []*fakeas.Server{w.AS, w.drive} {
			r := <-h.Call(t.Context(), "copy", world.Note{Text: "x"})
			r.Fails(t, lazyauth.ReasonPending)
			req, err := as.WaitForRequest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.Text(), req.UserCode) || !strings.Contains(r.Text(), as.Issuer()) {
				t.Errorf("the model reads %q, and the code is %s", r.Text(), req.UserCode)
			}
			as.Approve(req.UserCode)
			world.Later(10 * time.Second)
		}
		h.Gets("copy", world.Note{Text: "x"}, "201")
	})
}

// Who does not say which is meant gets neither, and who asks for one that the tool was not given
// gets none; nothing goes out with the wrong token.
func TestSeveral_WhichIsMeant(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var errs []error
		uses := func(w *two, auth *lazyauth.Interceptor) mcp.ToolHandlerFor[world.NoArgs, world.Answer] {
			return func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				errs = nil
				if auth == nil {
					_, err := text(lazyauth.Client(ctx).Get(w.AS.API() + "/me"))
					_, noToken := lazyauth.TokenSource(ctx).Token()
					errs = append(errs, err, noToken, lazyauth.Require(ctx, scopes.Of("profile")), lazyauth.RejectToken(ctx, nil))
				} else {
					_, err := text(auth.Client(ctx).Get(w.AS.API() + "/me"))
					_, noToken := auth.TokenSource(ctx).Token()
					errs = append(errs, err, noToken, auth.Require(ctx, scopes.Of("profile")), auth.RejectToken(ctx, nil))
				}
				return nil, world.Answer{Text: "done"}, nil
			}
		}
		w := twoServices(t, lazyauth.Options{}, func(w *two) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "either"}, scopes.Of("profile"), lazyauth.Also(w.toDrive, "either", scopes.Of("profile"), uses(w, nil)))
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "other"}, scopes.Of("profile"), uses(w, w.toDrive))
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "own"}, scopes.Of("profile"), uses(w, w.Auth))
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "either", nil)
		approves(t, w.AS, "profile")
		approves(t, w.drive, "profile")
		(<-call).Succeeds(t, "done")
		wantAll(t, errs, "several services")
		h.Gets("other", nil, "done")
		wantAll(t, errs, "registered with this interceptor")
		if n := w.AS.Count(fakeas.Me, ""); n != 0 {
			t.Errorf("%d requests went out", n)
		}
		h.Gets("own", nil, "done")
		wantAll(t, errs[:3], "")
	})
}

// wantAll demands that each is an error with this text, or that none is.
func wantAll(t *testing.T, errs []error, want string) {
	t.Helper()
	for n, err := range errs {
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("use %d: %v, want %q", n, err, want)
		}
	}
}

// A client that is used where the other service's API is adds nothing.
func TestSeveral_WrongOrigin(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := twoServices(t, lazyauth.Options{}, func(w *two) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "wrong"}, scopes.Of("profile"), lazyauth.Also(w.toDrive, "wrong", scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					one, _ := text(w.Auth.Client(ctx).Get(w.drive.API() + "/me"))
					other, _ := text(w.toDrive.Client(ctx).Get(w.AS.API() + "/me"))
					return nil, world.Answer{Text: one[:3] + " " + other[:3]}, nil
				}))
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "wrong", nil)
		approves(t, w.AS, "profile")
		approves(t, w.drive, "profile")
		(<-call).Succeeds(t, "401 401")
		h.WantPrompts(2)
	})
}

// The wait for both is that of one call.
func TestSeveral_WaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoServices(t, lazyauth.Options{}, waysToTwo["Also"])
		h := w.Host(world.Legacy, world.Accepts)
		began := time.Now()
		call := h.Call(t.Context(), "copy", world.Note{Text: "x"})
		world.Later(40 * time.Second)
		approves(t, w.AS, "profile")
		r := <-call
		r.Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 60*time.Second || !strings.Contains(r.Text(), "Drive") {
			t.Errorf("after %v: %q", took, r.Text())
		}
	})
}
