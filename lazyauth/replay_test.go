package lazyauth_test

import (
	"context"
	"fmt"
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

// withUpload adds a tool that sends what body returns.
func withUpload(body func() io.Reader, client func(*http.Client)) func(*world.World) {
	return func(w *world.World) {
		w.AddTools()
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "upload"}, scopes.Of("profile"), world.Counted(w, "upload",
			func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				req, err := http.NewRequestWithContext(ctx, "POST", w.AS.API()+"/notes", body())
				if err != nil {
					return nil, world.Answer{}, err
				}
				req.Header.Set("Content-Type", "application/json")
				c := lazyauth.Client(ctx)
				if client != nil {
					client(c)
				}
				return world.ReadAnswer(c.Do(req))
			}))
	}
}

// bare hides what a reader is, so that net/http makes no GetBody of it.
type bare struct{ io.Reader }

func TestReplay_StreamingBody(t *testing.T) {
	for name, test := range map[string]struct {
		length int
		replay bool
	}{"short": {100, true}, "long": {70 << 10, false}} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				text := `{"text":"` + strings.Repeat("x", test.length) + `"}`
				w := world.New(t, world.Setup{Tools: withUpload(func() io.Reader { return bare{strings.NewReader(text)} }, nil)})
				if !test.replay {
					// Challenged only when the body was read: the worst moment.
					w.AS.Script(fakeas.CreateNote, challenge(403, `Bearer error="insufficient_scope", scope="notes:write"`))
				}
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "upload", nil)
				w.Approves()
				if test.replay {
					w.Approves()
					(<-call).Succeeds(t, "xxx")
					h.WantPrompts(2)
					return
				}
				r := <-call
				r.Fails(t, lazyauth.ReasonUnsupported)
				if !strings.Contains(r.Text(), "GetBody") {
					t.Errorf("%q does not say what to do", r.Text())
				}
				h.WantPrompts(1)
			})
		})
	}
}

// dataEOF returns its data together with io.EOF, as readers may.
type dataEOF struct {
	data  string
	again chan struct{}
	done  bool
}

func (d *dataEOF) Read(p []byte) (int, error) {
	if d.done {
		<-d.again
		return 0, io.EOF
	}
	d.done = true
	return copy(p, d.data), io.EOF
}

// earlyTransport answers as soon as the body is there, and reads on to its end, as
// net/http does with a declared ContentLength.
type earlyTransport struct {
	next http.RoundTripper
	once sync.Once
}

func (e *earlyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	early := false
	if req.Method == "POST" && req.URL.Path == "/notes" {
		e.once.Do(func() { early = true })
	}
	if !early {
		return e.next.RoundTrip(req)
	}
	p := make([]byte, 512)
	got := make(chan struct{})
	go func() {
		req.Body.Read(p)
		close(got)
		req.Body.Read(p) // is that all?
		req.Body.Close()
	}()
	<-got
	return &http.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}, Body: http.NoBody, Request: req}, nil
}

// The transport may go on reading a body that is being sent again already: a
// story for the race detector.
func TestReplay_WhileTheBodyIsRead(t *testing.T) {
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &earlyTransport{}
				again := make(chan struct{})
				w := world.New(t, world.Setup{Options: lazyauth.Options{Transport: e}, Tools: func(w *world.World) {
					e.next = w.AS.Transport()
					lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "upload"}, scopes.Of("notes:write"),
						func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
							body := &dataEOF{data: `{"text":"x"}`, again: again}
							req, _ := http.NewRequestWithContext(ctx, "POST", w.AS.API()+"/notes", body)
							req.Header.Set("Content-Type", "application/json")
							go func() { world.Later(time.Duration(i) * time.Millisecond); close(again) }()
							return world.ReadAnswer(lazyauth.Client(ctx).Do(req))
						})
				}})
				h := w.Host(world.Legacy, world.Accepts)
				call := h.Call(t.Context(), "upload", nil)
				w.Approves()
				(<-call).Succeeds(t, "x")
				world.Later(time.Second)
			})
		})
	}
}
