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
	f.Fuzz(func(t *testing.T, body, authorization, contentType string) {
		p := newPeer(t, &fakeas.Options{Clients: []fakeas.Client{{ID: "notes-cli"}, {ID: "x", Secret: "y"}}})
		for _, op := range []fakeas.Operation{
			fakeas.DeviceAuthorization, fakeas.Token, fakeas.Revocation, fakeas.Page, fakeas.CreateNote, fakeas.Metadata,
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
