package oidcsignin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

func request(address string) *http.Request { return httptest.NewRequest(http.MethodGet, address, nil) }

// jws returns a token with a header and a signature of somebody's own.
func jws(header, claims string, sign func(text string) []byte) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

func claim(name string, value any) func(map[string]any) {
	return func(c map[string]any) {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
}

func mac(key string) func(string) []byte {
	return func(text string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return h.Sum(nil)
	}
}

// An ID token counts if the issuer signed it, for this client, for this sign-in, and now.
func TestIDToken(t *testing.T) {
	in := func(d time.Duration) func(string) func(map[string]any) {
		return func(name string) func(map[string]any) {
			return func(c map[string]any) { c[name] = time.Now().Add(d).Unix() }
		}
	}
	aged := func(o *oidcsignin.Options) { o.MaxAge = time.Hour }
	for name, story := range map[string]struct {
		claims func(map[string]any)
		as     func(*double)
		set    func(*oidcsignin.Options)
		good   bool
	}{
		"as it comes":                        {good: true},
		"of another issuer":                  {claims: claim("iss", "https://evil.example")},
		"of almost the issuer":               {claims: claim("iss", issuerURL+"/")},
		"for another client":                 {claims: claim("aud", "another")},
		"for nobody":                         {claims: claim("aud", nil)},
		"for several, and not said to whom":  {claims: claim("aud", []string{clientID, "another"})},
		"for several, and issued to us":      {claims: func(c map[string]any) { c["aud"], c["azp"] = []string{"another", clientID}, clientID }, good: true},
		"for several, and issued to another": {claims: func(c map[string]any) { c["aud"], c["azp"] = []string{"another", clientID}, "another" }},
		"issued to another":                  {claims: claim("azp", "another")},
		"issued to no text":                  {claims: claim("azp", []string{clientID})},
		"for another sign-in":                {claims: claim("nonce", "another")},
		"without a nonce":                    {claims: claim("nonce", nil)},
		"expired":                            {claims: in(-61 * time.Second)("exp")},
		"expired by another clock":           {claims: in(-58 * time.Second)("exp"), good: true},
		"without an end":                     {claims: claim("exp", nil)},
		"issued in the future":               {claims: in(62 * time.Second)("iat")},
		"issued by another clock":            {claims: in(58 * time.Second)("iat"), good: true},
		"issued at no time":                  {claims: claim("iat", nil)},
		"not yet":                            {claims: in(time.Hour)("nbf")},
		"of nobody":                          {claims: claim("sub", nil)},
		"of somebody with a long name":       {claims: claim("sub", strings.Repeat("x", 256))},
		"of no text":                         {claims: claim("sub", 7)},
		"of another access token":            {claims: claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")},
		"too long":                           {claims: claim("more", strings.Repeat("x", 33<<10))},
		"that was signed in to long ago":     {claims: in(-62 * time.Minute)("auth_time"), set: aged},
		"that was signed in to in time":      {claims: in(-60 * time.Minute)("auth_time"), set: aged, good: true},
		"that was signed in to in future":    {claims: in(2 * time.Minute)("auth_time"), set: aged},
		"that was signed in to at no time":   {claims: claim("auth_time", nil), set: aged},
		"of any age":                         {claims: claim("auth_time", nil), good: true},
		"without a signature": {as: func(d *double) {
			d.sign = func(claims string) string { return jws(`{"alg":"none"}`, claims, func(string) []byte { return nil }) }
		}},
		"with the client's secret for a key": {as: func(d *double) {
			d.sign = func(claims string) string { return jws(`{"alg":"HS256"}`, claims, mac(secret)) }
		}},
		"with the public key for a secret": {as: func(d *double) {
			d.sign = func(claims string) string {
				point, _ := d.key.PublicKey.Bytes()
				return jws(`{"alg":"HS256","kid":"k"}`, claims, mac(string(point)))
			}
		}},
		"with somebody else's key": {as: func(d *double) {
			d.sign = func(claims string) string {
				other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				return oidctest.SignIDToken(other, "k", "ES256", claims)
			}
		}},
		"with a key of its own": {as: func(d *double) {
			d.sign = func(claims string) string {
				other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				point, _ := other.PublicKey.Bytes()
				key := map[string]string{"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}
				header, _ := json.Marshal(map[string]any{"alg": "ES256", "jwk": key})
				return jws(string(header), claims, func(text string) []byte {
					sum := sha256.Sum256([]byte(text))
					r, s, _ := ecdsa.Sign(rand.Reader, other, sum[:])
					return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
				})
			}
		}},
		"that is no token":  {as: func(d *double) { d.sign = func(string) string { return "a.b.c" } }},
		"in JSON":           {as: func(d *double) { d.sign = func(string) string { return `{"payload":"e30","signatures":[]}` } }},
		"that is not there": {as: func(d *double) { d.tokens = func(v map[string]any) { delete(v, "id_token") } }},
		"that is a number":  {as: func(d *double) { d.tokens = func(v map[string]any) { v["id_token"] = 7 } }},
		"with keys of a flood": {as: func(d *double) {
			d.serves(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/keys" {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(`{},`, 1<<19)))
				}
				return r.URL.Path == "/keys"
			})
		}},
		"with keys from elsewhere": {as: func(d *double) {
			d.serves(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/keys" && r.URL.Host != "evil.example" {
					http.Redirect(w, r, "https://evil.example/keys", http.StatusFound)
					return true
				}
				return false
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSite(t, newDouble(t), story.set).browser()
				b.as.claims = story.claims
				if story.as != nil {
					story.as(b.as)
				}
				v := b.get(b.as.approves(b.leaves(publicURL), "ada"))
				if story.good {
					b.is("ada")
					return
				}
				b.shows(v, http.StatusForbidden, "unsigned")
				b.is("")
				if log := b.log.String(); !strings.Contains(log, "ID token") {
					t.Errorf("the log says nothing of it: %s", log)
				}
			})
		})
	}
}

// What the page calls somebody is nothing that they have chosen, unless the author says so.
func TestIDToken_Name(t *testing.T) {
	for name, story := range map[string]struct {
		claims func(map[string]any)
		names  []string
		want   string
	}{
		"a verified address":    {nil, nil, "ada@example.com"},
		"an unverified address": {claim("email_verified", false), nil, "ada"},
		"a user name": {func(c map[string]any) {
			delete(c, "email")
			c["preferred_username"] = "ada.l"
		}, nil, "ada.l"},
		"a user name like an address": {func(c map[string]any) { // of somebody else's, perhaps
			delete(c, "email")
			c["preferred_username"] = "grace@example.com"
		}, nil, "ada"},
		"the author's choice":   {nil, []string{"nickname", "name"}, "Somebody"},
		"none of them":          {nil, []string{"nickname"}, "ada"},
		"a long one":            {claim("name", strings.Repeat("ä", 100)), []string{"name"}, strings.Repeat("ä", 64) + "…"},
		"one that is no text":   {claim("name", 7), []string{"name"}, "ada"},
		"one that is a page":    {claim("name", "<b>Ada</b>"), []string{"name"}, "<b>Ada</b>"},
		"one that turns around": {claim("name", "a\u202ex"), []string{"name"}, `"a\u202ex"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSite(t, newDouble(t), func(o *oidcsignin.Options) { o.NameClaims = story.names }).browser()
				b.as.claims = story.claims
				b.get(b.as.approves(b.leaves(publicURL), "ada"))
				if got := b.who(); got != story.want {
					t.Errorf("%q, want %q; log: %s", got, story.want, b.log)
				}
			})
		})
	}
}

// Google's ID tokens may leave out the scheme of their issuer: the person is of the issuer all the same, as in their
// bearer tokens (go-oidc has the exception, for this issuer alone).
func TestIDToken_OfGoogle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		as.url = "https://accounts.google.com"
		as.claims = claim("iss", "accounts.google.com")
		b := newSite(t, as, nil).browser()
		b.signsIn("ada")
		r := request(publicURL)
		r.AddCookie(only(b))
		if who, _, err := b.signIn.Session(r); err != nil || who.Issuer != as.url {
			t.Errorf("%v, %v", who, err)
		}
	})
}
