package scripted

import (
	"net/http"
	"strings"
	"testing"
)

var (
	// RefusesClient is the answer of RFC 6749 §5.2.
	RefusesClient = Answer(401, "application/json", `{"error":"invalid_client"}`, "WWW-Authenticate", `Basic realm="as"`)

	// NoClient is what a server says that reads the body alone, and finds nobody there.
	NoClient = Answer(400, "application/json", `{"error":"invalid_request","error_description":"client_id is missing"}`)
)

// InBody answers clients that authenticate in the body, and refuses others.
func InBody(refused, then Reply) Reply {
	return func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Authorization") != "" {
			return refused(req)
		}
		return then(req)
	}
}

// InHeader is the opposite of InBody.
func InHeader(refused, then Reply) Reply {
	return func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Authorization") == "" {
			return refused(req)
		}
		return then(req)
	}
}

// CheckAuth fails the test unless the requests to a path authenticated in these ways:
// "basic+post".
func (s *Server) CheckAuth(t testing.TB, path, want string) {
	t.Helper()
	var list []string
	for _, r := range s.To(path) {
		basic, post := r.Header.Get("Authorization") != "", strings.Contains(r.Body, "client_secret=")
		switch {
		case basic && strings.Contains(r.Body, "client_"), !basic && !post:
			t.Errorf("to %s: not one authentication: %v %s", path, r.Header, r.Body)
		case basic:
			list = append(list, "basic")
		default:
			list = append(list, "post")
		}
	}
	if got := strings.Join(list, "+"); got != want {
		t.Errorf("to %s: %s, want %s", path, got, want)
	}
}
