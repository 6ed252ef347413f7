package fakeas

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// metadata answers RFC 8414 §3.2, and OpenID Connect Discovery with the same
// document.
func (x *exchange) metadata() reply {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return notAllowed("GET, HEAD")
	}
	o := x.server.opts
	methods := x.server.authMethods()
	base := strings.TrimSuffix(x.base, "/")
	members := map[string]any{
		"issuer":                                     x.base,
		"token_endpoint":                             base + paths[Exchange],
		"revocation_endpoint":                        base + paths[Revocation],
		"scopes_supported":                           o.Scopes,
		"response_types_supported":                   []string{},
		"token_endpoint_auth_methods_supported":      methods,
		"revocation_endpoint_auth_methods_supported": methods,
	}
	if o.Registration {
		members["registration_endpoint"] = base + paths[Registration]
	}
	if o.ClientDocument != nil {
		members["client_id_metadata_document_supported"] = true
	}
	members["grant_types_supported"] = o.grantTypes()
	if !o.NoDevice {
		members["device_authorization_endpoint"] = base + paths[DeviceAuthorization]
	}
	if !o.NoAuthorization {
		members["authorization_endpoint"] = base + paths[Authorization]
		members["response_types_supported"] = []string{"code"}
		members["response_modes_supported"] = []string{"query"}
		members["prompt_values_supported"] = []string{"none", "login", "consent", "select_account"}
		if !o.NoIss {
			members["authorization_response_iss_parameter_supported"] = true // RFC 9207 §3
		}
	}
	if !o.NoAuthorization && o.Push != PushNone {
		members["pushed_authorization_request_endpoint"] = base + paths[PushedAuthorization]
		if o.Push == PushRequired {
			members["require_pushed_authorization_requests"] = true
		}
	}
	if o.pkceNamed() {
		members["code_challenge_methods_supported"] = []string{"S256"}
	}
	o.Unattended.metadata(members, base)
	if o.Metadata != nil {
		o.Metadata(members)
	}
	return x.json(http.StatusOK, members, nil)
}

// authMethods are those of the clients, and of those that may come.
func (s *Server) authMethods() []AuthMethod {
	methods := map[AuthMethod]bool{}
	if s.opts.Registration {
		methods[NoAuth], methods[BasicAuth], methods[PostAuth] = true, true, true
	}
	if s.opts.ClientDocument != nil {
		methods[NoAuth] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range s.clients {
		if client.Auth == EitherAuth {
			methods[BasicAuth], methods[PostAuth] = true, true
		} else {
			methods[client.Auth] = true
		}
	}
	return slices.Sorted(maps.Keys(methods))
}
