package fakeas

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authorization is an authorization request (RFC 6749 §4.1.1) on its way
// through the pages. What stands above decided never changes.
type authorization struct {
	ticket      string   // names it in the pages' forms
	session     *session // of the browser that it is shown in
	client      *Client
	redirectURI string
	state       string // empty: none
	challenge   string // empty: none
	scopes      []string
	hint        string // login_hint
	prompts     []string
	pushed      *pushed // nil: it stood in the address
	expires     time.Time

	// Under the server's mutex.
	decided  decision
	location string // where the decision sent the browser
}

// fault is why an authorization request is refused.
type fault struct {
	code, description string
	page              bool // shown, as nobody can be sent back (RFC 6749 §4.1.2.1)
}

const (
	maxQuery        = 16 << 10 // bytes of an authorization request
	requestLifetime = 10 * time.Minute
)

// authorize answers RFC 6749 §4.1.1 with the first page, or by sending the
// browser back.
func (x *exchange) authorize() reply {
	if x.r.Method != http.MethodGet {
		return notAllowed(http.MethodGet)
	}
	a, f := x.readRequest()
	var out reply
	switch {
	case f == nil:
		out = x.begin(a)
	case f.page:
		out = x.problem(http.StatusBadRequest, f.code, f.description)
	default:
		out = x.respond(a, url.Values{"error": {f.code}, "error_description": {f.description}}, f.code)
	}
	x.see(out.outcome)
	return out
}

// readRequest takes an authorization request out of the address. With a fault
// that is not for a page, the authorization says where to send the browser.
func (x *exchange) readRequest() (*authorization, *fault) {
	if _, err := url.ParseQuery(x.r.URL.RawQuery); err != nil || len(x.r.URL.RawQuery) > maxQuery {
		x.violate(MalformedBody, "query")
		return nil, &fault{"invalid_request", "The address is malformed or too long.", true}
	}
	x.asked = x.query
	client := x.find(x.asked.Get("client_id"))
	if x.query.Get("request_uri") != "" {
		return x.readPushed(client)
	}
	a, f := x.judge(client)
	if f == nil && x.server.opts.Push == PushRequired {
		x.violate(NotPushed, "")
		f = &fault{"invalid_request", "pushed authorization requests are required", false}
	}
	return a, f
}

// judge holds the parameters of an authorization request, wherever they
// stood, against what the client may ask for.
func (x *exchange) judge(client *Client) (*authorization, *fault) {
	params, o := x.asked, x.server.opts
	var first *fault
	refuse := func(code, description string, page bool) {
		if first == nil {
			first = &fault{code, description, page}
		}
	}
	broke := func(rule Rule, detail, code, description string, page bool) {
		x.violate(rule, detail)
		refuse(code, description, page)
	}

	// Whether anybody can be sent back at all.
	if client == nil {
		if params.Get("client_id") == "" {
			broke(MissingParameter, "client_id", "invalid_request", "The address does not say which application it is from.", true)
		}
		refuse("invalid_client", x.unknownClient(), true)
	}
	uri := params.Get("redirect_uri")
	switch {
	case uri == "":
		broke(MissingParameter, "redirect_uri", "invalid_request", "The address does not say where to return to.", true)
	case client != nil && !client.mayRedirect(uri, o):
		refuse("invalid_redirect_uri", "The application may not have you return to where it says.", true)
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if len(params[name]) > 1 && name != "resource" && name != "audience" {
			broke(RepeatedParameter, quote(name), "invalid_request", "repeated parameter", name == "client_id" || name == "redirect_uri")
		}
		if slices.Contains(foreignToAuthorizationRequest, name) {
			x.violate(UnexpectedParameter, quote(name)) // ignored: RFC 6749 §3.1
		}
	}

	if client != nil && !client.mayUse(Authorization) {
		refuse("unauthorized_client", "not registered for authorization codes", false)
	}
	switch response := params.Get("response_type"); {
	case response == "":
		broke(MissingParameter, "response_type", "invalid_request", "no response_type", false)
	case response != "code":
		broke(WrongResponseType, "", "unsupported_response_type", "code is supported", false)
	}
	if mode := params.Get("response_mode"); mode != "" && mode != "query" {
		refuse("invalid_request", "unsupported response_mode", false)
	}
	if params.Get("request") != "" {
		refuse("request_not_supported", "signed requests are not supported", false) // RFC 9101 §6.1, OpenID Connect Core 1.0 §6
	}
	challenge, rule, description := readChallenge(o.PKCE, params.Get("code_challenge"), params.Get("code_challenge_method"))
	if rule != "" {
		broke(rule, "", "invalid_request", description, false)
	}
	if challenge != "" && x.isReused("code_challenge", challenge) {
		x.violate(ChallengeReused, "")
	}
	switch state := params.Get("state"); {
	case state != "" && x.isReused("state", state):
		x.violate(StateReused, "")
	case state == "" && challenge == "" && rule == "": // nothing that a forged response would have to match
		x.violate(MissingState, "")
	}
	asked, ok := parseScope(params.Get("scope"))
	if !ok {
		broke(MalformedScope, "", "invalid_scope", "malformed scope", false)
	}
	asked = x.server.scopesOr(asked)
	if len(without(asked, o.Scopes)) > 0 {
		refuse("invalid_scope", "unknown scope", false)
	}
	prompts := strings.Fields(params.Get("prompt"))
	if len(without(prompts, []string{"none", "login", "consent", "select_account"})) > 0 ||
		len(prompts) > 1 && slices.Contains(prompts, "none") {
		refuse("invalid_request", "unsupported prompt", false)
	}
	if o.NoHintInURL && x.query.Get("login_hint") != "" {
		broke(HintInURL, "", "invalid_request", "login_hint in the address", false)
	}
	if missing := o.missing(Authorization, params); missing != "" {
		broke(MissingParameter, missing, codeForMissing(missing), "missing parameter", false)
	}

	if first != nil && first.page {
		return nil, first
	}
	return &authorization{
		client: client, redirectURI: uri, state: params.Get("state"), challenge: challenge,
		scopes: asked, hint: params.Get("login_hint"), prompts: prompts,
	}, first
}

// foreignToAuthorizationRequest are parameters of other requests.
var foreignToAuthorizationRequest = []string{"grant_type", "device_code", "token", "code", "username", "password"}

// unknownClient is what the person is told of a client that was not found.
func (x *exchange) unknownClient() string {
	if x.why != "" {
		return "The application is not known here: " + x.why + "."
	}
	return "The application is not known here."
}

// isReused reports whether another authorization request had the same value. A
// page that is loaded again is none.
func (x *exchange) isReused(name, value string) bool {
	s, text := x.server, sha256.Sum256([]byte(x.asked.Encode()))
	key := [2]string{name, value[:min(len(value), 200)]}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.onceOnly[key]
	if !ok && len(s.onceOnly) < maxPaces {
		s.onceOnly[key] = text
	}
	return ok && old != text
}

// begin shows the first page of a request, or answers it without.
func (x *exchange) begin(a *authorization) reply {
	s := x.server
	a.ticket = rand.Text()
	a.session = x.session(true)
	a.expires = time.Now().Add(requestLifetime)
	s.mu.Lock()
	s.pruneAuthorizations(time.Now())
	s.authorizations[a.ticket] = a
	who := a.session.subject
	s.mu.Unlock()
	x.pending = a

	silent := slices.Contains(a.prompts, "none")
	hinted, known := s.opts.hinted(a.hint)
	switch {
	case silent && who == "":
		return x.respond(a, url.Values{"error": {"login_required"}}, "login_required")
	case silent && !x.remembers(a, who):
		return x.respond(a, url.Values{"error": {"consent_required"}}, "consent_required")
	case who == "", slices.Contains(a.prompts, "login"), slices.Contains(a.prompts, "select_account"), known && hinted.Subject != who && !silent:
		return x.show(x.signInView(a))
	}
	return x.ask(a, who)
}

// ask shows what a request asks of who is signed in, or approves it where the
// person has before.
func (x *exchange) ask(a *authorization, who string) reply {
	if x.remembers(a, who) && !slices.Contains(a.prompts, "consent") {
		return x.conclude(a, approved, who, nil)
	}
	return x.show(x.consentView(a, who))
}

// remembers reports whether the person has granted all that is asked for
// before, and the server goes by that.
func (x *exchange) remembers(a *authorization, who string) bool {
	s := x.server
	s.mu.Lock()
	defer s.mu.Unlock()
	granted, ok := s.consents[[2]string{who, a.client.ID}]
	return s.opts.RememberConsent && ok && len(without(without(a.scopes, s.opts.Withhold), granted)) == 0
}

// conclude takes the person's decision and sends the browser back with it. The
// same decision again, as a form that is sent twice, leads to the same place.
func (x *exchange) conclude(a *authorization, what decision, who string, granted []string) reply {
	s, now := x.server, time.Now()
	outcome := map[decision]string{approved: "approved", denied: "denied"}[what]
	s.mu.Lock()
	old, location := a.decided, a.location
	if old == undecided {
		a.decided = what
	}
	s.mu.Unlock()
	switch {
	case old == what && location != "":
		return x.sendTo(location, outcome)
	case old != undecided:
		return x.problem(http.StatusGone, "used-request", "This request has been answered already.")
	case what == denied:
		return x.respond(a, url.Values{"error": {"access_denied"}, "error_description": {"the person denied"}}, outcome)
	}

	if len(granted) == 0 {
		granted = without(a.scopes, s.opts.Withhold)
	}
	text := "ac_" + rand.Text()
	s.mu.Lock()
	s.codes[text] = &code{
		clientID: a.client.ID, redirectURI: a.redirectURI, challenge: a.challenge, subject: who,
		scopes: slices.Clone(granted), expires: now.Add(s.opts.AuthorizationCodeLifetime),
	}
	key := [2]string{who, a.client.ID}
	s.consents[key] = append(without(s.consents[key], granted), granted...)
	s.mu.Unlock()
	return x.respond(a, url.Values{"code": {text}}, outcome)
}

// pruneAuthorizations forgets what nobody can come back to. The caller holds
// the mutex.
func (s *Server) pruneAuthorizations(now time.Time) {
	if len(s.authorizations)+len(s.codes)+len(s.pushes) < s.pruneAuthAt {
		return
	}
	maps.DeleteFunc(s.authorizations, func(_ string, a *authorization) bool { return now.After(a.expires) })
	maps.DeleteFunc(s.codes, func(_ string, c *code) bool { return now.After(c.expires.Add(requestLifetime)) })
	maps.DeleteFunc(s.pushes, func(_ string, p *pushed) bool { return now.After(p.expires) })
	s.pruneAuthAt = max(1024, 2*(len(s.authorizations)+len(s.codes)+len(s.pushes)))
}
