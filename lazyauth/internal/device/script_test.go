package device_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A reply is what a scripted server does with one request.
type reply func(*http.Request) (*http.Response, error)

// server is an authorization server that follows a script: a queue of replies a
// path, of which the last is repeated. It is a RoundTripper, needs no socket and
// works inside a synctest bubble.
type server struct {
	mu       sync.Mutex
	script   map[string][]reply
	requests []request
	bodies   []*body
}

// request is one that the server has received.
type request struct {
	method, url, body  string
	header             http.Header
	received, answered time.Time
}

func (s *server) on(path string, replies ...reply) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.script == nil {
		s.script = map[string][]reply{}
	}
	s.script[path] = append(s.script[path], replies...)
	return s
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	got := request{method: req.Method, url: req.URL.String(), header: req.Header.Clone(), received: time.Now()}
	if req.Body != nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		got.body = string(text)
		req.Body.Close()
	}
	s.mu.Lock()
	queue := s.script[req.URL.Path]
	if len(queue) > 1 {
		s.script[req.URL.Path] = queue[1:]
	}
	s.mu.Unlock()
	if len(queue) == 0 {
		queue = []reply{answer(404, "text/html", "<html>no such page</html>")}
	}
	resp, err := queue[0](req)
	got.answered = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, got)
	if resp != nil {
		s.bodies = append(s.bodies, resp.Body.(*body))
	}
	return resp, err
}

// to returns the requests to one path.
func (s *server) to(path string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []request
	for _, r := range s.requests {
		if strings.HasSuffix(r.url, path) {
			list = append(list, r)
		}
	}
	return list
}

// checkClosed fails the test if a response body was left open.
func (s *server) checkClosed(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.bodies {
		if !b.closed {
			t.Errorf("the body of answer %d was not closed", i)
		}
	}
}

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

// answer replies with a status and a body, and headers in pairs.
func answer(status int, contentType, text string, headers ...string) reply {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			Status: fmt.Sprint(status), StatusCode: status, Header: h,
			Body: &body{Reader: strings.NewReader(text)}, Request: req,
		}, nil
	}
}

func ok(text string) reply { return answer(200, "application/json", text) }

// oauthError is an error answer as RFC 6749 §5.2 wants it.
func oauthError(code string) reply {
	return answer(400, "application/json", fmt.Sprintf(`{"error":%q}`, code))
}

// broken is a failed connection.
func broken(err error) reply {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// stall never answers; it ends with the request's context.
func stall(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// slowly answers after a time, unless the request's context ends first.
func slowly(d time.Duration, then reply) reply {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

// cutOff sends part of a body and breaks.
func cutOff(req *http.Request) (*http.Response, error) {
	resp, _ := ok("")(req)
	resp.Body = &body{Reader: io.MultiReader(strings.NewReader(`{"access_`), failing{})}
	return resp, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

const (
	deviceCode   = "device-code-0123456789"
	userCode     = "WDJB-MJHT"
	accessToken  = "access-token-0123456789"
	refreshToken = "refresh-token-0123456789"
	clientSecret = "s3cr3t:/+ with space~"
)

const issued = `{"device_code":"` + deviceCode + `","user_code":"` + userCode + `",
	"verification_uri":"https://as.example/device","verification_uri_complete":"https://as.example/device?user_code=` + userCode + `",
	"expires_in":900,"interval":5}`

const granted = `{"access_token":"` + accessToken + `","token_type":"Bearer","expires_in":3600,
	"refresh_token":"` + refreshToken + `","scope":"notes:read profile"}`

// client returns a public client of s; change may be nil.
func client(t testing.TB, s *server, change func(*device.Config)) *device.Client {
	t.Helper()
	config := device.Config{
		Endpoints: device.Endpoints{
			Issuer:              "https://as.example",
			DeviceAuthorization: "https://as.example/device_authorization",
			Token:               "https://as.example/token",
		},
		ClientID:  "notes-client",
		Transport: s,
	}
	if change != nil {
		change(&config)
	}
	c, err := device.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// authorize gets a device code, answered with issued unless the script says else.
func authorize(t testing.TB, c *device.Client, s *server) *device.Authorization {
	t.Helper()
	s.mu.Lock()
	scripted := len(s.script["/device_authorization"]) > 0
	s.mu.Unlock()
	if !scripted {
		s.on("/device_authorization", ok(issued))
	}
	auth, err := c.Authorize(context.Background(), scopes.Of("profile", "notes:read"))
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// wantError checks the kind of an error and that it tells nothing it must not.
func wantError(t *testing.T, err, kind error) *device.Error {
	t.Helper()
	e, isError := errors.AsType[*device.Error](err)
	if !isError || !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one that is %q", err, kind)
	}
	checkNoSecret(t, e)
	return e
}

// checkNoSecret looks for secrets in every form a value can be printed in.
func checkNoSecret(t *testing.T, value any) {
	t.Helper()
	for _, text := range everyForm(value) {
		for _, secret := range []string{deviceCode, userCode, "WDJBMJHT", accessToken, refreshToken, clientSecret, "s3cr3t"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("the secret %q is in %s", secret, text)
			}
		}
	}
}
