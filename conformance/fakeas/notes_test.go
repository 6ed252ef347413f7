package fakeas_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

func TestNotes(t *testing.T) {
	p := newPeer(t, nil)
	token := p.login("profile notes:read notes:write").text("access_token")
	if a := p.call(fakeas.Me, token); a.body != `{"name":"Ada Example","sub":"ada"}` {
		t.Errorf("GET /me: %s", a.body)
	}
	if a := p.call(fakeas.ListNotes, token); a.body != `{"notes":[]}` {
		t.Errorf("GET /notes: %s", a.body)
	}
	if a := p.call(fakeas.CreateNote, token); a.status != http.StatusCreated || a.body != `{"id":1,"text":"buy milk"}` {
		t.Errorf("POST /notes: %d %s", a.status, a.body)
	}
	if a := p.call(fakeas.ListNotes, token); a.body != `{"notes":[{"id":1,"text":"buy milk"}]}` {
		t.Errorf("GET /notes: %s", a.body)
	}
	if p.as.Count(fakeas.CreateNote, fakeas.OK) != 1 || p.as.Count(fakeas.ListNotes, "") != 2 {
		t.Errorf("journal: %+v", p.as.Journal())
	}
	p.flawless()
}

func TestChallenges(t *testing.T) {
	p := newPeer(t, nil)
	for _, test := range []struct {
		name, token string
		op          fakeas.Operation
		status      int
		challenge   string
	}{
		{"no token", "", fakeas.ListNotes, 401, `Bearer realm="notes", scope="notes:read"`},
		{"no valid token", "made-up", fakeas.Me, 401, `Bearer realm="notes", error="invalid_token", scope="profile"`},
		{"no sufficient token", p.login("profile").text("access_token"), fakeas.CreateNote, 403, `Bearer realm="notes", error="insufficient_scope", scope="notes:write"`},
	} {
		a := p.call(test.op, test.token)
		if a.status != test.status || a.header.Get("WWW-Authenticate") != test.challenge {
			t.Errorf("%s: %d %s", test.name, a.status, a.header.Get("WWW-Authenticate"))
		}
	}
	p.flawless()
}

func TestBadNotes(t *testing.T) {
	p := newPeer(t, nil)
	token := p.login("notes:write").text("access_token")
	for _, test := range []struct {
		contentType, body string
		status            int
	}{
		{"text/plain", `{"text":"x"}`, 415},
		{"application/json", ``, 400},
		{"application/json", `{"text":""}`, 400},
		{"application/json", `{"text":7}`, 400},
		{"application/json", `{"text":"x"} {}`, 400},
		{"application/json", `{"text":"x","title":"y"}`, 400},
		{"application/json", `{"text":"` + strings.Repeat("x", 4097) + `"}`, 400},
		{"application/json", `{"text":"` + strings.Repeat("x", 70_000) + `"}`, 413},
		{"application/json; charset=utf-8", `{"text":"` + strings.Repeat("x", 4096) + `"}`, 201},
	} {
		req := p.request(http.MethodPost, p.as.URL(fakeas.CreateNote), test.contentType, test.body)
		req.Header.Set("Authorization", "bearer "+token)
		if a := p.must(req); a.status != test.status {
			t.Errorf("%s %.40q: %d, want %d", test.contentType, test.body, a.status, test.status)
		}
	}
	for op, allow := range map[fakeas.Operation]string{fakeas.Me: "GET", fakeas.ListNotes: "GET, POST"} {
		a := p.must(p.request(http.MethodDelete, p.as.URL(op), "", ""))
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != allow {
			t.Errorf("DELETE: %d, Allow %q", a.status, a.header.Get("Allow"))
		}
	}
	if n := p.as.Count(fakeas.CreateNote, fakeas.OK); n != 1 {
		t.Errorf("%d notes created", n)
	}
}
