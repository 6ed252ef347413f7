package lazyauth

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

const (
	anHTTPS       = "write an https URL (http is for a loopback address alone)"
	anIssuer      = "write the https URL by which the authorization server's metadata names it (http is for a loopback address alone)"
	aRedirectURI  = "write http on 127.0.0.1, [::1] or localhost, with a port if the authorization server compares that, and a path"
	mostOfAddress = 120 // bytes of one in an error
)

// checkAddresses says which address of the authorization server cannot be one, by its field, and
// what to write instead.
func (s *Service) checkAddresses() error {
	if s.Issuer != "" {
		if err := oauth.CheckIssuer(s.Issuer); err != nil {
			return wrongAddress("Issuer", s.Issuer, err.Error(), anIssuer)
		}
		if issuer, ok := issuerOfMetadata(s.Issuer); ok {
			return wrongAddress("Issuer", s.Issuer, "that is where metadata is", "write "+shownAddress(issuer)+", or what the metadata has as its issuer")
		}
	}
	for _, endpoint := range []struct {
		field, name, url string
		used             bool
	}{
		{"Endpoint.DeviceAuthURL", "device authorization endpoint", s.Endpoint.DeviceAuthURL, s.allows(FlowDevice)},
		{"Endpoint.AuthURL", "authorization endpoint", s.Endpoint.AuthURL, s.allows(FlowRedirect)},
		{"Endpoint.TokenURL", "token endpoint", s.Endpoint.TokenURL, true},
		{"RevocationURL", "revocation endpoint", s.RevocationURL, true},
	} {
		if endpoint.url == "" || !endpoint.used {
			continue
		}
		if _, why := oauth.CheckURL(endpoint.url, true); why != "" {
			return wrongAddress(endpoint.field, endpoint.url, "the "+endpoint.name+" "+why, anHTTPS)
		}
	}
	return nil
}

// issuerOfMetadata returns the issuer whose metadata is at an address (RFC 8414 §3.1, OpenID
// Connect Discovery §4), and false of an address where none is.
func issuerOfMetadata(address string) (issuer string, ok bool) {
	before, after, ok := strings.Cut(address, "/.well-known/")
	if !ok {
		return "", false
	}
	name, path, inserted := strings.Cut(after, "/")
	if inserted && !slices.Contains([]string{"oauth-authorization-server", "openid-configuration"}, name) {
		return "", false
	}
	if path != "" {
		before += "/" + path
	}
	return before, true
}

func wrongAddress(field, value, why, instead string) error {
	return fmt.Errorf("lazyauth: Service.%s %s: %s: %s", field, shownAddress(value), why, instead)
}

// shownAddress is what an error has of an address: escaped and shortened, and nothing that may
// be a password or a key.
func shownAddress(address string) string {
	if strings.Contains(address, "@") {
		return `(which is not shown, since a password may stand before its "@")`
	}
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		address = address[:i+1] + "..."
	}
	if len(address) > mostOfAddress {
		address = address[:mostOfAddress] + "..."
	}
	return strconv.QuoteToASCII(address)
}
