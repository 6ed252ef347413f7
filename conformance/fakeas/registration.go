package fakeas

import (
	"crypto/rand"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// registration is a client that has registered by itself (RFC 7591).
type registration struct {
	client  *Client
	token   string         // registration_access_token
	members map[string]any // as it was answered, less that and the secret
}

// maxRegistrations bounds the clients that register.
const maxRegistrations = 10_000

// register answers RFC 7591 §3.1 as §3.2 says.
func (x *exchange) register() reply {
	if x.r.Method != http.MethodPost {
		x.violate(WrongMethod, "")
		return notAllowed(http.MethodPost)
	}
	if mediaType, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type")); mediaType != "application/json" {
		x.violate(WrongContentType, "")
		return x.refuse(http.StatusBadRequest, "invalid_client_metadata", "not JSON")
	}
	m, err := readClientMetadata(x.body)
	if err != nil || x.fault {
		x.violate(MalformedBody, "")
		return x.refuse(http.StatusBadRequest, "invalid_client_metadata", "malformed or too long")
	}
	s, now := x.server, time.Now()
	code, description := m.check(s.opts)
	if m.auth == "" {
		m.auth = BasicAuth // RFC 7591 §2
	}
	if known := m.auth == NoAuth || m.auth == BasicAuth || m.auth == PostAuth; !known && code == "" {
		code, description = "invalid_client_metadata", "a token_endpoint_auth_method that is not supported"
	}
	if code != "" {
		return x.refuse(http.StatusBadRequest, code, description)
	}

	c := &Client{
		ID: "cl_" + rand.Text(), Name: m.name, Auth: m.auth,
		RedirectURIs: append([]string{}, m.redirectURIs...), GrantTypes: m.grantTypes,
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	members := map[string]any{
		"client_id": c.ID, "client_id_issued_at": now.Unix(), "redirect_uris": c.RedirectURIs,
		"token_endpoint_auth_method": m.auth, "grant_types": m.grantTypes, "response_types": append([]string{}, m.responseTypes...),
		"registration_client_uri": strings.TrimSuffix(x.base, "/") + paths[Registration] + "/" + c.ID,
	}
	for name, value := range map[string]string{"client_name": m.name, "scope": m.scope, "application_type": m.application} {
		if value != "" {
			members[name] = value
		}
	}
	r := &registration{client: c, token: "rat_" + rand.Text(), members: members}
	answer := maps.Clone(members)
	answer["registration_access_token"] = r.token
	if m.auth != NoAuth {
		c.Secret = "cs_" + rand.Text()
		answer["client_secret"], answer["client_secret_expires_at"] = c.Secret, 0
		if life := s.opts.ClientSecretLifetime; life > 0 {
			c.secretExpires = now.Add(life)
			answer["client_secret_expires_at"] = c.secretExpires.Unix()
		}
	}

	s.mu.Lock()
	full := len(s.registrations) >= maxRegistrations
	if !full {
		s.clients[c.ID] = c
		s.registrations = append(s.registrations, r)
	}
	s.mu.Unlock()
	if full {
		return x.refuse(http.StatusServiceUnavailable, "temporarily_unavailable", "no room for more clients")
	}
	x.entry.ClientID = c.ID
	return x.json(http.StatusCreated, answer, nil)
}

// configure answers RFC 7592 §2.1 (GET) and §2.3 (DELETE).
func (x *exchange) configure() reply {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodDelete {
		return notAllowed("GET, DELETE")
	}
	s := x.server
	id := x.r.URL.Path[strings.LastIndexByte(x.r.URL.Path, '/')+1:]
	s.mu.Lock()
	var members map[string]any
	for _, r := range s.registrations {
		if r.client.ID == id && sameSecret(r.token, x.bearer) {
			members = maps.Clone(r.members)
			members["registration_access_token"] = r.token
			if r.client.Secret != "" {
				members["client_secret"], members["client_secret_expires_at"] = r.client.Secret, 0
				if !r.client.secretExpires.IsZero() {
					members["client_secret_expires_at"] = r.client.secretExpires.Unix()
				}
			}
		}
	}
	s.mu.Unlock()
	if members == nil {
		header := http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}
		return x.json(http.StatusUnauthorized, map[string]any{"error": "invalid_token"}, header)
	}
	x.entry.ClientID = id
	if x.r.Method == http.MethodDelete {
		s.ForgetClient(id)
		return reply{status: http.StatusNoContent, header: http.Header{"Cache-Control": {"no-store"}}, outcome: OK}
	}
	return x.json(http.StatusOK, members, nil)
}

// RegisteredClients returns the clients that have registered by themselves, in
// that order, with their secrets.
func (s *Server) RegisteredClients() []Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	var clients []Client
	for _, r := range s.registrations {
		c := *r.client
		c.RedirectURIs, c.GrantTypes = slices.Clone(c.RedirectURIs), slices.Clone(c.GrantTypes)
		clients = append(clients, c)
	}
	return clients
}

// ForgetClient unregisters a client, as servers do that clean up. From then
// on it is unknown: invalid_client wherever it authenticates, and a page that
// sends nobody back at the authorization endpoint. Its access tokens live on.
func (s *Server) ForgetClient(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, id)
	s.registrations = slices.DeleteFunc(s.registrations, func(r *registration) bool { return r.client.ID == id })
}

// isRegistrationToken reports whether a text manages a client. The caller holds
// the mutex.
func (s *Server) isRegistrationToken(text string) bool {
	return text != "" && slices.ContainsFunc(s.registrations, func(r *registration) bool { return r.token == text })
}

// isRegistration reports whether a path is that of a registered client.
func isRegistration(path string) bool {
	id, ok := strings.CutPrefix(path, paths[Registration]+"/")
	return ok && id != "" && url.PathEscape(id) == id
}

// Ways in which the answer to a registration can be wrong, beside those of any
// answer. They are for [Edit] in a script for [Registration], and for
// [Options.Dialect].

// WithoutClientID leaves out the one member that a client cannot do without.
func WithoutClientID(_ *http.Request, a *Answer) { delete(a.Members, "client_id") }

// OtherRedirectURIs answers that other redirect URIs were registered than the
// client has asked for (RFC 7591 §3.2.1 lets a server replace any value).
func OtherRedirectURIs(_ *http.Request, a *Answer) {
	a.Members["redirect_uris"] = []string{"https://evil.example.test/callback"}
}

// UnaskedSecret gives a secret to a client that has asked to be a public one.
func UnaskedSecret(_ *http.Request, a *Answer) {
	a.Members["client_secret"], a.Members["client_secret_expires_at"] = "cs_unasked", 0
	a.Members["token_endpoint_auth_method"] = BasicAuth
}

// Huge makes an answer of eight mebibytes.
func Huge(_ *http.Request, a *Answer) { a.Members["padding"] = strings.Repeat("x", 8<<20) }
