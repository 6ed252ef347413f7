package main

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// addresses are where a GitHub answers.
type addresses struct {
	name                string // for people
	deviceURL, tokenURL string // where the user signs in
	api                 string // base URL of the REST API
	apiOrigin           string // the part of it that says who may get the token
}

// addressesOf returns the addresses of the GitHub at a host, or an error that
// says what a host is.
func addressesOf(host string) (addresses, error) {
	host = strings.ToLower(host)
	u, err := url.Parse("https://" + host)
	switch {
	case err != nil || u.Host != host || u.Hostname() == "":
		return addresses{}, errors.New("-host is not a host: give its name alone, such as github.example.com")
	case strings.HasSuffix(host, ".github.com"):
		return addresses{}, errors.New("-host is part of github.com: give github.com, or leave it out")
	}
	if loopback(u.Hostname()) {
		u.Scheme = "http" // no GitHub, but a double of one
	}
	site := u.String()
	at := addresses{
		name:      "GitHub Enterprise",
		deviceURL: site + "/login/device/code",
		tokenURL:  site + "/login/oauth/access_token",
	}
	switch {
	case host == "github.com":
		at.name, at.api = "GitHub", "https://api.github.com"
		at.apiOrigin = at.api
	case strings.HasSuffix(host, ".ghe.com"): // Enterprise Cloud with data residency
		at.api = "https://api." + host
		at.apiOrigin = at.api
	default: // Enterprise Server
		at.api = site + "/api/v3"
		at.apiOrigin = site
	}
	return at, nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback() || host == "localhost"
}
