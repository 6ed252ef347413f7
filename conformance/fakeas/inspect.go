package fakeas

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// grantTypes are what the token endpoint is asked for.
var grantTypes = map[string]Operation{
	grantDevice:  Poll,
	grantCode:    Exchange,
	grantRefresh: Refresh,

	grantExchange:    TokenExchange,
	grantJWT:         Assertion,
	grantCredentials: ClientCredentials,
}

// grants reports whether the token endpoint has the grant of an operation.
func (o *settings) grants(op Operation) bool {
	return (op != Poll || !o.NoDevice) && (op != Exchange || !o.NoAuthorization) && o.Unattended.has(op)
}

// grammar says which parameters belong into the body of a request. What is
// in neither list is an extension, and left alone, on a device authorization
// request and a pushed one (RFC 8628 §3.1 and RFC 6749 §8.2 are open to
// extension parameters, such as resource);
// the other requests have none but those named here and those that
// [Options.Demand] names.
type grammar struct{ required, allowed []string }

var grammars = map[Operation]grammar{
	DeviceAuthorization: {nil, []string{"client_id", "client_secret", "scope", "code_challenge", "code_challenge_method"}},
	Poll:                {[]string{"grant_type", "device_code"}, []string{"client_id", "client_secret", "code_verifier", "resource", "audience"}},
	Exchange:            {[]string{"grant_type", "code", "redirect_uri"}, []string{"client_id", "client_secret", "code_verifier", "resource", "audience"}},
	Refresh:             {[]string{"grant_type", "refresh_token"}, []string{"client_id", "client_secret", "resource", "audience", "scope"}},
	TokenExchange: {
		[]string{"grant_type", "subject_token", "subject_token_type"},
		[]string{"client_id", "client_secret", "resource", "audience", "scope", "requested_token_type", "actor_token", "actor_token_type"},
	},
	Assertion:           {[]string{"grant_type", "assertion"}, []string{"client_id", "client_secret", "scope"}},
	ClientCredentials:   {[]string{"grant_type"}, []string{"client_id", "client_secret", "resource", "audience", "scope"}},
	PushedAuthorization: {nil, nil},
	OtherTokenRequest:   {[]string{"grant_type"}, nil},
	Revocation:          {[]string{"token"}, []string{"client_id", "client_secret", "token_type_hint"}},
}

// foreignToAuthorization are parameters of other requests.
var foreignToAuthorization = []string{"grant_type", "device_code", "refresh_token", "token", "code", "redirect_uri"}

// inspect records what is wrong with the request itself, whatever will be
// answered, and prepares the refusal of a request that no strict server
// would take.
func (x *exchange) inspect() {
	x.inspectPlaces()
	op := x.entry.Operation
	g, ok := grammars[op]
	if !ok {
		return
	}
	if x.r.Method != http.MethodPost {
		x.violate(WrongMethod, "")
		x.refused = func() reply { return notAllowed(http.MethodPost) }
		return
	}
	if x.form == nil {
		x.violate(WrongContentType, "")
		x.refused = x.refusal("invalid_request", "not a form")
		return
	}
	if x.fault {
		x.violate(MalformedBody, "")
		x.refused = x.refusal("invalid_request", "malformed or too long")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(x.form)) {
		if len(x.form[name]) > 1 && name != "resource" && name != "audience" {
			x.violate(RepeatedParameter, quote(name))
			x.refuseWith(x.refusal("invalid_request", "repeated parameter"))
		}
		if x.unexpected(op, g, name) {
			// Ignored in the answer: RFC 6749 §3.2.
			x.violate(UnexpectedParameter, quote(name))
		}
	}
	for _, name := range g.required {
		if x.form.Get(name) == "" {
			x.violate(MissingParameter, name)
			x.refuseWith(x.refusal("invalid_request", "missing parameter"))
		}
	}
	if missing := x.server.opts.missing(op, x.form); missing != "" {
		x.violate(MissingParameter, missing)
		x.refuseWith(x.refusal(codeForMissing(missing), "missing parameter"))
	}
	if verifier := x.form.Get("code_verifier"); verifier != "" && !isVerifier(verifier) {
		x.violate(MalformedVerifier, "")
		x.refuseWith(x.refusal("invalid_request", "malformed code_verifier"))
	}
	if scopes, ok := parseScope(x.form.Get("scope")); ok {
		x.scopes = scopes
	} else {
		x.violate(MalformedScope, "")
		x.refuseWith(x.refusal("invalid_scope", "malformed scope"))
	}
	if op == OtherTokenRequest && x.form.Get("grant_type") != "" {
		x.violate(WrongGrantType, "")
		x.refuseWith(x.refusal("unsupported_grant_type", "unsupported grant type"))
		return // the parameters and the authentication of which grant?
	}
	client, refused := x.authenticate()
	x.client = client
	x.refuseWith(refused)
	if client != nil && !client.mayUse(op) {
		x.refuseWith(x.refusal("unauthorized_client", "not registered for this grant type"))
	}
}

func (x *exchange) unexpected(op Operation, g grammar, name string) bool {
	switch op {
	case DeviceAuthorization:
		return slices.Contains(foreignToAuthorization, name)
	case OtherTokenRequest, PushedAuthorization: // which judge looks at
		return false
	}
	return !slices.Contains(g.required, name) && !slices.Contains(g.allowed, name) && !x.server.opts.demands(op, name)
}

// inspectPlaces looks for secrets where they have no business.
func (x *exchange) inspectPlaces() {
	op, s := x.entry.Operation, x.server
	_, protocol := grammars[op]
	api := op == Me || op == ListNotes || op == CreateNote

	for _, name := range slices.Sorted(maps.Keys(x.query)) {
		switch name {
		case "client_secret":
			x.violate(SecretInQuery, "")
		case "access_token":
			x.violate(BearerInQuery, "")
		case "device_code":
			x.violate(DeviceCodeElsewhere, "in the query")
		case "refresh_token":
			x.violate(RefreshTokenElsewhere, "in the query")
		case "code_verifier":
			x.violate(VerifierElsewhere, "in the query")
		default:
			if protocol {
				x.violate(UnexpectedParameter, quote(name)+" in the query")
			}
		}
	}
	if x.r.URL.Scheme == "http" && op == Elsewhere {
		host := x.r.URL.Hostname()
		if strings.EqualFold(host, s.issuer.Hostname()) && s.issuer.Scheme == "https" ||
			strings.EqualFold(host, s.api.Hostname()) && s.api.Scheme == "https" {
			x.violate(InsecureTransport, "")
		}
	}
	if x.bearer != "" && !api && op != ClientConfiguration {
		x.violate(BearerElsewhere, "")
	}
	if !protocol {
		if x.basic != nil || x.form.Get("client_secret") != "" {
			x.violate(SecretElsewhere, "")
		}
		if x.form.Get("refresh_token") != "" {
			x.violate(RefreshTokenElsewhere, "in the body")
		}
	}
	if x.form.Get("code_verifier") != "" && op != Poll && op != Exchange && op != OtherTokenRequest {
		x.violate(VerifierElsewhere, "in the body")
	}
	if x.form.Get("device_code") != "" && op != Poll && op != Refresh && op != OtherTokenRequest {
		x.violate(DeviceCodeElsewhere, "in the body")
	}

	s.mu.Lock()
	carried := x.bearer
	if op == Revocation {
		carried = x.form.Get("token")
	}
	isDevice, isRefresh := s.devices[carried] != nil, s.refresh[carried] != nil
	manages := s.isRegistrationToken(carried) || s.isRegistrationToken(x.query.Get("access_token"))
	s.mu.Unlock()
	if manages && op != ClientConfiguration {
		x.violate(RegistrationElsewhere, "")
	}
	if isDevice {
		x.violate(DeviceCodeElsewhere, "as a token")
	}
	if isRefresh && op != Revocation {
		x.violate(RefreshTokenElsewhere, "as a bearer token")
	}
}

// refuseWith keeps the first refusal.
func (x *exchange) refuseWith(refused func() reply) {
	if x.refused == nil {
		x.refused = refused
	}
}

// refusal is a refuse for later.
func (x *exchange) refusal(code, description string) func() reply {
	return func() reply { return x.refuse(http.StatusBadRequest, code, description) }
}

// quote bounds a name that the client chose.
func quote(name string) string { return strconv.Quote(name[:min(len(name), 40)]) }
