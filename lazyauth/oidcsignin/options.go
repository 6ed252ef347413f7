package oidcsignin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say where people sign in, and how long that is good. Issuer, ClientID and PublicURL are required.
type Options struct {
	// Issuer is the issuer of ID tokens, exactly as they name it, and that of the bearer tokens that people's hosts
	// call with. Its metadata is looked for below it (OpenID Connect Discovery 1.0 §4). It is https; one on
	// loopback can be http, which is for development.
	//
	// Of Microsoft Entra it is that of one tenant, "https://login.microsoftonline.com/TENANT-ID/v2.0": that of
	// "common" names no issuer.
	Issuer string

	// ClientID and ClientSecret are this server's own at the issuer, for web sign-ins: not those of the service
	// that people connect, and not a host's. Without a secret it is a public client. How the secret is sent is
	// as the metadata says.
	ClientID, ClientSecret string

	// PublicURL is the address of the connect page: [lazyauth.ConnectOptions].PublicURL.
	PublicURL string

	// Identity makes one person of the claims of both sides. The zero value is [BySubject].
	Identity Identity

	// NameClaims are the claims by which the page calls whoever is signed in, the first that is there: "You are
	// signed in as …". It is how people notice that a browser is signed in as somebody else, so that it should be
	// nothing that people can choose: a name can be another's. They are those of the ID token, or else of the UserInfo
	// endpoint. None means "email", which counts only
	// if the issuer has verified it ("email_verified"), then "preferred_username", unless that could be taken for
	// somebody's address (of Entra it is the address that the tenant gave); the last resort is the subject.
	NameClaims []string

	// Scopes are asked for beside "openid", for the claims that are needed. Nil means profile and email.
	Scopes []string

	// SessionLife is how long a browser stays signed in. Zero means 8 hours; the most is 30 days.
	SessionLife time.Duration

	// MaxAge is how long ago people may have signed in at the issuer, where they stay signed in for longer
	// (max_age): after that the issuer asks them again, and an ID token that does not say when ("auth_time") is
	// refused. It bounds for how long a browser can be led here that somebody else has signed in there. Zero means
	// any time.
	MaxAge time.Duration
	// Prompt is what the issuer is asked to do although it knows the browser: "login", "select_account" or
	// "consent". After "I am not …" it is "login" in any case, unless it is "select_account". Empty means nothing.
	Prompt string

	// Keys seal the cookies: 32 random bytes each, the first seals, all open, at most 8. None means a random key for
	// this process: after a restart everybody signs in anew, and several processes do not know each other's sessions.
	Keys [][]byte

	// Transport sends requests to the issuer. Nil means one of this package's own, which goes through the proxy of
	// the environment. In any case answers are bounded and no redirect is followed.
	Transport http.RoundTripper

	// Log gets what goes wrong, without secrets. Nil means [slog.Default].
	Log *slog.Logger
}

// Format writes no secret, whatever the verb.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "oidcsignin.Options{%q, %q, %q}", o.Issuer, o.ClientID, o.PublicURL)
}

const (
	defaultLife = 8 * time.Hour
	longestLife = 30 * 24 * time.Hour
	keyLength   = 32 // bytes
	mostKeys    = 8
	mostPublic  = 512 // bytes, of PublicURL: it is within cookies
)

var prompts = []string{"", "login", "select_account", "consent"}

// check says what is wrong with the options, as far as that can be known without asking anybody.
func (o *Options) check() error {
	issuer, err := checkURL("Issuer", o.Issuer)
	if err != nil {
		return err
	}
	public, err := checkURL("PublicURL", o.PublicURL)
	switch {
	case err != nil:
		return err
	case issuer.RawQuery != "" || issuer.ForceQuery || public.RawQuery != "" || public.ForceQuery:
		return errors.New("the field Issuer or PublicURL has a query")
	case len(o.PublicURL) > mostPublic:
		return fmt.Errorf("PublicURL is longer than %d bytes", mostPublic)
	case o.ClientID == "":
		return errors.New("ClientID is missing")
	case o.SessionLife < 0 || o.SessionLife > longestLife:
		return fmt.Errorf("SessionLife is none between 0 and %v", longestLife)
	case o.SessionLife > 0 && o.SessionLife < time.Minute:
		return errors.New("SessionLife is shorter than a minute, which nobody can connect anything in")
	case o.MaxAge < 0 || o.MaxAge > 0 && o.MaxAge < time.Second:
		return errors.New("MaxAge is negative, or less than a second")
	case !slices.Contains(prompts, o.Prompt):
		return fmt.Errorf("the field Prompt is %q: give login, select_account or consent, or leave it out", o.Prompt)
	case len(o.Keys) > mostKeys:
		return fmt.Errorf("there are more than %d Keys", mostKeys)
	}
	for i, key := range o.Keys {
		if len(key) != keyLength {
			return fmt.Errorf("key %d of Keys has %d bytes, and not %d", i, len(key), keyLength)
		}
	}
	for _, name := range slices.Concat(o.NameClaims, o.Scopes) {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return fmt.Errorf("%q is no name of a claim or scope", name)
		}
	}
	return o.Identity.check()
}

// checkURL reads an address of the author's or the issuer's: https, or http on loopback.
func checkURL(what, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, errors.New(what + " is missing")
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, errors.New(what + " is no absolute URL")
	case u.User != nil || u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New(what + " has user information or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New(what + " is not https: only one on loopback can be http")
}

// isLoopback reports whether a host is this machine by its own account.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
