package oauth_test

import (
	"context"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
)

const pushed = `{"request_uri":"urn:ietf:params:oauth:request_uri:s3cr3t-uri","expires_in":90}`

func pushing(config *oauth.Config) {
	config.Endpoints.PushedAuthorization = "https://as.example/par"
}

// request is one to be pushed.
func pushRequest() url.Values {
	return url.Values{"response_type": {"code"}, "state": {"s3cr3t-state"}, "redirect_uri": {redirectURI}}
}

func TestPush(t *testing.T) {
	const form = "client_id=notes-client&redirect_uri=http%3A%2F%2F127.0.0.1%3A40000%2Fcallback%2Fx%3Ftenant%3D1&response_type=code&state=s3cr3t-state"
	for name, test := range map[string]struct {
		style oauth2.AuthStyle
		body  string
	}{
		"public": {oauth2.AuthStyleAutoDetect, form},
		// The client id is a parameter of the request as well (RFC 9126 §2.1).
		"header": {oauth2.AuthStyleInHeader, form},
		"body":   {oauth2.AuthStyleInParams, strings.Replace(form, "&redirect", "&client_secret=s3cr3t%3A%2F%2B+with+space~&redirect", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/par", slowly(2*time.Second, answer(201, "application/json", pushed)))
				c := client(t, s, func(config *oauth.Config) {
					pushing(config)
					if test.style != oauth2.AuthStyleAutoDetect {
						config.Credentials.Secret, config.Credentials.AuthStyle = clientSecret, test.style
					}
				})
				request, start := pushRequest(), time.Now()
				got, err := c.Push(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				if got.RequestURI != "urn:ietf:params:oauth:request_uri:s3cr3t-uri" || !got.Expires.Equal(start.Add(90*time.Second)) {
					t.Errorf("%q until %v", got.RequestURI, got.Expires)
				}
				checkNoSecret(t, got)
				checkNoSecret(t, *got)
				if r := s.Requests[0]; r.Body != test.body || (r.Header.Get("Authorization") != "") != (test.style == oauth2.AuthStyleInHeader) {
					t.Errorf("%v\n%s\nwant\n%s", r.Header, r.Body, test.body)
				}
				if request.Has("client_id") {
					t.Error("the caller's request was changed")
				}
				s.CheckClosed(t)
			})
		})
	}
}

func TestPush_Lifetimes(t *testing.T) {
	for raw, want := range map[string]time.Duration{
		"90": 90 * time.Second, `"90"`: 90 * time.Second, "0.5": time.Second / 2, "1e9": time.Hour, "1e400": time.Hour,
		// No account of it.
		`"NaN"`: time.Minute, "null": time.Minute, "[]": time.Minute, `"soon"`: time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/par", ok(`{"request_uri":"urn:x:y","expires_in":`+raw+`}`))
			got, err := client(t, s, pushing).Push(t.Context(), pushRequest())
			if err != nil || time.Until(got.Expires) != want {
				t.Errorf("%s: %v, %v", raw, got, err)
			}
		})
	}
}

// What has ended by the server's own account is of no use.
func TestPush_Ended(t *testing.T) {
	for _, raw := range []string{"0", "-1", `"0"`, "-0.5", `" -1e400 "`, "0.0"} {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/par", ok(`{"request_uri":"urn:x:s3cr3t","expires_in":`+raw+`}`))
			got, err := client(t, s, pushing).Push(t.Context(), pushRequest())
			if e := wantError(t, err, oauth.ErrInvalid); got != nil || e.Reason != "the pushed request has ended already" {
				t.Errorf("%s: %v, %+v", raw, got, e)
			}
		})
	}
}

func TestPush_Errors(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		kind  error
		code  string
		tries int
	}{
		"client":           {answer(401, "", `{"error":"invalid_client"}`), oauth.ErrRefused, "invalid_client", 1},
		"redirect URI":     {oauthError("invalid_request"), oauth.ErrRefused, "invalid_request", 1},
		"unheard of":       {oauthError("nope"), oauth.ErrRefused, oauth.CodeOther, 1},
		"no such page":     {answer(404, "text/html", "<html>"), oauth.ErrInvalid, "", 1},
		"redirect":         {answer(303, "", "", "Location", "https://evil.example/"), oauth.ErrInvalid, "", 1},
		"busy":             {answer(503, "", ""), oauth.ErrUnavailable, "", 2},
		"reset":            {broken(io.EOF), oauth.ErrUnavailable, "", 2},
		"a limit":          {answer(429, "", `{"error":"slow_down"}`), oauth.ErrUnavailable, "slow_down", 2},
		"server_error":     {answer(500, "", `{"error":"server_error"}`), oauth.ErrUnavailable, "server_error", 2},
		"no URI":           {ok(`{"expires_in":60}`), oauth.ErrInvalid, "", 1},
		"a number":         {ok(`{"request_uri":1,"expires_in":60}`), oauth.ErrInvalid, "", 1},
		"not absolute":     {ok(`{"request_uri":"/x?s3cr3t"}`), oauth.ErrInvalid, "", 1},
		"no URI at all":    {ok(`{"request_uri":"s3cr3t\u0000"}`), oauth.ErrInvalid, "", 1},
		"not ASCII":        {ok(`{"request_uri":"urn:s3cr3té"}`), oauth.ErrInvalid, "", 1},
		"blank":            {ok(`{"request_uri":"urn: s3cr3t"}`), oauth.ErrInvalid, "", 1},
		"too long":         {ok(`{"request_uri":"urn:` + strings.Repeat("s3cr3t", 200) + `"}`), oauth.ErrInvalid, "", 1},
		"state, repeated":  {answer(400, "", `{"error":"invalid_request","error_description":"state s3cr3t-state"}`), oauth.ErrRefused, "invalid_request", 1},
		"the URI, refused": {answer(400, "", `{"error":"invalid_request","error_description":"urn:s3cr3t","request_uri":"urn:s3cr3t"}`), oauth.ErrRefused, "invalid_request", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/par", test.reply)
				_, err := client(t, s, pushing).Push(t.Context(), pushRequest())
				if e := wantError(t, err, test.kind); e.Code != test.code || e.Op != "pushed authorization request" {
					t.Errorf("%+v", e)
				}
				if len(s.Requests) != test.tries {
					t.Errorf("%d requests", len(s.Requests))
				}
				s.CheckClosed(t)
			})
		})
	}
	s := new(server)
	c := client(t, s, nil)
	_, err := c.Push(t.Context(), pushRequest())
	wantError(t, err, oauth.ErrUnsupported)
	if c.CanPush() || len(s.Requests) != 0 {
		t.Errorf("%d requests to a server without an endpoint", len(s.Requests))
	}
}

func FuzzPushAnswer(f *testing.F) {
	f.Add(201, pushed)
	f.Add(200, `{"request_uri":"urn:x","expires_in":"1e400"}`)
	f.Add(400, `{"error":"invalid_request"}`)
	f.Add(200, "request_uri=a%3Ab&expires_in=-1")
	f.Fuzz(func(t *testing.T, status int, text string) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/par", answer(status, "", text))
			start := time.Now()
			got, err := client(t, s, pushing).Push(context.Background(), pushRequest())
			s.CheckClosed(t)
			if err != nil {
				scripted.CheckFuzzed(t, err)
				return
			}
			if !scripted.Visible(got.RequestURI) || len(got.RequestURI) > 1024 || got.Expires.Before(start) || got.Expires.After(time.Now().Add(time.Hour)) {
				t.Errorf("under %d accepted %q until %v", status, got.RequestURI, got.Expires)
			}
		})
	})
}
