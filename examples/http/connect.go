package main

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
	connectPath = "/connect"
	signInPath  = "/sign-in"
	// demoCookie says who somebody says they are. That of a real session is a secret.
	demoCookie = "notes-demo-user"
)

var errSignedOut = errors.New("nobody is signed in at this browser")

// connectPage returns the page by which people sign in to the notes service. Who sits at a browser is
// whoever they say: it is for trying out, on loopback, where a bearer token is a name as well.
func connectPage(cfg *config) (*lazyauth.ConnectPage, error) {
	base := cmp.Or(cfg.publicURL, "http://"+cfg.listen)
	return lazyauth.NewConnectPage(lazyauth.ConnectOptions{
		PublicURL: base + connectPath,
		Who: func(r *http.Request) (lazyauth.Principal, error) {
			user := demoUser(cfg, r)
			if user == "" {
				return lazyauth.Principal{}, errSignedOut
			}
			return lazyauth.Principal{Issuer: cfg.issuer, Subject: user}, nil // as the verifier has it
		},
		SignInURL: base + signInPath, SignOutURL: base + signInPath,
	})
}

// demoCookieName returns the cookie's name. With https it is one that browsers take from this very host alone.
func demoCookieName(cfg *config) string {
	if isHTTPS(cfg) {
		return "__Host-" + demoCookie
	}
	return demoCookie
}

func isHTTPS(cfg *config) bool { return strings.HasPrefix(cfg.publicURL, "https:") }

// demoUser returns who is signed in at a browser; empty: nobody.
func demoUser(cfg *config, r *http.Request) string {
	c, err := r.Cookie(demoCookieName(cfg))
	if err != nil || !slices.Contains(cfg.demoUsers, c.Value) {
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
func demoSignIn(cfg *config, mux *http.ServeMux) {
	mux.HandleFunc("GET "+signInPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
		_ = signInPage.Execute(w, map[string]any{"Now": demoUser(cfg, r), "Users": cfg.demoUsers}) // the browser is gone otherwise
	})
	mux.HandleFunc("POST "+signInPath, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		user := r.PostFormValue("user")
		if user != "" && !slices.Contains(cfg.demoUsers, user) {
			http.Error(w, "there is no such demo user", http.StatusBadRequest)
			return
		}
		cookie := &http.Cookie{ //nolint:gosec // where there is no https there is no Secure
			Name: demoCookieName(cfg), Value: user, Path: "/", Secure: isHTTPS(cfg), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		}
		if user == "" {
			cookie.MaxAge = -1
		}
		http.SetCookie(w, cookie)
		http.Redirect(w, r, signInPath, http.StatusSeeOther)
	})
}
