package fakeas

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// What a server has that is given nothing else. Issuer and API are different
// origins on purpose: a client that confuses them is caught.
const (
	DefaultIssuer   = "https://as.example.test"
	DefaultAPI      = "https://api.example.test"
	DefaultClientID = "notes-cli" // a public client; see [Client.RedirectURIs]
)

// Options configure a [Server]. New reads them once; nil means all zero.
type Options struct {
	// Issuer is the issuer identifier and the base of every URL of the
	// authorization server; it may have a path. Empty: [DefaultIssuer]
	// through [Server.Transport], and on a listener the origin that each
	// request was sent to, if that is a loopback one or the listener's own
	// address. A listener refuses other Host headers, and when an issuer is
	// set all but its, so that a web page that rebinds its name cannot read
	// or press anything.
	Issuer string

	// API is the base URL of the notes API. Empty: [DefaultAPI] while
	// Issuer is empty too, otherwise the same as Issuer.
	API string

	// Clients are the registered clients. Nil: one public client,
	// [DefaultClientID].
	Clients []Client

	// Registration serves dynamic client registration (RFC 7591), and reading
	// and deleting what was registered (RFC 7592). With OpenID a client is an
	// application of the type web unless it says native, and may then have no
	// http redirect URI (OpenID Connect Registration 1.0 §2). False: neither.
	Registration bool

	// ClientSecretLifetime is how long the secret of a client lives that
	// registers, in whole seconds. Zero: for ever.
	ClientSecretLifetime time.Duration

	// ClientDocument takes https URLs for client IDs and returns what is
	// served there (draft-ietf-oauth-client-id-metadata-document); false means
	// that nothing is. This server fetches nothing itself. It is called
	// concurrently, and more than once a request. Nil: not supported, and the
	// metadata do not say so.
	ClientDocument func(clientID string) (document []byte, ok bool)

	// ClientHosts are the hosts, with their port if they name one, whose
	// documents are used. Nil: all.
	ClientHosts []string

	// Scopes are the supported scopes; the first is what an authorization
	// without a scope parameter asks for. Anything else is
	// answered invalid_scope. Nil: profile, notes:read, notes:write.
	Scopes []string

	// Withhold are scopes that an approval leaves out although they were
	// asked for, unless [Server.Approve] names them. Nil: none.
	Withhold []string

	// Interval is the least time between two polls, in whole seconds.
	// Zero: 5 s.
	Interval time.Duration

	// CodeLifetime is how long a device code and its user code live, in
	// whole seconds. Zero: 10 minutes.
	CodeLifetime time.Duration

	// TokenLifetime is how long an access token lives, in whole seconds.
	// Zero: for ever, and the answer has no expires_in.
	TokenLifetime time.Duration

	// NoDevice is a server without the device authorization grant, and
	// NoAuthorization one without the authorization endpoint: metadata does
	// not name it, its addresses are not found, and its grant type is
	// unsupported.
	NoDevice, NoAuthorization bool

	// PKCE says what becomes of RFC 7636 in authorization requests. Zero:
	// [PKCERequired].
	PKCE PKCE

	// DevicePKCE says the same of device authorizations. Zero:
	// [PKCEOptional], or [PKCEIgnored] where PKCE is that.
	DevicePKCE PKCE

	// AuthorizationCodeLifetime is how long an authorization code lives, in
	// whole seconds. Zero: one minute.
	AuthorizationCodeLifetime time.Duration

	// Push says what becomes of pushed authorization requests (RFC 9126).
	// Zero: [PushNone].
	Push Push

	// PushLifetime is how long a pushed request can be opened, in whole
	// seconds. Once open, its pages can be used for ten minutes. Zero: one
	// minute, as with many servers: a link to it is soon dead.
	PushLifetime time.Duration

	// BurnCodes uses an authorization code up by a request that it does not
	// fit (another client, verifier or redirect URI), as better-auth does. False:
	// whom it was meant for can still present it.
	BurnCodes bool

	// NoIss leaves the parameter iss of RFC 9207 out of authorization
	// responses, and out of the metadata. For servers that do one and not the
	// other, see [WithIss] and Metadata.
	NoIss bool

	// ExactPorts compares the port of a loopback redirect URI too, as servers
	// do that have not heard of RFC 8252 §7.3. False: any port will do.
	ExactPorts bool

	// LocalhostPorts takes any port for an http redirect URI on the name localhost, too, as
	// Microsoft Entra does ("Redirect URI (reply URL) restrictions and limitations",
	// learn.microsoft.com). False: a name is none of RFC 8252 §7.3's addresses.
	LocalhostPorts bool

	// RememberConsent sends a browser straight back whose person has already
	// granted the scopes to the client in it, and lets prompt=none succeed.
	// False: each authorization request is shown (RFC 8252 §8.6).
	RememberConsent bool

	// Unattended are grants that no person approves. Zero: none.
	Unattended Unattended

	// People have accounts at the authorization page. The first is signed in
	// at the device page, and is who [Server.Approve] approves as. Nil: Ada
	// Example (ada) and Grace Example (grace).
	People []Person

	// Demand names parameters that a request must have beyond what the RFCs
	// ask for, such as resource or audience: {Refresh: {"resource"}}. With a
	// value, as in "resource=https://api.example.test", it must be among
	// those of that name. A request without is a violation and refused. For
	// [Authorization] what was pushed counts. {DeviceAuthorization:
	// {"client_id"}} are servers that want it in the body beside a Basic header.
	// Nil: none.
	Demand map[Operation][]string

	// NoHintInURL takes authorization URLs for ones that an MCP server shows
	// to its client: one with a login_hint is a violation and refused, since
	// such a URL must hold no personal data (MCP 2026-07-28
	// client/elicitation, "Safe URL handling"). A pushed one is fine. False:
	// so is one in the URL, which a program may have opened by itself.
	NoHintInURL bool

	// NoRefresh issues no refresh tokens.
	NoRefresh bool

	// NoRotation keeps a refresh token valid after use; the answer to a
	// refresh then has no refresh_token. False: every refresh replaces it.
	NoRotation bool

	// DetectReuse revokes the whole grant when a replaced refresh token is
	// used again (RFC 9700 §4.14.2). False: that request alone is refused.
	DetectReuse bool

	// SharedGrant puts all approvals of one client by one person into one
	// grant, as some servers do for approvals in one browser session:
	// revoking any of its tokens revokes all of them. False: each approval
	// is a grant of its own, and revoking an access token ends that token
	// alone.
	SharedGrant bool

	// OpenID also serves the metadata as an OpenID configuration, with the
	// issuer's path in front (OpenID Connect Discovery 1.0 §4).
	OpenID bool

	// OpenIDInserted also serves it with the issuer's path inserted after
	// the well-known part (RFC 8414 §5). Without a path that is the same.
	OpenIDInserted bool

	// NoMetadata does not serve RFC 8414 metadata.
	NoMetadata bool

	// Metadata may change the members of each metadata document before it
	// is served, wherever that is: leave out an endpoint, name another
	// issuer, send null. It is called concurrently. Nil: what is true.
	Metadata func(members map[string]any)

	// OpenDevice does not authenticate clients at the device authorization
	// endpoint: any registered client ID will do, so that a client that
	// authenticates wrongly learns of it after the person was asked. False:
	// they authenticate there as at the token endpoint (RFC 8628 §3.1).
	OpenDevice bool

	// RawBasic compares the halves of a Basic header as they stand, as
	// servers do that have not heard of the form-encoding in RFC 6749
	// §2.3.1. A client that follows it is refused if there is anything to
	// encode, and no violation. False: they are form-decoded.
	RawBasic bool

	// Latency is waited before every answer. Zero: none.
	Latency time.Duration

	// Dialect may change an answer before it is encoded; r is the request
	// it answers, which Dialect must not change or keep. It is called
	// concurrently. Nil: the answer of the RFCs. See [CommaScopes],
	// [ErrorsUnder200], [FormUnlessJSON], and all of them in [GitHub].
	Dialect func(r *http.Request, a *Answer)

	// Logger gets one record a request and one a violation. Neither holds
	// a token, a code or a secret. Nil: silent.
	Logger *slog.Logger
}

// settings are options with the defaults filled in.
type settings struct {
	Options
	clients map[string]*Client // as New found them; see Server.clients
	// follow is set if a listener's URLs follow the Host header.
	follow bool
}

// Validate reports whether the options contradict themselves. [New] panics
// where it returns an error; it is for options that a program's user chose.
func (o *Options) Validate() error {
	_, err := complete(o)
	return err
}

// complete fills in defaults, or says how the options contradict themselves.
func complete(opts *Options) (*settings, error) {
	o := &settings{}
	if opts != nil {
		o.Options = *opts
	}
	o.follow = o.Issuer == ""
	if o.API == "" {
		o.API = cmp.Or(o.Issuer, DefaultAPI)
	}
	o.Issuer = cmp.Or(o.Issuer, DefaultIssuer)
	for _, base := range []string{o.Issuer, o.API} {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" ||
			u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("fakeas: %q is no base URL", base)
		}
	}

	o.Interval = cmp.Or(o.Interval, 5*time.Second)
	o.CodeLifetime = cmp.Or(o.CodeLifetime, 10*time.Minute)
	o.AuthorizationCodeLifetime = cmp.Or(o.AuthorizationCodeLifetime, time.Minute)
	o.PushLifetime = cmp.Or(o.PushLifetime, time.Minute)
	for _, d := range []time.Duration{o.Interval, o.CodeLifetime, o.TokenLifetime, o.AuthorizationCodeLifetime, o.PushLifetime, o.ClientSecretLifetime} {
		if d < 0 || d%time.Second != 0 {
			return nil, fmt.Errorf("fakeas: %v is not a whole number of seconds", d)
		}
	}

	if o.Scopes == nil {
		o.Scopes = []string{scopeProfile, scopeRead, scopeWrite}
	}
	for _, scope := range slices.Concat(o.Scopes, o.Withhold) {
		if !isScope(scope) {
			return nil, fmt.Errorf("fakeas: %q is no scope", scope)
		}
	}
	if o.Push < PushNone || o.Push > PushRequired {
		return nil, fmt.Errorf("fakeas: %d is no Push", o.Push)
	}
	if err := o.completePKCE(); err != nil {
		return nil, err
	}
	if err := o.completePeople(); err != nil {
		return nil, err
	}
	if err := o.completeClients(); err != nil {
		return nil, err
	}
	return o, nil
}
