package providers

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// An App is the application that was registered with the provider.
type App struct {
	// ClientID is what the provider issued. It can be left empty where the program registers itself:
	// see [lazyauth.Registration].
	ClientID string
	// ClientSecret is for providers that demand one, which their functions say, and for
	// confidential clients. Who has the program has the secret: a program that is handed out cannot
	// keep one.
	ClientSecret string
	// RedirectURI is one that is registered: http on a loopback address, with a port where the
	// provider compares that. It allows [lazyauth.FlowRedirect], and puts it before the device flow.
	// Empty means the device flow alone; for [Google], whose desktop apps register none, any port.
	RedirectURI string
	// ConnectPage is for a server that many people call over HTTP. It allows [lazyauth.FlowRedirect],
	// by that page, and nothing else. What is registered is then the page's RedirectURI of the service that
	// the preset returns, once its Name is what people call the API; App.RedirectURI is empty. See docs/http.md.
	ConnectPage *lazyauth.ConnectPage
}

// redirects reports whether people are to sign in by a redirect.
func (a App) redirects() bool { return a.RedirectURI != "" || a.ConnectPage != nil }

// service returns what all presets have in common, for a provider by this name.
func (a App) service(name string) lazyauth.Service {
	s := lazyauth.Service{Name: name, ClientID: a.ClientID, ClientSecret: a.ClientSecret, RedirectURI: a.RedirectURI, ConnectPage: a.ConnectPage}
	switch {
	case a.ConnectPage != nil:
		s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	case a.RedirectURI != "":
		s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}
	}
	return s
}

// failf is an error about what was given for a provider. It says what is wrong, and what to write.
func failf(provider, format string, args ...any) error {
	return fmt.Errorf("providers: "+provider+": "+format, args...)
}

// checkHost says whether text is the name of a host, with a port at the most: what is the domain of a
// tenant somewhere.
func checkHost(provider, what, text, example string) error {
	u, err := url.Parse("https://" + text)
	switch {
	case text == "":
		return failf(provider, "the %s is empty: write its host alone, such as %s", what, example)
	case err != nil || u.Host != text || u.Hostname() == "" || strings.ContainsAny(text, " \t\r\n_") || strings.HasSuffix(text, ".") || strings.Contains(text, ".."):
		return failf(provider, "the %s %+q is not a host: write its name alone, without https:// and without a path, such as %s", what, shown(text), example)
	case !strings.Contains(u.Hostname(), ".") && !isLoopback(u.Hostname()):
		return failf(provider, "the %s %+q is one word: write all of the host, such as %s", what, shown(text), example)
	}
	return nil
}

// baseOf returns the address of a server that people run themselves, without a slash at its end:
// https, or http on a loopback address.
func baseOf(provider, text, example string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "", failf(provider, "the address of the server is empty: write where it is, such as %s", example)
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", failf(provider, "%+q is not the address of a server: write it with https://, such as %s", shown(text), example)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "", failf(provider, "the address of the server has more than a host and a path: write one such as %s", example)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return "", failf(provider, "%+q is not https (http is for a loopback address alone): write one such as %s", shown(text), example)
	}
	return strings.TrimRight(text, "/"), nil
}

// checkName says whether text is a part of a path: a realm, a tenant, the slug of an application.
func checkName(provider, what, text, example string) error {
	switch {
	case text == "":
		return failf(provider, "the %s is empty: write its name, such as %s", what, example)
	case url.PathEscape(text) != text || text == "." || text == "..":
		return failf(provider, "the %s %+q cannot stand in an address as it is: write its name alone, such as %s", what, shown(text), example)
	}
	return nil
}

// A redirectRule is what a provider wants of redirect URIs.
type redirectRule struct {
	required  bool   // there is no other flow
	exactPort bool   // it compares the port
	localhost bool   // it takes localhost, and no address
	example   string // a URI that would do
}

// checkRedirect says what is wrong with the redirect URI for this provider. That it is one at all
// lazyauth.New checks.
func (a App) checkRedirect(provider string, rule redirectRule) error {
	switch {
	case a.ConnectPage != nil && a.RedirectURI != "":
		return failf(provider, "App has both a ConnectPage, to which browsers come back, and a RedirectURI on this machine: set one of them")
	case a.ConnectPage != nil:
		return nil // which has an address of its own
	case a.RedirectURI == "":
		if rule.required {
			return failf(provider, "App.RedirectURI is empty, and there is no device flow: write the redirect URI that is registered, such as %s, or set a ConnectPage for callers over HTTP", rule.example)
		}
		return nil
	}
	u, err := url.Parse(a.RedirectURI)
	switch {
	case err != nil:
		return failf(provider, "App.RedirectURI is not a URI: write the one that is registered, such as %s", rule.example)
	case rule.localhost && !strings.EqualFold(u.Hostname(), "localhost"):
		return failf(provider, "App.RedirectURI %+q is not on localhost, and http is taken nowhere else: register and write one such as %s", shown(a.RedirectURI), rule.example)
	case rule.exactPort && u.Port() == "":
		return failf(provider, "App.RedirectURI %+q has no port, and the port is compared: register and write one such as %s", shown(a.RedirectURI), rule.example)
	}
	return nil
}

// needSecret says that a secret is missing, for providers that want one of every client.
func (a App) needSecret(provider, why string) error {
	if a.ClientSecret == "" {
		return failf(provider, "App.ClientSecret is empty: %s", why)
	}
	return nil
}

// redirects reports whether a service allows the redirect flow.
func redirects(s lazyauth.Service) bool { return slices.Contains(s.Flows, lazyauth.FlowRedirect) }

// shown returns no more of a value than an error should repeat.
func shown(text string) string {
	const most = 80
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback() || strings.EqualFold(host, "localhost")
}

// originOf returns the scheme and host of an address that baseOf has returned.
func originOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Scheme + "://" + u.Host
}
