package oidcsignin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
)

const (
	issuerURL = "https://login.example.com"
	publicURL = "https://mcp.example.com/apps/connect"
	clientID  = "notes-web"
	secret    = "s3cret:/+"
)

// A double is an issuer in this process that does as it is told. It is right unless a test says otherwise.
type double struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey

	metadata func(map[string]any)
	answer   func(url.Values)           // of the authorization endpoint
	claims   func(map[string]any)       // of an ID token, before it is signed
	sign     func(claims string) string // in place of its key
	tokens   func(map[string]any)       // the token response
	userInfo func(map[string]any)       // there is no such endpoint if it is nil

	mu     sync.Mutex
	serve  func(http.ResponseWriter, *http.Request) bool // in place of everything
	codes  map[string]url.Values                         // the requests that they were given for
	pushed map[string]url.Values                         // requests, by their names
	asked  map[string]int                                // by path
}

func newDouble(t *testing.T) *double {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &double{t: t, url: issuerURL, key: key, codes: map[string]url.Values{}, pushed: map[string]url.Values{}, asked: map[string]int{}}
}

// serves has f answer from now on, where it returns true; nil: nothing.
func (d *double) serves(f func(http.ResponseWriter, *http.Request) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serve = f
}

// RoundTrip implements [http.RoundTripper].
func (d *double) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	d.mu.Lock()
	d.asked[r.URL.Path]++
	serve := d.serve
	d.mu.Unlock()
	if serve == nil || !serve(w, r) {
		d.serveHTTP(w, r)
	}
	return w.Result(), nil
}

func (d *double) count(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[path]
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func change(f func(map[string]any), v map[string]any) map[string]any {
	if f != nil {
		f(v)
	}
	return v
}

func (d *double) serveHTTP(w http.ResponseWriter, r *http.Request) {
	at, _ := url.Parse(d.url)
	switch strings.TrimPrefix(r.URL.Path, at.Path) {
	case "/.well-known/openid-configuration":
		metadata := map[string]any{
			"issuer": d.url, "authorization_endpoint": d.url + "/authorize", "token_endpoint": d.url + "/token", "jwks_uri": d.url + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported":          []string{"ES256", "HS256", "none"},
			"authorization_response_iss_parameter_supported": true,
		}
		if d.userInfo != nil {
			metadata["userinfo_endpoint"] = d.url + "/userinfo"
		}
		reply(w, http.StatusOK, change(d.metadata, metadata))
	case "/keys":
		public := d.key.PublicKey
		point, err := public.Bytes()
		if err != nil {
			d.t.Error(err)
		}
		reply(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
			"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig",
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		}}})
	case "/token":
		d.token(w, r)
	case "/par":
		id, password, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || id != clientID || password != url.QueryEscape(secret) {
			reply(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
			return
		}
		uri := "urn:example:" + rand.Text()
		d.mu.Lock()
		d.pushed[uri] = r.PostForm
		d.mu.Unlock()
		reply(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": 60})
	case "/userinfo":
		if d.userInfo == nil || r.Header.Get("Authorization") != "Bearer an-access-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		reply(w, http.StatusOK, change(d.userInfo, map[string]any{"sub": "ada"}))
	default:
		http.NotFound(w, r)
	}
}

// token is the token endpoint: it demands the client's secret, a code that was not used, and its verifier.
func (d *double) token(w http.ResponseWriter, r *http.Request) {
	id, password, _ := r.BasicAuth()
	if want := url.QueryEscape(secret); r.Method != http.MethodPost || id != clientID || password != want {
		reply(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	code := r.PostFormValue("code")
	d.mu.Lock()
	asked, ok := d.codes[code]
	delete(d.codes, code)
	d.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") {
		reply(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "<b>no such code"})
		return
	}
	reply(w, http.StatusOK, change(d.tokens, map[string]any{
		"access_token": "an-access-token", "token_type": "Bearer", "id_token": d.idToken(asked.Get("as"), asked.Get("nonce")),
	}))
}

func (d *double) idToken(subject, nonce string) string {
	now := time.Now()
	claims, err := json.Marshal(change(d.claims, map[string]any{
		"iss": d.url, "sub": subject, "aud": clientID, "nonce": nonce, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"auth_time": now.Unix(), "name": "Somebody", "email": subject + "@example.com", "email_verified": true,
	}))
	if err != nil {
		d.t.Error(err)
	}
	if d.sign != nil {
		return d.sign(string(claims))
	}
	return oidctest.SignIDToken(d.key, "k", "ES256", string(claims))
}

// approves signs somebody in who was sent to the authorization endpoint, and returns where they are sent from there.
func (d *double) approves(to, subject string) string {
	d.t.Helper()
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, d.url+"/authorize?") {
		d.t.Fatalf("not sent to the issuer: %q, %v", to, err)
	}
	q := d.parameters(u.Query())
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("nonce")) < 40 || !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		d.t.Fatalf("the request is %v", q)
	}
	q.Set("as", subject)
	code := rand.Text()
	d.mu.Lock()
	d.codes[code] = q
	d.mu.Unlock()
	return d.back(q, url.Values{"code": {code}})
}

// back returns the address of an answer to a request.
func (d *double) back(asked, values url.Values) string {
	values.Set("state", asked.Get("state"))
	values.Set("iss", d.url)
	if d.answer != nil {
		d.answer(values)
	}
	return asked.Get("redirect_uri") + "?" + values.Encode()
}

// fails returns the address of an error.
func (d *double) fails(to, failure string) string {
	d.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.back(d.parameters(u.Query()), url.Values{"error": {failure}, "error_description": {"<script>alert(1)</script>"}})
}

// parameters returns those of a request, which may have been pushed.
func (d *double) parameters(q url.Values) url.Values {
	if name := q.Get("request_uri"); name != "" {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(q) != 2 || q.Get("client_id") != clientID || d.pushed[name] == nil {
			d.t.Errorf("a pushed request is %v", q)
		}
		q = d.pushed[name]
		delete(d.pushed, name)
	}
	return q
}
