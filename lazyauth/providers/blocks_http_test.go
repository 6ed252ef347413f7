package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"golang.org/x/oauth2"
)

// The blocks of docs/providers.md that are for callers over HTTP, as they stand there, and what they do.

func byAPageBlock(whoIsSignedIn func(*http.Request) (lazyauth.Principal, error)) (*lazyauth.Interceptor, error) {
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: "https://mcp.example.com/connect", Who: whoIsSignedIn})
	if err != nil {
		log.Fatal(err)
	}
	service, err := providers.Slack(providers.App{ClientID: "123456789012.1234567890123", ConnectPage: page})
	if err != nil {
		log.Fatal(err)
	}
	log.Print("to be registered: ", page.RedirectURI(service)) // the same each time, for this issuer and Name
	auth, err := lazyauth.New(service, nil)
	return auth, err
}

func overHTTPBlock() *lazyauth.Interceptor {
	service, err := providers.Keycloak("https://sso.example.com", "acme", providers.App{ClientID: "notes-mcp"})
	if err != nil {
		log.Fatal(err)
	}
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	auth, err := lazyauth.New(service, &lazyauth.Options{
		VerifyUser: isTheirs(service.UserInfo, service.Issuer), // bearer tokens are this realm's, too
	})
	if err != nil {
		log.Fatal(err)
	}
	return auth
}

func exchangeBlock() *lazyauth.Interceptor {
	service, err := providers.Keycloak("https://sso.example.com", "acme", providers.App{
		ClientID:     "notes-mcp",
		ClientSecret: os.Getenv("KEYCLOAK_CLIENT_SECRET"),
	})
	if err != nil {
		log.Fatal(err)
	}
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	auth, err := lazyauth.New(service, &lazyauth.Options{
		Unattended: []lazyauth.Unattended{{
			Callers:  func(c lazyauth.Caller) bool { return c.Bearer != "" },
			Exchange: &lazyauth.TokenExchange{Audience: []string{"notes-api"}}, // the API's client in the realm
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return auth
}

// isTheirs asks the provider whose a new grant is. issuer is that of the callers' bearer tokens.
func isTheirs(userInfo, issuer string) func(context.Context, lazyauth.Principal, *oauth2.Token) error {
	return func(ctx context.Context, who lazyauth.Principal, token *oauth2.Token) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, userInfo, nil)
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
		res, err := http.DefaultTransport.RoundTrip(req) // no redirect is followed
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var account struct{ Sub string }
		if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&account); err != nil {
			return errors.New("the account's name was not understood")
		}
		if res.StatusCode != http.StatusOK || account.Sub == "" || who.Issuer != issuer || who.Subject != account.Sub {
			return errors.New("somebody else has approved")
		}
		return nil
	}
}

func TestDocs_BlocksOverHTTP(t *testing.T) {
	t.Setenv("KEYCLOAK_CLIENT_SECRET", clientSecret)
	byAPage, err := byAPageBlock(func(*http.Request) (lazyauth.Principal, error) { return ada, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, auth := range []*lazyauth.Interceptor{byAPage, overHTTPBlock(), exchangeBlock()} {
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A grant is taken if UserInfo names the caller, and the caller's issuer is the one that was meant. Whatever
// else it says, it is not, and the token goes nowhere but there.
func TestDocs_IsTheirs(t *testing.T) {
	const issuer = "https://sso.example.com/realms/acme"
	ada := lazyauth.Principal{Issuer: issuer, Subject: "ada"}
	token := &oauth2.Token{AccessToken: "of-the-grant"}
	for _, tt := range []struct {
		name   string
		who    lazyauth.Principal
		status int
		body   string
		theirs bool
	}{
		{"the caller", ada, 200, `{"sub":"ada","name":"Ada"}`, true},
		{"somebody else", ada, 200, `{"sub":"eve","name":"ada"}`, false},
		{"the same subject of another issuer", lazyauth.Principal{Issuer: "https://elsewhere.example.com", Subject: "ada"}, 200, `{"sub":"ada"}`, false},
		{"nobody, for a caller without a subject", lazyauth.Principal{Issuer: issuer}, 200, `{"name":"Ada"}`, false},
		{"a refusal that names the caller", ada, 403, `{"sub":"ada"}`, false},
		{"a redirect", ada, 302, `{"sub":"ada"}`, false},
		{"a page", ada, 200, `<html>of-the-grant`, false},
		{"a subject that is no text", ada, 200, `{"sub":7}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer s.Close()
			err := isTheirs(s.URL+"/userinfo", issuer)(t.Context(), tt.who, token)
			if (err == nil) != tt.theirs {
				t.Errorf("the verdict is %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "of-the-grant") {
				t.Errorf("the error has the token, or what the provider wrote: %v", err)
			}
			if len(asked) != 1 || asked[0] != "/userinfo Bearer of-the-grant" {
				t.Errorf("asked: %q", asked)
			}
		})
	}
}
