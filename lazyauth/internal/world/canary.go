package world

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// check is the secret canary, and the judge of our manners.
func (w *World) check() {
	for _, v := range w.AS.Violations() {
		if !slices.Contains(w.Tolerated, v.Rule) {
			w.T.Errorf("violation: %s %s (%s): %s", v.Operation, v.Rule, v.Rule.Section(), v.Detail)
		}
	}
	credentials, codes := w.Secrets.All()
	for place, text := range map[string]string{
		"the wire to the host": w.Wire.Text(),
		"the log":              w.Log.String() + w.Slog.String(),
		"a counter":            w.Counters.String(),
		"the trace":            w.Trace.Text(),
		"an error":             strings.Join(w.errs, "\n"),
	} {
		for _, s := range credentials {
			if strings.Contains(text, s) {
				w.T.Errorf("a secret is in %s", place)
			}
		}
		if place == "the wire to the host" {
			continue // codes are shown there, see below
		}
		for _, c := range codes {
			if strings.Contains(text, c) {
				w.T.Errorf("a user code is in %s", place)
			}
		}
	}
	for _, m := range w.Wire.Messages() {
		// Results of the newer era, which say what server they are from, must say their type.
		if !w.Mixed && bytes.Contains(m, []byte(`"result":`)) && bytes.Contains(m, []byte(mcp.MetaKeyServerInfo)) && !bytes.Contains(m, []byte(`"resultType":`)) {
			w.T.Errorf("a result without a type: %s", m)
		}
		for _, c := range codes {
			if bytes.Contains(m, []byte(c)) && !w.isPrompt(m) {
				w.T.Errorf("a user code is in a message that is no prompt: %s", m)
			}
		}
	}
}

func (w *World) isPrompt(m []byte) bool {
	return bytes.Contains(m, []byte(`"elicitation/create"`)) || bytes.Contains(m, []byte(`"notifications/progress"`)) || bytes.Contains(m, fmt.Appendf(nil, "%q:%q", lazyauth.MetaReason, cmp.Or(w.CodesMayFollow, lazyauth.ReasonPending)))
}

// Listen returns a transport that notes what an authorization server issues through it.
func (s *Secrets) Listen(next http.RoundTripper) http.RoundTripper {
	return &listener{next: next, secrets: s}
}

// A listener notes what the authorization server issues, for the canary.
type listener struct {
	next    http.RoundTripper
	secrets *Secrets
}

func (l *listener) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	if err != nil {
		return res, err
	}
	if _, ok := res.Body.(Unread); ok {
		return res, nil
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	var issued struct {
		Device  string `json:"device_code"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Code    string `json:"user_code"`
		Secret  string `json:"client_secret"` // of a registration, as is the next
		Manage  string `json:"registration_access_token"`
	}
	if json.Unmarshal(body, &issued) != nil {
		form, _ := url.ParseQuery(string(body))
		issued.Device, issued.Access = form.Get("device_code"), form.Get("access_token")
		issued.Refresh, issued.Code = form.Get("refresh_token"), form.Get("user_code")
	}
	l.secrets.Add(issued.Device, issued.Access, issued.Refresh, issued.Secret, issued.Manage)
	l.secrets.issued(issued.Access)
	l.secrets.addCode(issued.Code)
	return res, nil
}

// Unread is a body that the listener must not read ahead.
type Unread struct{ io.ReadCloser }

// failing ends a body with the error that it ended with.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func (s *Secrets) issued(access string) {
	if access == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access = access
}

// Secrets are what must not be in a log, a prompt, an error or a trace, for the canary:
// credentials nowhere, and user codes in prompts alone.
type Secrets struct {
	mu          sync.Mutex
	access      string // the last one
	credentials []string
	codes       []string
}

// Add adds credentials.
func (s *Secrets) Add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if v != "" {
			s.credentials = append(s.credentials, v)
		}
	}
}

// Last returns the access token that was issued last.
func (s *Secrets) Last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access
}

func (s *Secrets) addCode(code string) {
	if code == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes = append(s.codes, code)
}

// All returns what was added and issued.
func (s *Secrets) All() (credentials, codes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.credentials), slices.Clone(s.codes)
}

// UserCode is what a code of the test's authorization server looks like.
var UserCode = regexp.MustCompile(`\b[BCDFGHJKLMNPQRSTVWXZ]{4}-?[BCDFGHJKLMNPQRSTVWXZ]{4}\b`)
