package oidcsignin_test

import (
	"bytes"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

// A site is a connect page whose people sign in at the double.
type site struct {
	t      *testing.T
	as     *double
	signIn *oidcsignin.SignIn
	page   http.Handler
	log    *journal
}

// A journal is a log that is read at the end.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// options are those of a site.
func options(as *double, log *journal) oidcsignin.Options {
	return oidcsignin.Options{
		Issuer: as.url, ClientID: clientID, ClientSecret: secret, PublicURL: publicURL, Transport: as,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
}

func newSite(t *testing.T, as *double, o func(*oidcsignin.Options)) *site {
	t.Helper()
	s := &site{t: t, as: as, log: new(journal)}
	set := options(as, s.log)
	if o != nil {
		o(&set)
	}
	var err error
	if s.signIn, err = oidcsignin.New(set); err != nil {
		t.Fatal(err)
	}
	if s.page, err = lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: publicURL, SignIn: s.signIn}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, text := range []string{secret, "an-access-token", "eyJ"} {
			if strings.Contains(s.log.String(), text) {
				t.Errorf("%q is in the log: %s", text, s.log)
			}
		}
	})
	return s
}

// A browser keeps cookies for one host, and says of its requests what browsers say.
type browser struct {
	*site
	cookies map[string]*http.Cookie
}

func (s *site) browser() *browser { return &browser{s, map[string]*http.Cookie{}} }

// A view is what came of a request.
type view struct {
	name, html, location string
	status               int
	header               http.Header
}

var pageName = regexp.MustCompile(`data-page="([^"]*)"`)

func (b *browser) do(method, address string, form url.Values, header http.Header) view {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "null")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, values := range header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	w := httptest.NewRecorder()
	b.page.ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			b.t.Errorf("cookie %+v", c)
		}
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	v := view{status: res.StatusCode, html: w.Body.String(), location: res.Header.Get("Location"), header: res.Header}
	if found := pageName.FindStringSubmatch(v.html); found != nil {
		v.name = found[1]
	}
	return v
}

func (b *browser) get(address string) view {
	b.t.Helper()
	return b.do(http.MethodGet, address, nil, nil)
}

var (
	hidden  = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
	refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)
)

// posts sends the form of a page to a path below it.
func (b *browser) posts(v view, path string) view {
	b.t.Helper()
	form := url.Values{}
	for _, f := range hidden.FindAllStringSubmatch(v.html, -1) {
		form.Set(f[1], html.UnescapeString(f[2]))
	}
	return b.do(http.MethodPost, publicURL+path, form, nil)
}

// leaves opens the page, or the link of a call, has it sign them in, and returns where that leads.
func (b *browser) leaves(address string) string {
	b.t.Helper()
	v := b.get(address)
	if v.name != "signed-out" {
		b.t.Fatalf("the page shows %q: %s", v.name, v.html)
	}
	return b.onward(b.posts(v, "/sign-in"))
}

func (b *browser) onward(v view) string {
	b.t.Helper()
	found := refresh.FindStringSubmatch(v.html)
	if v.name != "signing-in" || v.status != http.StatusOK || found == nil {
		b.t.Fatalf("the page shows %q with %d: %s; log: %s", v.name, v.status, v.html, b.log)
	}
	return html.UnescapeString(found[1])
}

// signsIn goes all the way, as somebody.
func (b *browser) signsIn(subject string) {
	b.t.Helper()
	v := b.get(b.as.approves(b.leaves(publicURL), subject))
	if v.status != http.StatusSeeOther || v.location != publicURL {
		b.t.Fatalf("the sign-in shows %q with %d, and leads to %q; log: %s", v.name, v.status, v.location, b.log)
	}
	b.is(subject)
}

var knownAs = regexp.MustCompile(`knows you as ([^<]*)\.</p>`)

// who returns who the page says is signed in; empty if nobody is.
func (b *browser) who() string {
	b.t.Helper()
	if found := knownAs.FindStringSubmatch(b.get(publicURL).html); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// is demands that somebody is signed in; empty: nobody.
func (b *browser) is(subject string) {
	b.t.Helper()
	if subject != "" {
		subject += "@example.com"
	}
	if got := b.who(); got != subject {
		b.t.Errorf("the browser is signed in as %q, want %q; log: %s", got, subject, b.log)
	}
}

// shows demands a page, or the way to it: what is not the browser's own is turned away, out of its address.
func (b *browser) shows(v view, status int, name string) {
	b.t.Helper()
	if v.status == http.StatusSeeOther && v.location == publicURL+"/"+name {
		v = b.get(v.location)
	}
	if v.status != status || v.name != name {
		b.t.Errorf("the browser shows %q with %d, want %q with %d: %s; log: %s", v.name, v.status, name, status, v.html, b.log)
	}
	if strings.Contains(v.html, "<script") || strings.Contains(v.html, "alert") {
		b.t.Errorf("the page has what somebody else wrote: %s", v.html)
	}
}
