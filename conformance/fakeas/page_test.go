package fakeas_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

var pageName = regexp.MustCompile(`<body data-page="([a-z]+)">`)

func page(a answer) string {
	if match := pageName.FindStringSubmatch(a.body); match != nil {
		return match[1]
	}
	return fmt.Sprintf("none (%d)", a.status)
}

// submit sends one of the page's forms, with the headers of a browser.
func (p *peer) submit(path string, pairs ...string) answer {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req := p.request(http.MethodPost, p.as.Issuer()+path, "application/x-www-form-urlencoded", form.Encode())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Origin", p.as.Issuer())
	return p.must(req)
}

func TestPageWalk(t *testing.T) {
	for _, test := range []struct{ decision, last, poll string }{
		{"approve", "approved", "ok"},
		{"deny", "denied", "access_denied"},
	} {
		t.Run(test.decision, func(t *testing.T) {
			p := listen(t, fakeas.Options{Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, Name: "<b>Bold & Co</b>"}}})
			p.client.Jar, _ = cookiejar.New(nil)
			d := p.authorize("profile notes:write")
			code := d.text("user_code")

			// The complete address fills in the form and does no more.
			a := p.must(p.request(http.MethodGet, d.text("verification_uri_complete"), "", ""))
			if page(a) != "enter" || !strings.Contains(a.body, `value="`+code+`"`) || len(p.as.Waiting()) != 1 {
				t.Fatalf("first page: %s", a.body)
			}
			a = p.submit("/device", "user_code", " "+strings.ToLower(strings.ReplaceAll(code, "-", " "))+" ")
			for _, shown := range []string{
				">" + code + "<", "&lt;b&gt;Bold &amp; Co&lt;/b&gt;", "<code>notes-cli</code>",
				"See your name", "Write new notes", "<code>notes:write</code>",
				"Only continue if you started this yourself", "Ada Example", "about 10 more minutes",
			} {
				if !strings.Contains(a.body, shown) {
					t.Errorf("the confirmation does not show %q", shown)
				}
			}
			if page(a) != "confirm" || len(p.as.Waiting()) != 1 {
				t.Fatalf("second page: %s", a.body)
			}
			if a = p.submit("/device/decision", "user_code", code); page(a) != "confirm" {
				t.Errorf("no button pressed: %s", page(a))
			}
			a = p.submit("/device/decision", "user_code", code, "decision", test.decision)
			if page(a) != test.last || !strings.Contains(a.body, "You can close this window and return to your application.") {
				t.Fatalf("last page: %s", a.body)
			}
			if a = p.submit("/device/decision", "user_code", code, "decision", test.decision); page(a) != test.last {
				t.Errorf("last page, loaded again: %s", page(a))
			}
			if a = p.submit("/device", "user_code", code); page(a) != "enter" || !strings.Contains(a.body, "used already") {
				t.Errorf("used code: %s", a.body)
			}
			if got := p.poll(d.text("device_code")); got != test.poll {
				t.Errorf("poll: %s", got)
			}
			if n := p.as.Count(fakeas.Page, test.last); n != 2 {
				t.Errorf("journal: %+v", p.as.Journal())
			}
			p.flawless()
		})
	}
}

func TestPageErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		wantError := func(a answer, status int, says, kept string) {
			t.Helper()
			if a.status != status || page(a) != "enter" || !strings.Contains(a.body, says) ||
				!strings.Contains(a.body, `role="alert"`) || !strings.Contains(a.body, `aria-invalid="true" aria-describedby="error hint"`) {
				t.Errorf("%d, want %d and %q: %s", a.status, status, says, a.body)
			}
			if !strings.Contains(a.body, `value="`+kept+`"`) {
				t.Errorf("what was typed is lost: %s", a.body)
			}
			if !strings.Contains(a.body, `<title>Error: `) || !strings.Contains(a.body, `<script src="/device.js" defer></script>`) {
				t.Errorf("the title does not say that it is an error, or what was typed is not selected: %s", a.body)
			}
		}
		wantError(p.submit("/device", "user_code", " - "), 422, "Enter the code", " - ")
		wantError(p.submit("/device", "user_code", `"><script>`), 422, "not known", "&#34;&gt;&lt;script&gt;")
		wantError(p.submit("/device/decision", "user_code", "zzzz", "decision", "approve"), 422, "not known", "zzzz")

		code := p.authorize("profile").text("user_code")
		late := p.submit("/device", "user_code", code)
		time.Sleep(10 * time.Minute)
		wantError(p.submit("/device", "user_code", code), 422, "expired", code)
		if page(late) != "confirm" {
			t.Errorf("page: %s", page(late))
		}
		a := p.submit("/device/decision", "user_code", code, "decision", "approve")
		if a.status != http.StatusGone || page(a) != "expired" || !strings.Contains(a.body, "Nothing was approved") {
			t.Errorf("decided too late: %s", a.body)
		}

		code = p.authorize("profile").text("user_code")
		p.submit("/device/decision", "user_code", code, "decision", "deny")
		wantError(p.submit("/device/decision", "user_code", code, "decision", "approve"), 422, "used already", code)
	})
}

// RFC 8628 §5.1: five wrong codes, then a minute's wait, even for a right one.
func TestGuessingCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		code := p.authorize("profile").text("user_code")
		for i := range 5 {
			if a := p.submit("/device", "user_code", fmt.Sprintf("AAAA-AAA%d", i)); a.status != http.StatusUnprocessableEntity {
				t.Fatalf("guess %d: %d", i, a.status)
			}
			time.Sleep(time.Second)
		}
		for path, decision := range map[string]string{"/device": "", "/device/decision": "approve"} {
			a := p.submit(path, "user_code", code, "decision", decision)
			if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "55" || !strings.Contains(a.body, "Wait 55 seconds") {
				t.Errorf("%s: %d, Retry-After %s", path, a.status, a.header.Get("Retry-After"))
			}
		}
		time.Sleep(55 * time.Second)
		if a := p.submit("/device", "user_code", code); page(a) != "confirm" {
			t.Errorf("a minute later: %s", page(a))
		}
	})
}

func TestPageHeaders(t *testing.T) {
	p := newPeer(t, nil)
	for path, contentType := range map[string]string{
		"/device":     "text/html; charset=utf-8",
		"/device.css": "text/css; charset=utf-8",
		"/device.js":  "text/javascript; charset=utf-8",
	} {
		a := p.must(p.request(http.MethodGet, p.as.Issuer()+path, "", ""))
		for name, value := range map[string]string{
			"Content-Type":            contentType,
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy":         "same-origin",
			"X-Content-Type-Options":  "nosniff",
			"X-Frame-Options":         "DENY",
			"Cache-Control":           "no-store",
		} {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
		if a.status != http.StatusOK || strings.Contains(a.body, "<script") || strings.Contains(a.body, "style=") || strings.Contains(a.body, "://") {
			t.Errorf("%s: %d, or a script, style or resource that the policy forbids", path, a.status)
		}
	}
	for path, allow := range map[string]string{"/device": "GET, POST", "/device.css": "GET", "/device.js": "GET"} {
		if a := p.must(p.request(http.MethodPut, p.as.Issuer()+path, "", "")); a.status != 405 || a.header.Get("Allow") != allow {
			t.Errorf("PUT %s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
		}
	}
}

// A form on another site decides nothing, nor does an address.
func TestOnlyThePageDecides(t *testing.T) {
	p := listen(t, fakeas.Options{})
	code := p.authorize("profile").text("user_code")
	body := url.Values{"user_code": {code}, "decision": {"approve"}}.Encode()
	for name, headers := range map[string]map[string]string{
		"cross-site":     {"Sec-Fetch-Site": "cross-site"},
		"same site":      {"Sec-Fetch-Site": "same-site"},
		"foreign origin": {"Origin": "https://www.example.net"},
		"null origin":    {"Origin": "null"},
	} {
		req := p.request(http.MethodPost, p.as.Issuer()+"/device/decision", "application/x-www-form-urlencoded", body)
		for k, v := range headers {
			req.Header.Set(k, v)
		}
		if a := p.must(req); a.status != http.StatusForbidden || page(a) != "foreign" {
			t.Errorf("%s: %d %s", name, a.status, page(a))
		}
	}
	if a := p.must(p.request(http.MethodGet, p.as.Issuer()+"/device/decision?"+body, "", "")); page(a) != "enter" {
		t.Errorf("GET: %s", page(a))
	}
	if a := p.must(p.request(http.MethodPost, p.as.Issuer()+"/device/decision?"+body, "application/json", "{}")); a.status != http.StatusBadRequest {
		t.Errorf("JSON: %d", a.status)
	}
	if len(p.as.Waiting()) != 1 {
		t.Error("decided")
	}
}

func TestVisit(t *testing.T) {
	p := listen(t, fakeas.Options{Withhold: []string{"notes:write"}})
	for approve, want := range map[bool]string{true: "ok", false: "access_denied"} {
		d := p.authorize("profile notes:write")
		if err := fakeas.Visit(t.Context(), nil, d.text("verification_uri"), d.text("user_code"), approve); err != nil {
			t.Fatal(err)
		}
		if got := p.poll(d.text("device_code")); got != want {
			t.Errorf("approve %v: %s", approve, got)
		}
	}

	const code = "AAAA-AAAA"
	for name, address := range map[string]string{
		"unknown code": p.as.URL(fakeas.Page),
		"another page": p.as.URL(fakeas.Metadata),
		"no server":    "http://127.0.0.1:1/device?user_code=" + code,
		"no address":   "http://[/" + code,
	} {
		err := fakeas.Visit(t.Context(), nil, address, code, true)
		if err == nil || !strings.HasPrefix(err.Error(), "fakeas: ") || strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.flawless()
}

// The page lives below an issuer's path, and through the transport.
func TestVisitBelowAPath(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Issuer: "https://id.example.test/tenant"})
	d := p.authorize("profile")
	if err := fakeas.Visit(t.Context(), p.client, d.text("verification_uri_complete"), d.text("user_code"), true); err != nil {
		t.Fatal(err)
	}
	if got := p.poll(d.text("device_code")); got != "ok" {
		t.Errorf("poll: %s", got)
	}
	refused := p.must(p.request(http.MethodPost, "https://id.example.test/tenant/device", "application/x-www-form-urlencoded", "user_code=ZZZZ"))
	for _, file := range []string{"/tenant/device.css", "/tenant/device.js"} {
		if a := p.must(p.request(http.MethodGet, "https://id.example.test"+file, "", "")); a.status != http.StatusOK || !strings.Contains(refused.body, `"`+file+`"`) {
			t.Errorf("%s: %d, named by the page: %s", file, a.status, refused.body)
		}
	}
}
