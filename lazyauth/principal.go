package lazyauth

import "github.com/lazyauth/mcp-lazyauth/internal/names"

// LocalUser is the person who runs a stdio server: the principal without an issuer and a subject.
var LocalUser = Principal{}

// A Principal is the person whose grant a call uses. The zero value is [LocalUser].
type Principal struct {
	// Issuer identifies who vouches for the subject, as the "iss" of a bearer
	// token. It may be empty if there is only one.
	Issuer string
	// Subject identifies the person to that issuer.
	Subject string
	// Account tells several grants of one person for the service apart: "work" and
	// "private". It is at most 64 printable characters, blanks of all
	// kinds and the joiners of scripts included; see [Options.Account].
	Account string
}

// IsLocal reports whether p is the local user, with whatever account.
func (p Principal) IsLocal() bool { return p.Issuer == "" && p.Subject == "" }

// String returns a form for logs.
func (p Principal) String() string {
	var who string
	switch {
	case p.IsLocal():
		who = "local user"
	case p.Issuer == "":
		who = p.Subject
	default:
		who = p.Subject + " of " + p.Issuer
	}
	if p.Account != "" {
		who += ", account " + names.Isolate(p.Account)
	}
	return who
}
