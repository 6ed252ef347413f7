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
	methods := map[AuthMethod]bool{}
	for _, client := range o.clients {
		if client.Auth == EitherAuth {
			methods[BasicAuth], methods[PostAuth] = true, true
		} else {
			methods[client.Auth] = true
		}
	}
	base := strings.TrimSuffix(x.base, "/")
	members := map[string]any{
		"issuer":                        x.base,
		"device_authorization_endpoint": base + paths[DeviceAuthorization],
		"token_endpoint":                base + paths[Token],
		"revocation_endpoint":           base + paths[Revocation],
		"scopes_supported":              o.Scopes,
		"response_types_supported":      []string{},
		"grant_types_supported": []string{
			"urn:ietf:params:oauth:grant-type:device_code", "refresh_token",
		},
		"token_endpoint_auth_methods_supported":      slices.Sorted(maps.Keys(methods)),
		"revocation_endpoint_auth_methods_supported": slices.Sorted(maps.Keys(methods)),
	}
	if o.Metadata != nil {
		o.Metadata(members)
	}
	return x.json(http.StatusOK, members, nil)
}
