package httpforward_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
)

// An asked directory knows nobody, and checks what it is asked for.
type asked struct {
	t     *testing.T
	marks int
}

func (*asked) Incarnation() string                                   { return "this" }
func (*asked) Announce(context.Context, string, time.Duration) error { return nil }
func (*asked) Address(context.Context, string) (string, error)       { return "", errors.New("nobody") }

func (a *asked) Holder(_ context.Context, mark string) (string, error) {
	kind, name, _ := strings.Cut(mark, " ")
	if a.marks++; a.marks > 2 || len(mark) > 100 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		a.t.Errorf("mark %d is %q", a.marks, mark)
	}
	if kind != "start" && kind != "wait" && kind != "link" && kind != "attempt" {
		a.t.Errorf("mark %q", mark)
	}
	return "", nil
}

// Whatever is sent, few and short marks are looked for, and the next handler gets it as it was.
func FuzzHandler(f *testing.F) {
	f.Add("POST", "application/json", "", ofCall)
	f.Add("POST", "application/x-www-form-urlencoded", "", "f="+strings.Repeat("A", 22)+"&answer=continue")
	f.Add("POST", "application/x-www-form-urlencoded", "f=x;y", "a="+strings.Repeat("A", 16))
	f.Add("GET", "", "f="+strings.Repeat("A", 22), "")
	f.Add("GET", "", "code=x&state="+strings.Repeat("A", 16)+"."+strings.Repeat("B", 43)+"&iss=https%3A%2F%2Fas.example", "")
	f.Fuzz(func(t *testing.T, method, kind, query, body string) {
		if method != http.MethodGet {
			method = http.MethodPost
		}
		forwarder, err := httpforward.New(&asked{t: t}, httpforward.Options{Address: "http://this", Key: key, Failed: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/mcp", strings.NewReader(body))
		r.URL = &url.URL{Path: "/mcp", RawQuery: query}
		r.Header.Set("Content-Type", kind)
		met := false
		forwarder.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			met = true
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != body {
				t.Errorf("the next handler reads %q, %v", got, err)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if !met {
			t.Error("it went nowhere")
		}
	})
}

// A link that there is not costs the directory one look, whoever makes it up.
func TestHandler_NoSuchLink(t *testing.T) {
	directory := &asked{t: t}
	forwarder, err := httpforward.New(directory, httpforward.Options{Address: "http://this", Key: key, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/connect?f="+strings.Repeat("A", 22), nil)
	forwarder.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if directory.marks != 1 {
		t.Errorf("%d looks", directory.marks)
	}
}
