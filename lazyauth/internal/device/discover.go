package device

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// DiscoverOptions change how [Discover] judges what it finds.
type DiscoverOptions struct {
	// AnyIssuer accepts metadata that names another issuer than the one asked for,
	// or none. An attacker who can make one tenant of a server serve another's
	// metadata then decides where the device code and the client secret go.
	AnyIssuer bool

	// UserAgent is sent with each request; empty means DefaultUserAgent.
	UserAgent string
}

// Discover finds the endpoints of an issuer: in its authorization server metadata,
// whose URL has the issuer's path inserted after the well-known part (RFC 8414
// §3.1), or else in its OpenID Connect configuration (Discovery 1.0 §4). The issuer
// is an https URL without a query, or http on a loopback host.
//
// The metadata must name exactly this issuer, byte for byte (RFC 8414 §3.3; a slash
// at the end counts), a device authorization endpoint and a token endpoint. The
// endpoints may be on other hosts, as Google's are; they are https, or http on
// loopback if the issuer itself is on loopback. A revocation endpoint that cannot be
// used is left out. Endpoints.Issuer is the issuer that was asked for.
//
// Redirects are not followed; one counts as "not there", as does any other answer
// that is not a JSON object, under 200 or a status that is not about being busy. It
// blocks for at most two requests of 30 s. A nil rt means http.DefaultTransport.
//
// Errors: ErrUnavailable if metadata may be there but could not be got; ErrInvalid
// if there is none, or none that can be used, or the issuer is malformed; that of
// ctx.
func Discover(ctx context.Context, rt http.RoundTripper, issuer string, opt DiscoverOptions) (Endpoints, error) {
	const op = "discovery"
	base, err := parseIssuer(issuer)
	if err != nil {
		return Endpoints{}, &Error{Op: op, Kind: ErrInvalid, reason: err.Error()}
	}
	var worst *Error
	var details []string
	for _, location := range metadataURLs(base) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
		if err != nil {
			return Endpoints{}, &Error{Op: op, Kind: ErrInvalid, reason: "the issuer is not a URL"}
		}
		a := roundTrip(rt, opt.UserAgent, req)
		if a.fault != "" && ctx.Err() != nil {
			return Endpoints{}, ended(ctx, op)
		}
		found, e := readMetadata(a, base, issuer, opt)
		if e == nil {
			return found, nil
		}
		details = append(details, location+": "+e.reason+" "+e.Detail)
		if worst == nil || rank(e) > rank(worst) {
			worst = e
		}
		if a.status == 0 {
			break // the same host would fail again
		}
	}
	worst.Detail = strings.Join(details, "; ")
	return Endpoints{}, worst
}

const notThere = "no metadata found at the issuer"

// rank orders the errors of the two locations by what they tell: one that could not
// be read leaves the question open, and one that was read says more than one that
// is not there.
func rank(e *Error) int {
	switch {
	case errors.Is(e, ErrUnavailable):
		return 2
	case e.reason != notThere:
		return 1
	}
	return 0
}

// metadataURLs returns where to look, in this order.
func metadataURLs(issuer *url.URL) []string {
	origin := issuer.Scheme + "://" + issuer.Host
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}
}

// readMetadata judges what one location answered.
func readMetadata(a *answer, base *url.URL, issuer string, opt DiscoverOptions) (Endpoints, *Error) {
	fail := func(kind error, reason, detail string) (Endpoints, *Error) {
		return Endpoints{}, &Error{Op: "discovery", Kind: kind, Status: a.status, reason: reason, Detail: detail}
	}
	switch {
	case a.fault != "" && a.passing():
		return fail(ErrUnavailable, a.fault, secrets{}.quote(a.trace))
	case a.status >= 500 || a.status == http.StatusTooManyRequests:
		return fail(ErrUnavailable, "the answer carries no metadata", "")
	case a.fault == tooLarge && a.status == http.StatusOK:
		return fail(ErrInvalid, a.fault, "")
	case a.fault != "" || a.status != http.StatusOK:
		return fail(ErrInvalid, notThere, "")
	}
	if named := a.fields.text("issuer"); named != issuer && !opt.AnyIssuer {
		return fail(ErrInvalid, "the metadata is that of another issuer", secrets{}.quote(named))
	}
	found := Endpoints{Issuer: issuer}
	for _, endpoint := range []struct {
		name string
		url  *string
	}{
		{"device_authorization_endpoint", &found.DeviceAuthorization},
		{"token_endpoint", &found.Token},
	} {
		text := a.fields.text(endpoint.name)
		if _, why := checkURL(text, isLoopback(base)); why != "" {
			return fail(ErrInvalid, "in the metadata "+endpoint.name+" "+why, secrets{}.quote(text))
		}
		*endpoint.url = text
	}
	if text := a.fields.text("revocation_endpoint"); text != "" {
		if _, why := checkURL(text, isLoopback(base)); why == "" {
			found.Revocation = text
		}
	}
	return found, nil
}
