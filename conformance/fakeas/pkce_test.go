package fakeas_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// A device authorization with a challenge is polled with its verifier, from the
// first approved poll on.
func TestPKCE_OfDeviceAuthorizations(t *testing.T) {
	for _, test := range []struct {
		name      string
		pkce      fakeas.PKCE
		challenge bool
		verifier  string
		code      string // of the device authorization
		poll      string
		violated  []fakeas.Rule
	}{
		{"with, required", fakeas.PKCERequired, true, verifier, "nothing", "ok", nil},
		{"with, optional", fakeas.PKCEOptional, true, verifier, "nothing", "ok", nil},
		{"without, optional", fakeas.PKCEOptional, false, "", "nothing", "ok", nil},
		{"without, required", fakeas.PKCERequired, false, "", "invalid_request", "", []fakeas.Rule{fakeas.MissingChallenge}},
		{"with, ignored", fakeas.PKCEIgnored, true, otherVerifier, "nothing", "ok", nil},
		{"verifier forgotten", fakeas.PKCEOptional, true, "", "nothing", "invalid_grant", []fakeas.Rule{fakeas.MissingParameter}},
		{"another verifier", fakeas.PKCEOptional, true, otherVerifier, "nothing", "invalid_grant", []fakeas.Rule{fakeas.WrongVerifier}},
		{"no verifier at all", fakeas.PKCEOptional, true, strings.Repeat("ä", 50), "nothing", "invalid_request", []fakeas.Rule{fakeas.MalformedVerifier}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, &fakeas.Options{DevicePKCE: test.pkce})
			var pairs []string
			if test.challenge {
				pairs = []string{"code_challenge", challenge, "code_challenge_method", "S256"}
			}
			d := p.must(p.form(fakeas.DeviceAuthorization, pairs...))
			if outcome(d) != test.code {
				t.Fatalf("device authorization: %s", d.body)
			}
			if test.poll != "" {
				if waiting := p.as.Waiting(); len(waiting) != 1 || len(waiting[0].Extra) != 0 {
					t.Errorf("waiting: %+v", waiting)
				}
				p.decide(p.as.Approve(d.text("user_code")))
				pairs = []string{"grant_type", deviceGrant, "device_code", d.text("device_code")}
				if test.verifier != "" {
					pairs = append(pairs, "code_verifier", test.verifier)
				}
				if a := p.must(p.form(fakeas.Poll, pairs...)); outcome(a) != test.poll {
					t.Errorf("poll: %s", a.body)
				}
			}
			if got := p.broke(); !slices.Equal(got, test.violated) {
				t.Errorf("violations: %v", p.as.Violations())
			}
		})
	}
}

// The metadata name the method where either flow knows it.
func TestPKCE_InMetadata(t *testing.T) {
	for _, test := range []struct {
		opts fakeas.Options
		want bool
	}{
		{fakeas.Options{}, true},
		{fakeas.Options{PKCE: fakeas.PKCEIgnored}, false},
		{fakeas.Options{PKCE: fakeas.PKCEIgnored, DevicePKCE: fakeas.PKCERequired}, true},
		{fakeas.Options{DevicePKCE: fakeas.PKCEIgnored, NoAuthorization: true}, false},
		{fakeas.Options{DevicePKCE: fakeas.PKCEIgnored}, true},
		{fakeas.Options{NoAuthorization: true}, true},
	} {
		p := newPeer(t, &test.opts)
		a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
		if _, named := a.members["code_challenge_methods_supported"]; named != test.want {
			t.Errorf("%+v: %s", test.opts, a.body)
		}
	}
}

// Without PKCE where it is optional, and what a server does that has not heard of it.
func TestPKCE_OptionalOrIgnored(t *testing.T) {
	without := []string{"code_challenge", "", "code_challenge_method", ""}
	p := newPeer(t, &fakeas.Options{PKCE: fakeas.PKCEOptional})
	if a := p.exchange(p.code(without...), "code_verifier", ""); outcome(a) != "ok" {
		t.Errorf("without: %s", a.body)
	}
	if a := p.exchange(p.code()); outcome(a) != "ok" {
		t.Errorf("with: %s", a.body)
	}
	// RFC 9700 §4.8.2: somebody has cut the challenge out of the URL.
	if a := p.exchange(p.code(without...)); outcome(a) != "invalid_grant" {
		t.Errorf("downgraded: %s", a.body)
	}
	p.flawless()
	if a := p.exchange(p.code(), "code_verifier", ""); outcome(a) != "invalid_grant" {
		t.Errorf("verifier forgotten: %s", a.body)
	}

	p = newPeer(t, &fakeas.Options{PKCE: fakeas.PKCEIgnored})
	if a := p.exchange(p.code(), "code_verifier", otherVerifier); outcome(a) != "ok" {
		t.Errorf("ignored: %s", a.body)
	}
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")); strings.Contains(a.body, "code_challenge") {
		t.Errorf("metadata: %s", a.body)
	}
	p.flawless()
}
