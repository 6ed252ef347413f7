package oauth_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An answer that is no OAuth is described to the operator, and to nobody else. What may
// hold a token is not shown.
func TestDetail_TellsWhatSomebodyInBetweenAnswered(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply reply
		want  string
	}{
		{"a page of a CDN", answer(403, "text/html", "<html>\n<title>Access evil\x1b denied</title>"), `content type "text/html", body "<html> <title>Access evil\x1b denied</title>"`},
		{"a gateway", answer(404, "application/json", `{"message":"no evil route"}`), `content type "application/json", body "{\"message\":\"no evil route\"}"`},
		{"maintenance under 200", answer(200, "application/json", `{"status":"maintenance"}`), `body "{\"status\":\"maintenance\"}"`},
		{"a long page", answer(403, "text/html", "<html>"+strings.Repeat("evil ", 9000)), `body "<html>evil `},
		{"a redirect", answer(307, "", "", "Location", "https://evil.example/"), `redirected to "https://evil.example/"`},
		{"a token that was cut off", answer(200, "application/json", `{"access_token":"`+accessToken), "a body of 40 bytes"},
		{"a token under 403", answer(403, "application/json", `{"data":{"accessToken" : "`+accessToken+`"}}`), "a body of"},
		{"a token in XML", answer(200, "text/xml", `<AccessToken>`+accessToken+`</AccessToken>`), "a body of"},
		{"a token in a form", answer(403, "text/html", `access_token=`+accessToken), "a body of"},
		{"nothing but a token", answer(200, "text/plain", accessToken), "a body of"},
		{"a binary", answer(200, "application/json", "\x1f\x8b\x08\x00"+accessToken), "a body of"},
		{"the client secret", answer(403, "text/plain", "we got "+clientSecret), `body "we got [secret]"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(server).On("/token", test.reply)
			c := client(t, s, func(c *oauth.Config) { c.Credentials.Secret = clientSecret })
			e := wantError(t, c.Fail("test", oauth.ErrInvalid, c.Post(t.Context(), "https://as.example/token", nil)), oauth.ErrInvalid)
			if !strings.Contains(e.Detail, test.want) || len(e.Detail) > 700 {
				t.Errorf("detail %s, want %s", e.Detail, test.want)
			}
			if strings.Contains(e.Error(), "evil") {
				t.Errorf("the error quotes the server: %v", e)
			}
		})
	}
}

// What is no HTTP is quoted by net/http in its error: an answer that lost its head, or the
// line between that and the body, is all token.
func TestDetail_OfWhatIsNoHTTP(t *testing.T) {
	const body = `{"access_token":"at.secret","refresh_token":"rt.secret","token_type":"Bearer"}`
	for _, raw := range []string{
		body + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + body + "\r\n\r\n",
		"HTTP/1.1 " + body + "\r\n\r\n",
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9\r\n\r\n",
	} {
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				if req, err := http.ReadRequest(bufio.NewReader(there)); err == nil {
					_ = req.ParseForm()
					fmt.Fprint(there, raw)
				}
			}()
			return here, nil
		}}
		c, err := oauth.New(oauth.Config{
			Endpoints: oauth.Endpoints{Token: "http://127.0.0.1/t"}, Credentials: oauth.Credentials{ID: "c"}, Transport: transport,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Refresh(t.Context(), "old", scopes.Of("a"))
		failed, ok := errors.AsType[*oauth.Error](err)
		if !ok || !strings.Contains(failed.Detail, "malformed") {
			t.Fatalf("%q: %v", raw, err)
		}
		if said := failed.Error() + failed.Detail; strings.Contains(said, "at.secret") || strings.Contains(said, "rt.secret") || strings.Contains(said, "eyJhb") {
			t.Errorf("%q: a token is told: %s", raw, said)
		}
	}
}
