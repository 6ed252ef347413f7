package oauth_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// registering is a client that has no credentials yet.
func registering(config *oauth.Config) {
	config.Credentials = oauth.Credentials{}
	config.Endpoints.Registration = "https://as.example/register"
}

var notes = oauth.ClientMetadata{
	RedirectURIs:  []string{"http://127.0.0.1/callback/x", "http://localhost:8080/cb"},
	GrantTypes:    []string{"authorization_code", "refresh_token"},
	ResponseTypes: []string{"code"},
	ClientName:    "Notes", SoftwareID: "4f1c", Scope: "notes:read",
}

// The bytes of a registration, and what becomes of the client.
func TestRegister(t *testing.T) {
	s := new(server).On("/register", answer(201, "application/json", `{"client_id":"learnt","client_id_issued_at":1700000000,
		"token_endpoint_auth_method":"none","redirect_uris":["http://localhost:8080/cb","http://127.0.0.1/callback/x"],
		"registration_access_token":"s3cr3t-management","registration_client_uri":"https://as.example/register/s3cr3t"}`)).
		On("/token", ok(granted))
	c := client(t, s, registering)
	r, err := c.Register(t.Context(), notes)
	if err != nil {
		t.Fatal(err)
	}
	want := oauth.Registration{
		Credentials: oauth.Credentials{ID: "learnt"}, ManagementToken: "s3cr3t-management", ManagementURI: "https://as.example/register/s3cr3t",
	}
	if *r != want {
		t.Errorf("%+v", r)
	}
	checkNoSecret(t, r)
	checkNoSecret(t, *r)
	const body = `{"redirect_uris":["http://127.0.0.1/callback/x","http://localhost:8080/cb"],"grant_types":["authorization_code","refresh_token"],` +
		`"response_types":["code"],"token_endpoint_auth_method":"none","client_name":"Notes","software_id":"4f1c","scope":"notes:read"}`
	if got := s.Requests[0]; got.Method != "POST" || got.Body != body || got.Header.Get("Content-Type") != "application/json" ||
		got.Header.Get("Accept") != "application/json" || got.Header.Get("Authorization") != "" || len(got.Header) != 3 {
		t.Errorf("%s %v\n%s\nwant\n%s", got.Method, got.Header, got.Body, body)
	}
	registered, err := c.WithCredentials(r.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registered.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Error(err)
	}
	s.CheckClosed(t)
}

// A client may be given a secret that it has not asked for.
func TestRegister_Secrets(t *testing.T) {
	for name, test := range map[string]struct {
		members string
		secret  string
		style   oauth2.AuthStyle
		life    time.Duration // of the secret; 0: for ever
		refused string
	}{
		"none, and none":         {``, "", 0, 0, ""},
		"none, though one is":    {`,"token_endpoint_auth_method":"none","client_secret":"s3cr3t"`, "", 0, 0, ""},
		"basic":                  {`,"token_endpoint_auth_method":"client_secret_basic","client_secret":"s3cr3t"`, "s3cr3t", oauth2.AuthStyleInHeader, 0, ""},
		"post, for ever":         {`,"token_endpoint_auth_method":"client_secret_post","client_secret":"s3cr3t","client_secret_expires_at":0`, "s3cr3t", oauth2.AuthStyleInParams, 0, ""},
		"nobody knows how":       {`,"client_secret":"s3cr3t"`, "s3cr3t", oauth2.AuthStyleAutoDetect, 0, ""},
		"for an hour":            {`,"client_secret":"s3cr3t","client_secret_expires_at":946688400`, "s3cr3t", 0, time.Hour, ""},
		"in a string":            {`,"client_secret":"s3cr3t","client_secret_expires_at":"946688400.9"`, "s3cr3t", 0, time.Hour, ""},
		"nearly for ever":        {`,"client_secret":"s3cr3t","client_secret_expires_at":1e300`, "s3cr3t", 0, 87600 * time.Hour, ""},
		"before 1970":            {`,"client_secret":"s3cr3t","client_secret_expires_at":-5`, "s3cr3t", 0, 0, ""},
		"no number":              {`,"client_secret":"s3cr3t","client_secret_expires_at":"NaN"`, "s3cr3t", 0, 0, ""},
		"an end of what is none": {`,"client_secret_expires_at":1`, "", 0, 0, ""},

		"over already":  {`,"client_secret":"s3cr3t","client_secret_expires_at":946684800`, "", 0, 0, "has expired already"},
		"missing":       {`,"token_endpoint_auth_method":"client_secret_basic"`, "", 0, 0, "secret is missing"},
		"a key":         {`,"token_endpoint_auth_method":"private_key_jwt"`, "", 0, 0, "does not have"},
		"not ASCII":     {`,"client_secret":"s3cr3té"`, "", 0, 0, "not printable"},
		"of two lines":  {`,"client_secret":"s3cr3t\n"`, "", 0, 0, "not printable"},
		"much too long": {`,"client_secret":"` + strings.Repeat("s3cr3t", 1000) + `"`, "", 0, 0, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is 2000-01-01
				s := new(server).On("/register", ok(`{"client_id":"learnt"`+test.members+`}`))
				r, err := client(t, s, registering).Register(t.Context(), notes)
				if test.refused != "" {
					if e := wantError(t, err, oauth.ErrInvalid); !strings.Contains(e.Error(), test.refused) {
						t.Error(e)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if r.Credentials != (oauth.Credentials{ID: "learnt", Secret: test.secret, AuthStyle: test.style}) {
					t.Errorf("%q by %d", r.Credentials.Secret, r.Credentials.AuthStyle)
				}
				if r.SecretExpires.IsZero() != (test.life == 0) || test.life != 0 && time.Until(r.SecretExpires).Round(time.Second) != test.life {
					t.Errorf("until %v", r.SecretExpires)
				}
				checkNoSecret(t, r)
			})
		})
	}
}

// What manages a registration is kept if it can be used, and else not missed.
func TestRegister_Management(t *testing.T) {
	for uri, kept := range map[string]bool{
		"https://as.example/register/1": true, "https://other.example/c?id=1": true,
		"http://as.example/1": false, "http://127.0.0.1/1": false, "/register/1": false, "": false, "https://a@b.example/": false,
	} {
		s := new(server).On("/register", ok(`{"client_id":"learnt","registration_access_token":"s3cr3t","registration_client_uri":"`+uri+`"}`))
		r, err := client(t, s, registering).Register(t.Context(), notes)
		if err != nil || (r.ManagementURI == uri && r.ManagementToken == "s3cr3t") != kept || (r.ManagementURI == "") != (r.ManagementToken == "") {
			t.Errorf("%s: %q %q, %v", uri, r.ManagementURI, r.ManagementToken, err)
		}
	}
}

func TestRegister_Errors(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		kind  error
		code  string
	}{
		"redirect URI":        {oauthError("invalid_redirect_uri"), oauth.ErrRefused, "invalid_redirect_uri"},
		"metadata":            {oauthError("invalid_client_metadata"), oauth.ErrRefused, "invalid_client_metadata"},
		"only for members":    {answer(401, "", `{"error":"invalid_token"}`), oauth.ErrRefused, oauth.CodeOther},
		"forbidden":           {answer(403, "text/html", "<html>"), oauth.ErrInvalid, ""},
		"no such page":        {answer(404, "", ""), oauth.ErrInvalid, ""},
		"redirect":            {answer(307, "", "", "Location", "https://evil.example/"), oauth.ErrInvalid, ""},
		"busy":                {answer(503, "", ""), oauth.ErrUnavailable, ""},
		"a limit":             {answer(429, "", `{"error":"too_many_requests"}`), oauth.ErrUnavailable, oauth.CodeOther},
		"reset":               {broken(io.EOF), oauth.ErrUnavailable, ""},
		"no answer":           {stall, oauth.ErrUnavailable, ""},
		"nothing":             {answer(201, "", ""), oauth.ErrInvalid, ""},
		"no id":               {ok(`{"client_secret":"s3cr3t"}`), oauth.ErrInvalid, ""},
		"a number":            {ok(`{"client_id":7}`), oauth.ErrInvalid, ""},
		"of two lines":        {ok(`{"client_id":"a\nb"}`), oauth.ErrInvalid, ""},
		"long":                {ok(`{"client_id":"` + strings.Repeat("a", 3000) + `"}`), oauth.ErrInvalid, ""},
		"another redirect":    {ok(`{"client_id":"a","redirect_uris":["https://evil.example/"]}`), oauth.ErrInvalid, ""},
		"one of two":          {ok(`{"client_id":"a","redirect_uris":["http://127.0.0.1/callback/x"]}`), oauth.ErrInvalid, ""},
		"no redirect":         {ok(`{"client_id":"a","redirect_uris":[]}`), oauth.ErrInvalid, ""},
		"too large":           {ok(`{"client_id":"a","x":"` + strings.Repeat("x", 64<<10) + `"}`), oauth.ErrInvalid, ""},
		"secrets, not wanted": {ok(`{"client_id":"","client_secret":"s3cr3t","registration_access_token":"s3cr3t-2","token_endpoint_auth_method":"s3cr3t s3cr3t-2"}`), oauth.ErrInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/register", test.reply)
				_, err := client(t, s, registering).Register(t.Context(), notes)
				if e := wantError(t, err, test.kind); e.Code != test.code || e.Op != "registration" {
					t.Errorf("%+v", e)
				}
				if len(s.Requests) != 1 {
					t.Errorf("%d requests", len(s.Requests))
				}
				s.CheckClosed(t)
			})
		})
	}
	s := new(server)
	c := client(t, s, nil)
	_, err := c.Register(t.Context(), notes)
	wantError(t, err, oauth.ErrUnsupported)
	if c.CanRegister() || len(s.Requests) != 0 {
		t.Errorf("%d requests to a server without an endpoint", len(s.Requests))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client(t, s.On("/register", stall), registering).Register(ctx, notes)
	wantError(t, err, context.Canceled)
}

func FuzzRegistrationAnswer(f *testing.F) {
	f.Add(201, `{"client_id":"a","client_secret":"b","client_secret_expires_at":0,"redirect_uris":["http://127.0.0.1/callback/x","http://localhost:8080/cb"]}`)
	f.Add(200, `{"client_id":"a","client_secret_expires_at":1e400,"client_secret":"b","token_endpoint_auth_method":"client_secret_post"}`)
	f.Add(200, `{"client_id":"a","redirect_uris":[[]],"registration_access_token":"c","registration_client_uri":"https://as.example"}`)
	f.Add(400, `{"error":"invalid_redirect_uri"}`)
	f.Fuzz(func(t *testing.T, status int, text string) {
		s := new(server).On("/register", answer(status, "", text))
		c := client(t, s, registering)
		r, err := c.Register(context.Background(), notes)
		s.CheckClosed(t)
		if err != nil {
			scripted.CheckFuzzed(t, err)
			return
		}
		// What was registered is what a client can be made with.
		if _, err := c.WithCredentials(r.Credentials); err != nil || r.Credentials.ID == "" || len(s.Requests) != 1 {
			t.Errorf("%q: %v", text, err)
		}
		if !r.SecretExpires.IsZero() && (r.SecretExpires.Before(time.Now()) || r.SecretExpires.After(time.Now().AddDate(11, 0, 0))) {
			t.Errorf("until %v", r.SecretExpires)
		}
	})
}
