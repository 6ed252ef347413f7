package lazyauth

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// MetaAccount is the key in a tool result's _meta that says whose access to the service
// was used, by the name that the service knows them by: a person who approved with the
// wrong account notices. It is there only if the name was learnt: see
// [Service.UserInfo].
const MetaAccount = "io.github.lazyauth/account"

// An Identity is who signed in, as the service says.
type Identity struct {
	// Subject identifies the person to the service, such as OpenID Connect's "sub".
	Subject string `json:"subject,omitempty"`
	// Name is what people know the account by, such as a login name or an address.
	Name string `json:"name,omitempty"`
}

// maxIdentity is the length of the longest subject or name.
const maxIdentity = 256

// IsZero reports whether nothing is known.
func (id Identity) IsZero() bool { return id == Identity{} }

func (id Identity) check() error {
	for _, text := range []string{id.Subject, id.Name} {
		if len(text) > maxIdentity || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("lazyauth: an identity must be at most %d bytes of printable text", maxIdentity)
		}
	}
	return nil
}

// A Status is what is known of somebody's access to the service. It holds no token.
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
	// Renewable is whether there is a refresh token, so that nobody is asked at the
	// end.
	Renewable bool
	// Configured is whether it is the operator's token: see Options.Token.
	Configured bool
}
