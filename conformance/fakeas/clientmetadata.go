package fakeas

import (
	"encoding/json"
	"errors"
	"slices"
	"unicode"
	"unicode/utf8"
)

// clientMetadata is what a client says of itself (RFC 7591 §2), in a
// registration request or in a document, as far as this server understands it.
type clientMetadata struct {
	id            string // client_id: in a document only
	redirectURIs  []string
	auth          AuthMethod
	grantTypes    []string
	responseTypes []string
	name, scope   string
	application   string // application_type (OpenID Connect Registration 1.0 §2)
	hasSecret     bool
}

const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"

	maxClientURIs = 20
	maxClientName = 200 // bytes
)

// errMetadata says that client metadata are no JSON object with members of the
// right types.
var errMetadata = errors.New("no JSON object, or a member of the wrong type")

// readClientMetadata reads a JSON object. Members that it does not know are
// left alone (RFC 7591 §2).
func readClientMetadata(text []byte) (clientMetadata, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return clientMetadata{}, errMetadata
	}
	m := clientMetadata{}
	for name, into := range map[string]any{
		"client_id":                  &m.id,
		"redirect_uris":              &m.redirectURIs,
		"token_endpoint_auth_method": &m.auth,
		"grant_types":                &m.grantTypes,
		"response_types":             &m.responseTypes,
		"client_name":                &m.name,
		"scope":                      &m.scope,
		"application_type":           &m.application,
	} {
		if value, ok := members[name]; ok && json.Unmarshal(value, into) != nil {
			return clientMetadata{}, errMetadata
		}
	}
	m.hasSecret = members["client_secret"] != nil || members["client_secret_expires_at"] != nil
	if m.grantTypes == nil {
		m.grantTypes = []string{grantCode}
	}
	if m.responseTypes == nil && slices.Contains(m.grantTypes, grantCode) {
		m.responseTypes = []string{"code"}
	}
	return m, nil
}

// check returns the error code (RFC 7591 §3.2.2) and what is wrong, or nothing.
func (m *clientMetadata) check(o *settings) (code, description string) {
	for _, uri := range m.redirectURIs {
		switch {
		case !isRedirectURI(uri):
			return "invalid_redirect_uri", "a redirect URI that nobody can be sent to safely"
		case o.OpenID && m.application != "native" && isLoopback(uri):
			return "invalid_redirect_uri", "http on this machine is for the application_type native"
		}
	}
	codes := slices.Contains(m.grantTypes, grantCode)
	_, scopeOK := parseScope(m.scope)
	switch {
	case len(m.redirectURIs) > maxClientURIs:
		return "invalid_redirect_uri", "too many redirect URIs"
	case codes && len(m.redirectURIs) == 0:
		return "invalid_redirect_uri", "no redirect URI for the authorization code grant"
	case len(without(m.grantTypes, o.grantTypes())) > 0:
		return "invalid_client_metadata", "a grant type that is not supported"
	case codes != slices.Equal(m.responseTypes, []string{"code"}), !codes && len(m.responseTypes) > 0:
		return "invalid_client_metadata", "response types that do not fit the grant types"
	case !scopeOK || len(without(scopeNames(m.scope), o.Scopes)) > 0:
		return "invalid_client_metadata", "unknown scopes"
	case len(m.name) > maxClientName || !utf8.ValidString(m.name) || slices.ContainsFunc([]rune(m.name), unicode.IsControl):
		return "invalid_client_metadata", "a client_name that cannot be shown"
	case m.application != "" && m.application != "web" && m.application != "native":
		return "invalid_client_metadata", "an unknown application_type"
	}
	return "", ""
}

// grantTypes are those that the server has.
func (o *settings) grantTypes() []string {
	grants := []string{grantRefresh}
	if !o.NoDevice {
		grants = append(grants, grantDevice)
	}
	if !o.NoAuthorization {
		grants = append(grants, grantCode)
	}
	return append(grants, o.Unattended.grantTypes()...)
}

func scopeNames(text string) []string {
	names, _ := parseScope(text)
	return names
}
