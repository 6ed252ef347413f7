package fakeas_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// However a code is written, the page finds it or says that it does not; what
// was typed never becomes markup.
func FuzzUserCode(f *testing.F) {
	for _, typed := range []string{"", "WDJB-MJHT", "wdjbmjht", " w.d j-b", "<script>alert(1)</script>", "\x00\xff", "Ｗ", strings.Repeat("-", 100)} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		p := newPeer(t, nil)
		code := p.authorize("profile").text("user_code")
		a := p.submit("/device", "user_code", typed)
		if got := page(a); got != "enter" || a.status != http.StatusUnprocessableEntity {
			t.Errorf("%q: %s", typed, got)
		}
		if strings.Count(a.body, "<") != strings.Count(p.submit("/device", "user_code", "AAAAAAAA").body, "<") && a.status == http.StatusUnprocessableEntity {
			t.Errorf("%q became markup: %s", typed, a.body)
		}
		// The same letters around a right code leave it right or unknown.
		a = p.submit("/device", "user_code", code+typed)
		if got := page(a); got != "enter" && got != "confirm" {
			t.Errorf("%q after the code: %s", typed, got)
		}
	})
}

// Whatever a client posts, every endpoint answers, with an OAuth error or
// without, and nothing is granted.
func FuzzForm(f *testing.F) {
	f.Add("client_id=notes-cli&scope=profile", "", "application/x-www-form-urlencoded")
	f.Add("client_id=notes-cli&client_id=other&scope=%zz", "Basic eDp5", "application/x-www-form-urlencoded; charset=utf-8")
	f.Add("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=x&client_id=notes-cli", "Bearer x", "application/x-www-form-urlencoded")
	f.Add("grant_type=refresh_token&refresh_token=x&scope=a++b", "Basic !", "text/plain")
	f.Add(`{"text":"x"}`, "bearer", "application/json")
	f.Add("grant_type=authorization_code&code=x&redirect_uri=x&client_id=notes-cli&code_verifier=x", "", "application/x-www-form-urlencoded")
	f.Add("client_id=notes-cli&response_type=code&request_uri=x", "", "application/x-www-form-urlencoded")
	f.Fuzz(func(t *testing.T, body, authorization, contentType string) {
		p := newPeer(t, &fakeas.Options{Push: fakeas.PushAccepted, Clients: []fakeas.Client{{ID: "notes-cli"}, {ID: "x", Secret: "y"}}})
		for _, op := range []fakeas.Operation{
			fakeas.DeviceAuthorization, fakeas.OtherTokenRequest, fakeas.Revocation, fakeas.Page, fakeas.CreateNote, fakeas.Metadata,
			fakeas.Authorization, fakeas.PushedAuthorization,
		} {
			req := p.request(http.MethodPost, p.as.URL(op), "", body)
			req.Header["Authorization"], req.Header["Content-Type"] = []string{authorization}, []string{contentType}
			a := p.must(req)
			granted := a.text("access_token") != "" || op == fakeas.CreateNote && a.status == http.StatusCreated
			if a.status < 200 || a.status > 599 || granted {
				t.Errorf("%s: %d %s", op, a.status, a.body)
			}
		}
		for _, v := range p.as.Violations() {
			if len(v.Detail) > 200 || v.Rule.Section() == "" {
				t.Errorf("violation: %+v", v)
			}
		}
	})
}

// A form that a client encodes arrives as it was.
func FuzzExtraParameters(f *testing.F) {
	f.Add("resource", "https://api.example.test/")
	f.Add("x", "\xff\x00&=")
	f.Fuzz(func(t *testing.T, name, value string) {
		p := newPeer(t, nil)
		form := url.Values{"client_id": {fakeas.DefaultClientID}, "scope": {"profile"}}
		if form.Has(name) {
			return
		}
		form.Set(name, value)
		a := p.must(p.request(http.MethodPost, p.as.URL(fakeas.DeviceAuthorization), "application/x-www-form-urlencoded", form.Encode()))
		if a.status != http.StatusOK {
			return
		}
		if got := p.as.Waiting()[0].Extra.Get(name); got != value && name != "client_secret" {
			t.Errorf("%q: %q, want %q", name, got, value)
		}
	})
}

// Whatever stands in an authorization URL, nobody is sent anywhere but to a
// redirect URI of the client, and what was typed never becomes markup.
func FuzzAuthorizationURL(f *testing.F) {
	f.Add("response_type=code&client_id=notes-cli&redirect_uri=http://127.0.0.1:1/callback&scope=profile&state=x&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256")
	f.Add("client_id=notes-cli&redirect_uri=http://127.0.0.1:1@evil.example/callback")
	f.Add("client_id=notes-cli&request_uri=urn%3Ax&redirect_uri=http://[::1]:99999/callback/a;b")
	f.Add("client_id=https://app.example.test/<script>&redirect_uri=javascript:alert(1)&prompt=none+login")
	f.Add("client_id=notes-cli&redirect_uri=http://127.0.0.1:1/callback&state=%0d%0aX:y&response_type=<b>&%zz")
	f.Fuzz(func(t *testing.T, query string) {
		opts := serving(document)
		opts.Push = fakeas.PushAccepted
		p := newPeer(t, opts)
		if strings.Contains(query, "#") {
			return // ends it
		}
		address, err := url.Parse(p.as.URL(fakeas.Authorization))
		if err != nil {
			t.Fatal(err)
		}
		address.RawQuery = query
		location, err := p.as.ApproveURL(t.Context(), address.String())
		if err != nil {
			if strings.Contains(err.Error(), query) && len(query) > 12 {
				t.Errorf("%q is repeated: %v", query, err)
			}
			return
		}
		u, err := url.Parse(location)
		if err != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" || !strings.HasPrefix(u.Path, "/callback") ||
			strings.ContainsAny(location, "\r\n") {
			t.Errorf("%q: sent to %q", query, location)
		}
		if (u.Query().Get("code") == "") == (u.Query().Get("error") == "") {
			t.Errorf("%q: neither code nor error, or both: %q", query, location)
		}
	})
}

// Whatever a client says of itself, it is registered with redirect URIs that
// are safe, or refused.
func FuzzClientMetadata(f *testing.F) {
	f.Add(native)
	f.Add(document)
	f.Add(`{"redirect_uris":["http://localhost:1/;script-src *"],"grant_types":null}`)
	f.Add(`{"redirect_uris":["com.example:/x","https://x.example\\@y"],"response_types":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p := newPeer(t, &fakeas.Options{Registration: true, ClientDocument: func(string) ([]byte, bool) { return []byte(text), true }})
		a := p.register(text)
		if a.status != http.StatusCreated && (a.status != http.StatusBadRequest || a.text("error") == "") {
			t.Errorf("%q: %d %s", text, a.status, a.body)
		}
		for _, c := range p.as.RegisteredClients() {
			for _, uri := range c.RedirectURIs {
				if u, err := url.Parse(uri); err != nil || u.Scheme == "javascript" || u.Scheme == "data" || strings.ContainsAny(u.Host, "; '\"*") {
					t.Errorf("registered %q", uri)
				}
			}
		}
		if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL("client_id", clientURL)); err == nil && !strings.Contains(text, "client_id") {
			t.Errorf("a document without client_id: %q", text)
		}
	})
}
