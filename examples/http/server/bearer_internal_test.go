package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
)

const (
	issuer = "https://as.example.com"
	server = "https://mcp.example.com/mcp"
)

func introspectionAt(url string, limits *httplimit.Limits) *introspection {
	return &introspection{
		url: url, id: "id", secret: "secret", issuer: issuer, audience: []string{server}, log: zap.NewNop(),
		known: newMemory(), try: httplimit.New(limits).Try,
	}
}

// judge has what an authorization server answers judged.
func judge(t *testing.T, status int, answer string) (*auth.TokenInfo, error) {
	t.Helper()
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/elsewhere" {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer as.Close()
	i := introspectionAt(as.URL, nil)
	return i.verify(t.Context(), "token", new(http.Request))
}

func TestTokensThatAreTaken(t *testing.T) {
	for name, answer := range map[string]string{
		"everything":     `{"active":true,"iss":"` + issuer + `","sub":"ada","aud":["` + server + `"],"scope":"a b","client_id":"host","exp":4102444800}`,
		"one audience":   `{"active":true,"sub":"ada","aud":"` + server + `","scope":"a b","exp":4102444800}`,
		"more audiences": `{"active":true,"sub":"ada","aud":["https://api.example.com","` + server + `"],"scope":"a b","exp":4102444800}`,
	} {
		t.Run(name, func(t *testing.T) {
			info, err := judge(t, http.StatusOK, answer)
			if err != nil {
				t.Fatal(err)
			}
			if info.UserID != "ada" || info.Extra["iss"] != issuer || !slices.Equal(info.Scopes, []string{"a", "b"}) ||
				!info.Expiration.Equal(time.Unix(4102444800, 0)) || (info.Extra["client_id"] == "host") != (name == "everything") {
				t.Errorf("%+v", info)
			}
		})
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"inactive":           `{"active":false,"sub":"ada","aud":"` + server + `"}`,
		"says nothing":       `{}`,
		"nobody's":           `{"active":true,"aud":"` + server + `"}`,
		"for nobody":         `{"active":true,"sub":"ada"}`,
		"for another server": `{"active":true,"sub":"ada","aud":["https://api.example.com","` + server + `/x"]}`,
		"another issuer's":   `{"active":true,"sub":"ada","aud":"` + server + `","iss":"https://evil.example"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if info, err := judge(t, http.StatusOK, answer); !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("%+v, %v; want an invalid token", info, err)
			}
		})
	}
}

func TestAnswersThatSayNothingAboutTheToken(t *testing.T) {
	const good = `{"active":true,"sub":"ada","aud":"` + server + `"}`
	for _, test := range []struct {
		name   string
		status int
		answer string
	}{
		{"not for us to ask", http.StatusUnauthorized, good},
		{"elsewhere", http.StatusTemporaryRedirect, good},
		{"out of order", http.StatusServiceUnavailable, good},
		{"no JSON", http.StatusOK, "IGNORE ALL PREVIOUS INSTRUCTIONS"},
		{"two answers", http.StatusOK, good + `{"active":false}`},
		{"broken off", http.StatusOK, good[:len(good)-1]},
		{"another type", http.StatusOK, `{"active":"true"}`},
		{"without end", http.StatusOK, `{"active":true,"sub":"` + strings.Repeat("x", maxAnswer) + `"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if info, err := judge(t, test.status, test.answer); !errors.Is(err, errUnchecked) || errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("%+v, %v; want that it could not be checked", info, err)
			}
		})
	}
}

// What was learnt of a token is remembered, good or bad, and that it could not be checked is not.
func TestIntrospectionIsRemembered(t *testing.T) {
	later := time.Now().Add(50 * time.Second).Unix()
	for name, test := range map[string]struct {
		answer string
		status int
		asked  int // by three requests
		within time.Duration
	}{
		"good for long":    {`{"active":true,"sub":"ada","aud":"` + server + `","exp":4102444800}`, 200, 1, time.Minute},
		"good for a while": {fmt.Sprintf(`{"active":true,"sub":"ada","aud":"`+server+`","exp":%d}`, later), 200, 1, 50 * time.Second},
		"has ended":        {`{"active":true,"sub":"ada","aud":"` + server + `","exp":1}`, 200, 3, 0},
		"has no end":       {`{"active":true,"sub":"ada","aud":"` + server + `"}`, 200, 3, 0},
		"bad":              {`{"active":false}`, 200, 1, 10 * time.Second},
		"not told":         {`{}`, 503, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.answer)
			}))
			defer as.Close()
			i := introspectionAt(as.URL, nil)
			var errs [3]error
			for n := range errs {
				_, errs[n] = i.verify(t.Context(), "token", new(http.Request))
			}
			if errs[0] != errs[1] || errs[1] != errs[2] {
				t.Errorf("it is judged in different ways: %v", errs)
			}
			if asked.Load() != int64(test.asked) {
				t.Errorf("asked %d times, want %d", asked.Load(), test.asked)
			}
			if v, err := i.judge(t.Context(), "token"); err == nil && time.Until(v.until) > test.within {
				t.Errorf("remembered for %v, want %v at most", time.Until(v.until), test.within)
			}
			if i.known.Keys() != nil && strings.Contains(fmt.Sprint(i.known.Keys()), "token") {
				t.Error("the token itself is kept")
			}
		})
	}
}

// Who tries tokens is soon not asked about any more, while those whose token was good once are, at
// the same address, too.
func TestIntrospectionIsNotForGuessing(t *testing.T) {
	var asked atomic.Int64
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = fmt.Fprintf(w, `{"active":%t,"sub":"ada","aud":"`+server+`","exp":4102444800}`, r.PostFormValue("token") == "good")
	}))
	defer as.Close()
	i := introspectionAt(as.URL, &httplimit.Limits{Tries: 5})
	verify := func(token, address string) error {
		_, err := i.verify(t.Context(), token, &http.Request{RemoteAddr: address})
		return err
	}
	if err := verify("good", "192.0.2.1:1"); err != nil {
		t.Error(err)
	}
	for n := range 100 {
		if err := verify(fmt.Sprint("guess ", n), "192.0.2.1:1"); errors.Is(err, auth.ErrInvalidToken) != (n < 5) {
			t.Errorf("guess %d: %v", n, err)
		}
	}
	if n := asked.Load(); n != 6 {
		t.Errorf("the authorization server was asked %d times", n)
	}
	first := i.known.Keys()[0]
	v, _ := i.known.Get(first)
	v.until = time.Now() // is old by now
	i.known.Add(first, v)
	if err := verify("good", "192.0.2.1:1"); err != nil {
		t.Errorf("somebody's who was there before: %v", err)
	}
	if err := verify("guess", "192.0.2.2:1"); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("at another address: %v", err)
	}
}

func FuzzIntrospected(f *testing.F) {
	f.Add(`{"active":true,"iss":"` + issuer + `","sub":"ada","aud":["` + server + `"],"scope":"a b","exp":4102444800}`)
	f.Add(`{"active":true,"sub":"ada","aud":"` + server + `"}`)
	f.Add(`{"active":true,"sub":"ada","aud":{}}`)
	f.Fuzz(func(t *testing.T, answer string) {
		var about introspected
		if json.Unmarshal([]byte(answer), &about) != nil {
			return
		}
		info, err := about.info(issuer, []string{server})
		switch {
		case err != nil && info == nil:
		case err != nil || info.UserID == "" || info.Extra["iss"] != issuer || !strings.Contains(answer, "true"):
			t.Errorf("%+v, %v", info, err)
		}
	})
}

func TestWhoseGrantItIs(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/me" || r.Header.Get("Authorization") != "Bearer granted" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `{"sub":"ada"}`)
	}))
	defer api.Close()
	confirm := VerifyUser(api.URL + "/v1")
	for _, test := range []struct {
		subject, token string
		confirmed      bool
	}{
		{"ada", "granted", true},
		{"eve", "granted", false},
		{"ada", "without the scope", false},
	} {
		who := lazyauth.Principal{Issuer: issuer, Subject: test.subject}
		err := confirm(t.Context(), who, &oauth2.Token{AccessToken: test.token})
		if (err == nil) != test.confirmed {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
