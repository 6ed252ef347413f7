package lazyauth

import (
	"maps"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// MetaAccount is the key in a tool result's _meta that says whose access to the service
// was used, by the name that the service knows them by: a person who approved with the
// wrong account notices. It is there only if the name was learnt: see
// [Service.UserInfo]. A name that is written from right to left is isolated (UAX 9), so
// that it can be put between other words.
const MetaAccount = "io.github.lazyauth/account"

// An Identity is who signed in, as the service says.
type Identity struct {
	// Subject identifies the person to the service, such as OpenID Connect's "sub".
	Subject string `json:"subject,omitempty"`
	// Name is what people know the account by, such as a login name or an address.
	Name string `json:"name,omitempty"`
}

// IsZero reports whether nothing is known.
func (id Identity) IsZero() bool { return id == Identity{} }

// A Status is what is known of a person's access to the service. It holds no token.
type Status struct {
	// Principal is whose it is, their account included.
	Principal Principal
	// Identity is who signed in, if that was learnt.
	Identity Identity
	// Scopes is what was granted; empty for an operator's token of which the service
	// does not tell.
	Scopes scopes.Set
	// Expires is when the access token ends; zero if it does not, or does not say.
	Expires time.Time
	// Renewable is whether there is a refresh token, so that the person is not asked at the
	// end.
	Renewable bool
	// Configured is whether it is the operator's token: see Options.Token.
	Configured bool
	// Unattended is how it was got, if nobody was asked: "exchange", "identity", "credentials" or
	// "token", which are the fields of [Unattended]; empty otherwise.
	Unattended string
	// ID names all that came of one sign-in, as in an [AuditEntry]; Since is when the person gave
	// it, and Renewed when it was last refreshed, which happens only when a call needs it. Empty
	// and zero: it is not known, as of grants that were stored by earlier versions.
	ID             string
	Since, Renewed time.Time
	// Hosts is what the programs call themselves through which it was asked for, the latest last, at
	// most eight: anybody can call themselves anything. Others may use it, and have not asked.
	Hosts []string
}

// named returns result with whose grant was used, if that is known.
func named(p *asking.Person, result *mcp.CallToolResult) *mcp.CallToolResult {
	g := p.Grant()
	if g == nil || g.Identity().Name == "" {
		return result
	}
	if result == nil {
		result = new(mcp.CallToolResult)
	}
	if result.InputRequests != nil || result.IsError {
		return result
	}
	meta := mcp.Meta{MetaAccount: names.Isolate(g.Identity().Name)}
	maps.Copy(meta, result.Meta)
	copied := *result // the handler may return one for all calls
	copied.Meta = meta
	return &copied
}
