package lazyauth

// A Spelling is how an authorization server departs from RFC 6749 in names, for servers whose
// documentation says so. Package providers has those of some.
type Spelling struct {
	// ScopeParam is the parameter that lists scopes in authorization requests and refreshes, such as
	// Slack's "user_scope". Empty means "scope".
	ScopeParam string
	// ScopeSeparator stands between scopes there: a blank, which empty means, or a comma, as
	// Linear has it.
	ScopeSeparator string
	// TokenMember is the member of a token answer that is an object with the token in it, and
	// with what is said of that, such as Slack's "authed_user". An answer whose object has no
	// access_token is read as others are. Empty means that the answer itself has the token.
	TokenMember string
}
