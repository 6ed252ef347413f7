package oidcsignin_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

func pushedOnly(m map[string]any) {
	m["require_pushed_authorization_requests"], m["pushed_authorization_request_endpoint"] = true, issuerURL+"/par"
}

// An issuer that takes requests in no other way has them pushed, and the browser carries a name for them.
func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		as.metadata = pushedOnly
		b := newSite(t, as, nil).browser()
		to := b.leaves(link)
		if strings.Contains(to, "state") || strings.Contains(to, "nonce") {
			t.Errorf("the browser carries %s", to)
		}
		if v := b.get(as.approves(to, "ada")); v.location != link {
			t.Errorf("back to %q; log: %s", v.location, b.log)
		}
		b.is("ada")
	})
}

// One that takes both ways is asked without a request in between.
func TestPush_NotWhereItIsNotNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		as.metadata = claim("pushed_authorization_request_endpoint", issuerURL+"/par")
		b := newSite(t, as, nil).browser()
		if b.signsIn("ada"); as.count("/par") != 0 {
			t.Error("it was pushed")
		}
	})
}

// What an issuer makes of a pushed request is said to the operator, and to the person as far as it helps.
func TestPush_Refused(t *testing.T) {
	answers := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, story := range map[string]struct {
		answer func(http.ResponseWriter)
		status int
		page   string
		log    string
	}{
		"an error":          {answers(400, `{"error":"invalid_request","error_description":"<script>"}`), 403, "unsigned", "invalid_request"},
		"not now":           {answers(503, ""), 503, "unreachable", "503"},
		"too often":         {answers(429, ""), 503, "unreachable", "429"},
		"another place":     {func(w http.ResponseWriter) { w.Header().Set("Location", "https://evil.example/"); w.WriteHeader(307) }, 403, "unsigned", "is none"},
		"no name":           {answers(201, `{}`), 403, "unsigned", "is none"},
		"a long name":       {answers(201, `{"request_uri":"`+strings.Repeat("x", 5000)+`"}`), 403, "unsigned", "is none"},
		"a name too early":  {answers(200, `{"request_uri":"urn:x"}`), 403, "unsigned", "is none"},
		"without an end":    {answers(201, strings.Repeat(" ", 1<<20)), 403, "unsigned", "is none"},
		"what is no answer": {answers(201, "<html>"), 403, "unsigned", "is none"},
	} {
		synctest.Test(t, func(t *testing.T) {
			as := newDouble(t)
			as.metadata = pushedOnly
			as.serves(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/par" {
					story.answer(w)
				}
				return r.URL.Path == "/par"
			})
			b := newSite(t, as, func(o *oidcsignin.Options) { o.Prompt = "login" }).browser()
			b.shows(b.posts(b.get(publicURL), "/sign-in"), story.status, story.page)
			if log := b.log.String(); !strings.Contains(log, story.log) || len(b.cookies) != 0 || as.count("/") != 0 {
				t.Errorf("%s: cookies %v, log %s", name, b.cookies, log)
			}
		})
	}
}
