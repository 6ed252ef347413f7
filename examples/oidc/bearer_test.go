package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// Strangers send tokens that name another key each time. The issuer is asked for its keys, and not by each of them; if
// it does not answer, that says nothing of a token.
func TestVerifier_KeysOfNobody(t *testing.T) {
	var asked atomic.Int64
	var broken atomic.Bool
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path != "/keys":
			fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[2]s/authorize","token_endpoint":"%[2]s/token","jwks_uri":"%[2]s/keys"}`, issuer.URL, issuer.URL)
		case broken.Load():
			asked.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			asked.Add(1)
			fmt.Fprint(w, `{"keys":[]}`)
		}
	}))
	defer issuer.Close()
	cfg := &config{publicURL: "http://127.0.0.1:8080", issuer: issuer.URL}
	signIn, err := oidcsignin.New(oidcsignin.Options{Issuer: issuer.URL, ClientID: "c", PublicURL: cfg.publicURL + connectPath})
	if err != nil {
		t.Fatal(err)
	}
	verify, err := verifier(t.Context(), cfg, signIn)
	if err != nil {
		t.Fatal(err)
	}
	began, n := time.Now(), 0
	send := func() (err error) {
		part := base64.RawURLEncoding.EncodeToString
		for range 50 {
			n++
			token := part(fmt.Appendf(nil, `{"alg":"RS256","kid":"%d"}`, n)) + "." + part([]byte(`{"sub":"eve"}`)) + "." + part([]byte("signature"))
			if _, err = verify(t.Context(), token, nil); err == nil {
				t.Fatal("a token of nobody's is taken")
			}
		}
		return err
	}
	if err := send(); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("a token of nobody's: %v", err)
	}
	if most := 1 + int64(time.Since(began)/keepKeys); asked.Load() < 1 || asked.Load() > most {
		t.Errorf("the issuer was asked %d times for its keys, and not %d times at the most", asked.Load(), most)
	}

	broken.Store(true)
	if verify, err = verifier(t.Context(), cfg, signIn); err != nil {
		t.Fatal(err)
	}
	if err := send(); err == nil || errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("the issuer does not answer, and the token is said to be invalid: %v", err)
	}
}
