package asking

import (
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ClientID implements [grants.Asker]: the host's client id, where the person sits at this
// machine as the host does.
//
//go:noinline
func (a *asker) ClientID() string {
	call := a.host.Request().Call
	if call == nil || !a.person.Who().IsLocal() {
		return ""
	}
	return OfferedClientID(call.Params.Meta)
}

// Program implements [grants.Asker]: the name in the host's clientInfo.
//
//go:noinline
func (a *asker) Program() string { return programOf(a.host.Request().Call) }

// CallersClient implements [grants.Asker]: "client_id" (RFC 9068 §2.2, RFC 7662 §2.2), or else "azp" (OpenID Connect
// Core 1.0 §2), of what the verifier of the bearer token has put into its Extra.
//
//go:noinline
func (a *asker) CallersClient() string {
	call := a.host.Request().Call
	if call == nil || call.Extra == nil || call.Extra.TokenInfo == nil {
		return ""
	}
	for _, claim := range []string{"client_id", "azp"} {
		if id, _ := call.Extra.TokenInfo.Extra[claim].(string); id != "" {
			return keepable(id)
		}
	}
	return ""
}

func programOf(call *mcp.CallToolRequest) string {
	if call == nil {
		return ""
	}
	if info := call.ClientInfo(); info != nil {
		return keepable(info.Name)
	}
	return ""
}

// mostKept is how much of a name is kept, in bytes: more than is shown of one.
const mostKept = 512

// keepable returns what a flight may keep of a host's text, for longer than the request lasts that brought it.
func keepable(text string) string {
	if len(text) > mostKept {
		return strings.Clone(text[:mostKept])
	}
	return text
}

// OfferedClientID returns the client id that a host offers to be known by: auth.cimd.clientId
// in the capabilities of a request of the newer era (SEP-2059 §6); empty if there is none. It
// is whatever the host wrote.
//
// Up to 2025-11-25 capabilities come once, with initialize, of which the SDK (v1.8.0) keeps what it
// has fields for. A host that speaks those passes its id in the environment.
func OfferedClientID(meta map[string]any) string {
	if !Modern(meta) {
		return ""
	}
	at := meta[mcp.MetaKeyClientCapabilities]
	for _, name := range []string{"auth", "cimd", "clientId"} {
		object, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = object[name]
	}
	id, _ := at.(string)
	return id
}
