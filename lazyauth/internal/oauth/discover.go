package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// discoveryTime is how long all of a discovery may take: two places that are as slow as
// can be borne. A place that does not answer at all is the last one.
const discoveryTime = 2 * requestTime

// DiscoverOptions change how [Discover] judges what it finds.
type DiscoverOptions struct {
	// AnyIssuer accepts metadata that names another issuer than the one asked for,
	// or none. An attacker who can make one tenant of a server serve another's
	// metadata then decides where the device code and the client secret go.
	AnyIssuer bool

	// Given are endpoints that the author has named. They take the place of the
	// metadata's, which need not have them then. They obey the rules of [New].
	Given Endpoints

	// Want says what endpoints lack for which the caller looks for them, by an error that
	// is an ErrUnsupported. The next place is then looked at. Nil wants nothing but the
	// token endpoint.
	Want func(Endpoints) error

	// UserAgent is sent with each request; empty means DefaultUserAgent.
	UserAgent string
}

// Discover finds the endpoints of an issuer, in the places where MCP's authorization
// specification makes clients look, in its order: in the authorization server metadata,
// whose URL has the issuer's path inserted after the well-known part (RFC 8414 §3.1);
// in the OpenID Connect configuration with the path inserted likewise (RFC 8414 §5); and
// in the one with the path in front (OpenID Connect Discovery 1.0 §4), which is the
// same where there is no path. The issuer is an https URL without a query, or http on a
// loopback host.
//
// The metadata must name exactly this issuer, byte for byte (RFC 8414 §3.3; a slash
// at the end counts) and a token endpoint, unless this is given. The endpoints may be on
// other hosts, as Google's are; they are https, or http on loopback if the issuer itself
// is on loopback. Another endpoint that cannot be used is left out, and is an error if it
// is the one that is wanted. Endpoints.Issuer is the issuer that was asked for.
//
// Redirects are not followed; one counts as "not there", as does any other answer
// that is not a JSON object, under 200 or a status that is not about being busy. It
// blocks for at most a minute. A nil rt means http.DefaultTransport.
//
// Errors: ErrUnavailable if metadata may be there but could not be got; Want's, an
// ErrUnsupported, if there is some without what is wanted; ErrInvalid if there is
// none, or none that can be used, or the issuer is malformed; that of ctx. The Detail
// tells of each place what it answered.
func Discover(ctx context.Context, rt http.RoundTripper, issuer string, opt DiscoverOptions) (Endpoints, error) {
	const op = "discovery"
	base, err := parseIssuer(issuer)
	if err != nil {
		return Endpoints{}, &Error{Op: op, Kind: ErrInvalid, Reason: err.Error()}
	}
	limited, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	var worst *Error
	var details []string
	for _, location := range metadataURLs(base) {
		req, err := http.NewRequestWithContext(limited, http.MethodGet, location, nil)
		if err != nil {
			return Endpoints{}, &Error{Op: op, Kind: ErrInvalid, Reason: "the issuer is not a URL"}
		}
		req.Close = true // see connection
		a := roundTrip(rt, opt.UserAgent, req)
		if a.Fault != "" && ctx.Err() != nil {
			return Endpoints{}, Ended(ctx, op)
		}
		found, e := readMetadata(a, base, issuer, opt)
		if e == nil {
			return found, nil
		}
		details = append(details, location+": "+cmp.Or(e.Reason, e.Kind.Error())+" ("+e.Detail+")")
		if worst == nil || rank(e) > rank(worst) {
			worst = e
		}
		if a.Status == 0 {
			break // the same host would fail again
		}
	}
	worst.Detail = strings.Join(details, "; ")
	return Endpoints{}, worst
}

const (
	notThere = "no metadata found at the issuer"
	moved    = "no metadata found at the issuer: redirects are not followed"
)

// rank orders the errors of the locations by what they tell: one that could not be read
// leaves the question open, and one that was read says more than one that is not there.
func rank(e *Error) int {
	switch {
	case errors.Is(e, ErrUnavailable):
		return 4
	case errors.Is(e, ErrUnsupported):
		return 3
	case e.Reason == moved:
		return 1
	case e.Reason == notThere:
		return 0
	}
	return 2
}

// metadataURLs returns where to look, in this order.
func metadataURLs(issuer *url.URL) []string {
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	origin := issuer.Scheme + "://" + issuer.Host
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	return slices.Compact([]string{origin + oauth + path, origin + openID + path, origin + path + openID})
}

// readMetadata judges what one location answered. The Detail of its error is what the
// answer was.
func readMetadata(a *Answer, base *url.URL, issuer string, opt DiscoverOptions) (Endpoints, *Error) {
	fail := func(kind error, reason, detail string) (Endpoints, *Error) {
		if detail == "" {
			detail = secrets{}.about(a)
		}
		if a.Status != 0 {
			detail = strings.TrimSuffix("HTTP status "+strconv.Itoa(a.Status)+", "+detail, ", ")
		}
		return Endpoints{}, &Error{Op: "discovery", Kind: kind, Status: a.Status, RetryAfter: a.RetryAfter, Reason: reason, Detail: detail}
	}
	switch {
	case a.Fault != "" && a.passing():
		return fail(ErrUnavailable, a.Fault, "")
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		return fail(ErrUnavailable, "the answer carries no metadata", "")
	case a.Fault == tooLarge && a.Status == http.StatusOK:
		return fail(ErrInvalid, a.Fault, "")
	case a.Status >= 300 && a.Status < 400 && a.location != "":
		return fail(ErrInvalid, moved, "")
	case a.Fault != "" || a.Status != http.StatusOK:
		return fail(ErrInvalid, notThere, "")
	}
	if named := a.fields.text("issuer"); named != issuer && !opt.AnyIssuer {
		return fail(ErrInvalid, "the metadata is that of another issuer", compareIssuers(issuer, named))
	}
	found := opt.Given
	found.Issuer = issuer
	if opt.Given.Token == "" { // or else the methods are not those of the endpoint
		found.AuthStyle = listedStyle(a.fields)
	}
	found.Features = found.Features.with(a.fields)
	unusable := map[string]string{} // by member, why
	for _, endpoint := range found.named() {
		text := a.fields.text(endpoint.member)
		if *endpoint.url != "" || text == "" && endpoint.url != &found.Token {
			continue
		}
		if _, why := CheckURL(text, IsLoopback(base)); why != "" {
			unusable[endpoint.member] = why
		} else {
			*endpoint.url = text
		}
	}
	wrong := "token_endpoint"
	if opt.Want != nil {
		if lacks := opt.Want(found); lacks != nil {
			if wrong = found.lacking(opt.Want, a.fields, unusable); wrong == "" {
				return fail(lacks, "", "")
			}
		}
	}
	if why, is := unusable[wrong]; is {
		return fail(ErrInvalid, "in the metadata "+wrong+" "+why, secrets{}.quote(a.fields.text(wrong)))
	}
	return found, nil
}

// lacking returns the member of metadata that is what the caller wants, but that it is
// unusable; "" if none is.
func (e Endpoints) lacking(want func(Endpoints) error, metadata fields, unusable map[string]string) string {
	for _, endpoint := range e.named() {
		if text := metadata.text(endpoint.member); text != "" && unusable[endpoint.member] != "" {
			*endpoint.url = text
			if want(e) == nil {
				return endpoint.member
			}
			*endpoint.url = ""
		}
	}
	return ""
}

// with returns the features with those that metadata lists.
func (f Features) with(metadata fields) Features {
	f.S256 = f.S256 || metadata.lists("code_challenge_methods_supported", "S256")
	f.IssuerInResponse = f.IssuerInResponse || metadata.isTrue("authorization_response_iss_parameter_supported")
	f.PushedOnly = f.PushedOnly || metadata.isTrue("require_pushed_authorization_requests")
	f.ClientIDMetadata = f.ClientIDMetadata || metadata.isTrue("client_id_metadata_document_supported")
	f.NoCode = f.NoCode || metadata.text("response_types_supported") != "" && !metadata.lists("response_types_supported", "code")
	if grants := "grant_types_supported"; metadata.text(grants) != "" {
		f.Grants = Grants{
			Listed:            true,
			AuthorizationCode: metadata.lists(grants, "authorization_code"),
			DeviceCode:        metadata.lists(grants, "urn:ietf:params:oauth:grant-type:device_code"),
			RefreshToken:      metadata.lists(grants, "refresh_token"),
		}
	}
	return f
}

// compareIssuers tells the operator which issuer was configured, which the metadata
// names, and what to set.
func compareIssuers(configured, named string) string {
	text := "configured is " + strconv.Quote(configured) + ", "
	if named == "" {
		return text + "the metadata names none"
	}
	text += "the metadata names " + secrets{}.quote(named)
	a, b := strings.TrimSuffix(configured, "/"), strings.TrimSuffix(named, "/")
	if plainOrigin(a) != plainOrigin(b) {
		return text + ": if that is the server you mean, configure its issuer as it is named there"
	}
	var by []string
	if strings.HasSuffix(configured, "/") != strings.HasSuffix(named, "/") {
		by = append(by, "the slash at the end")
	}
	if a != b {
		by = append(by, "upper and lower case or the port")
	}
	return text + ": they differ by " + strings.Join(by, ", and by ") + "; configure the issuer as it is named there"
}

// plainOrigin returns the issuer with its host in lower case and without the port that
// its scheme implies.
func plainOrigin(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	host := lowerASCII(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := port(u); p != port(&url.URL{Scheme: u.Scheme}) {
		host += ":" + p
	}
	u.Host = host
	return u.String()
}
