package oidcsignin_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

// What could not work is said when the program starts, and whose mistake it is.
func TestCheck(t *testing.T) {
	pairwise := claim("subject_types_supported", []string{"pairwise"})
	for name, story := range map[string]struct {
		metadata func(map[string]any)
		set      func(*oidcsignin.Options)
		want     string // of the error; empty: none
	}{
		"as it comes":                          {},
		"pairwise, by subject":                 {metadata: pairwise, want: "another subject for the same person"},
		"pairwise, by another claim":           {metadata: pairwise, set: by(oidcsignin.ByClaim("employee_id"))},
		"pairwise, by Entra's":                 {metadata: pairwise, set: by(oidcsignin.ByEntra())},
		"both kinds of subjects":               {metadata: claim("subject_types_supported", []string{"pairwise", "public"})},
		"subjects of which nothing is said":    {metadata: claim("subject_types_supported", nil)},
		"another issuer's":                     {metadata: claim("issuer", issuerURL+"/"), want: `is that of "` + issuerURL + `/"`},
		"of all tenants":                       {metadata: claim("issuer", "https://login.example.com/{tenantid}"), want: "{tenantid}"},
		"an endpoint that is not safe":         {metadata: claim("token_endpoint", "http://login.example.com/token"), want: "token_endpoint is not https"},
		"an endpoint on this machine":          {metadata: claim("token_endpoint", "http://127.0.0.1/token"), want: "token_endpoint is not https"},
		"an endpoint that is no address":       {metadata: claim("authorization_endpoint", "javascript:alert(1)"), want: "authorization_endpoint is no absolute URL"},
		"no authorization endpoint":            {metadata: claim("authorization_endpoint", nil), want: "authorization_endpoint is missing"},
		"no keys":                              {metadata: claim("jwks_uri", nil), want: "jwks_uri is missing"},
		"no code":                              {metadata: claim("response_types_supported", []string{"id_token"}), want: "response type"},
		"no query":                             {metadata: claim("response_modes_supported", []string{"form_post"}), want: "response mode"},
		"user info that is not safe":           {metadata: claim("userinfo_endpoint", "http://login.example.com/me"), want: "userinfo_endpoint is not https"},
		"pushed requests alone":                {metadata: claim("require_pushed_authorization_requests", true), want: "RFC 9126"},
		"no algorithm that is known":           {metadata: claim("id_token_signing_alg_values_supported", []string{"HS256", "none"}), want: "no algorithm"},
		"no way to show the secret":            {metadata: claim("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), want: "client_secret_post"},
		"no way to show it, and none is there": {metadata: claim("token_endpoint_auth_methods_supported", []string{"none"}), set: func(o *oidcsignin.Options) { o.ClientSecret = "" }},
		"what is not understood":               {metadata: claim("claims_supported", 7), want: "is not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newDouble(t)
				as.metadata = story.metadata
				s := newSite(t, as, story.set)
				err := s.signIn.Check(t.Context())
				if story.want == "" && err != nil || story.want != "" && (err == nil || !strings.Contains(err.Error(), story.want)) {
					t.Errorf("%v, want %q", err, story.want)
				}
				if errors.Is(err, lazyauth.ErrSignInUnreached) {
					t.Errorf("it may pass: %v", err)
				}
				if story.want == "" {
					return
				}
				b := s.browser()
				b.shows(b.posts(b.get(publicURL), "/sign-in"), http.StatusForbidden, "unsigned")
				if !strings.Contains(s.log.String(), "nobody can sign in") {
					t.Errorf("the log says nothing of it: %s", s.log)
				}
			})
		})
	}
}

func by(i oidcsignin.Identity) func(*oidcsignin.Options) {
	return func(o *oidcsignin.Options) { o.Identity = i }
}

// Claims that are not listed may be there all the same: that is a warning, and none for what is known of Entra.
func TestCheck_ClaimsThatAreNotListed(t *testing.T) {
	for name, story := range map[string]struct {
		identity oidcsignin.Identity
		listed   []string
		warned   bool
	}{
		"listed":            {oidcsignin.ByClaim("employee_id"), []string{"iss", "employee_id"}, false},
		"not listed":        {oidcsignin.ByClaim("employee_id"), []string{"iss", "sub"}, true},
		"nothing is listed": {oidcsignin.ByClaim("employee_id"), nil, false},
		"as Entra does it":  {oidcsignin.ByEntra(), []string{"iss", "sub", "tid"}, false},
	} {
		as := newDouble(t)
		as.metadata = claim("claims_supported", story.listed)
		s := newSite(t, as, by(story.identity))
		if err := s.signIn.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if warned := strings.Contains(s.log.String(), "employee_id"); warned != story.warned {
			t.Errorf("%s: the log is %q", name, s.log)
		}
	}
}

// An issuer that does not answer, or not as one does, costs seconds and is asked again; who has met it goes on with
// what is known.
func TestCheck_Unreached(t *testing.T) {
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"an error":       func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true },
		"a page":         func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>")); return true },
		"without an end": func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write(make([]byte, 1<<20)); return true },
		"another place": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
			return true
		},
		"nothing for an age": func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newDouble(t)
				as.serves(serve)
				s := newSite(t, as, nil)
				began := time.Now()
				if err := s.signIn.Check(t.Context()); !errors.Is(err, lazyauth.ErrSignInUnreached) || time.Since(began) > 11*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				b := s.browser()
				b.shows(b.posts(b.get(publicURL), "/sign-in"), http.StatusServiceUnavailable, "unreachable")
				if n := as.count("/.well-known/openid-configuration"); n != 1 {
					t.Errorf("asked %d times", n)
				}
				as.serves(nil)
				time.Sleep(6 * time.Second)
				b.signsIn("ada")
				as.serves(serve)
				time.Sleep(25 * time.Hour)
				as.serves(func(w http.ResponseWriter, r *http.Request) bool {
					return strings.HasPrefix(r.URL.Path, "/.well-known") && serve(w, r)
				})
				b.signsIn("eve")
			})
		})
	}
}

// One asks, whoever waits for it; and whoever gives up takes nobody along.
func TestCheck_Shared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		as.serves(func(http.ResponseWriter, *http.Request) bool { time.Sleep(3 * time.Second); return false })
		s := newSite(t, as, nil)
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs := make(chan error, 10)
		for range 10 {
			go func() { errs <- s.signIn.Check(t.Context()) }()
		}
		synctest.Wait()
		if err := s.signIn.Check(hasty); !errors.Is(err, lazyauth.ErrSignInUnreached) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		for range 10 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := as.count("/.well-known/openid-configuration"); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A token endpoint that does not answer is not the person's fault, and not said to be.
func TestSignIn_TokenEndpoint(t *testing.T) {
	for name, story := range map[string]struct {
		serve  func(http.ResponseWriter, *http.Request) bool
		status int
		page   string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }, http.StatusServiceUnavailable, "unreachable"},
		"nothing":  {func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }, http.StatusServiceUnavailable, "unreachable"},
		"another place": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
			return true
		}, http.StatusForbidden, "unsigned"},
		"without an end": {func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write(make([]byte, 1<<20)); return true }, http.StatusServiceUnavailable, "unreachable"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte("<script>alert(1)</script> " + secret))
			return true
		}, http.StatusForbidden, "unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSite(t, newDouble(t), nil).browser()
				at := b.as.approves(b.leaves(publicURL), "ada")
				b.as.serves(func(w http.ResponseWriter, r *http.Request) bool {
					return r.URL.Path != "/keys" && story.serve(w, r)
				})
				b.shows(b.get(at), story.status, story.page)
				b.as.serves(nil)
				if b.as.count("/") != 0 || b.as.count("/token") != 1 {
					t.Errorf("asked %v", b.as.asked)
				}
				b.is("")
			})
		})
	}
}
