package server

import (
	"cmp"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

const (
	// ConnectPath is where the page is.
	ConnectPath = "/connect"
	// SignInPath is where people say who they are, in a server with Config.Connect.
	SignInPath = "/sign-in"
	// DemoCookie says who somebody says they are. That of a real session is a secret.
	DemoCookie = "notes-demo-user"
)

var errSignedOut = errors.New("nobody is signed in at this browser")

// connectPage returns the page by which people sign in to the notes service. Who sits at a browser is
// whoever they say: it is for trying out, on loopback, where a bearer token is a name as well.
func connectPage(cfg *Config) (*lazyauth.ConnectPage, error) {
	base := cmp.Or(cfg.PublicURL, "http://"+cfg.Listen)
	return lazyauth.NewConnectPage(lazyauth.ConnectOptions{
		PublicURL: base + ConnectPath,
		Who: func(r *http.Request) (lazyauth.Principal, error) {
			user := demoUser(cfg, r)
			if user == "" {
				return lazyauth.Principal{}, errSignedOut
			}
			return lazyauth.Principal{Issuer: cfg.Issuer, Subject: user}, nil // as the verifier has it
		},
		SignInURL: base + SignInPath, SignOutURL: base + SignInPath,
	})
}

// demoCookieName returns the cookie's name. With https it is one that browsers take from this very host alone.
func (c *Config) demoCookieName() string {
	if c.isHTTPS() {
		return "__Host-" + DemoCookie
	}
	return DemoCookie
}

func (c *Config) isHTTPS() bool { return strings.HasPrefix(c.PublicURL, "https:") }

// demoUser returns who is signed in at a browser; empty: nobody.
func demoUser(cfg *Config, r *http.Request) string {
	c, err := r.Cookie(cfg.demoCookieName())
	if err != nil || !slices.Contains(cfg.DemoUsers, c.Value) {
		return ""
	}
	return c.Value
}

var signInPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Who are you?</title>
<body data-page="who">
<main>
<h1>Who are you?</h1>
{{with .Now}}<p role="status">You are {{.}}. Return to the other window and load it again.</p>{{end}}
<form method="post">{{range .Users}}<p><button name="user" value="{{.}}">I am {{.}}</button></p>{{end}}
<p><button name="user" value="">Sign out</button></p></form>
</main>
`))

// demoSignIn has people say which of the demo users they are. The POST is kept to this site's own pages by
// http.CrossOriginProtection, in front of all of it.
func demoSignIn(cfg *Config, mux *http.ServeMux) {
	mux.HandleFunc("GET "+SignInPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
		_ = signInPage.Execute(w, map[string]any{"Now": demoUser(cfg, r), "Users": cfg.DemoUsers}) // the browser is gone otherwise
	})
	mux.HandleFunc("POST "+SignInPath, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		user := r.PostFormValue("user")
		if user != "" && !slices.Contains(cfg.DemoUsers, user) {
			http.Error(w, "there is no such demo user", http.StatusBadRequest)
			return
		}
		cookie := &http.Cookie{ //nolint:gosec // where there is no https there is no Secure
			Name: cfg.demoCookieName(), Value: user, Path: "/", Secure: cfg.isHTTPS(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		}
		if user == "" {
			cookie.MaxAge = -1
		}
		http.SetCookie(w, cookie)
		http.Redirect(w, r, SignInPath, http.StatusSeeOther)
	})
}
