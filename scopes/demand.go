package scopes

import (
	"net/http"
	"slices"
)

// A Demand is what a response of an API asks of the client before it would
// answer otherwise. The zero Demand asks for nothing: the response is the
// answer, and the client's to deal with. Demands can be compared with ==.
//
// A demand is what a server wrote. Whoever acts on it holds it against a limit
// of their own, with [Hierarchy.Narrowest], and acts on it a bounded number of
// times: the same demand may come again.
type Demand struct {
	// Fresh says that the token was refused as such: it has expired, was
	// revoked, or is unknown. A refreshed one may do.
	Fresh bool
	// SignIn says, with Fresh, that a new sign-in by the person may help where no
	// refreshed token is to be had, or that one is refused too. Without it the
	// response is then the answer: nobody is to be asked.
	SignIn bool
	// More says that the scopes of the token do not suffice. With Fresh as well,
	// more scopes come first if what Needs says is not held; if it is, only
	// another token can help.
	More bool
	// Needs is what the token has to have for the request, if Fresh or More. It
	// is nil if the response does not tell: then there is nothing to ask for by
	// name.
	Needs Requirement
	// Held is what the token has, according to the response; HeldKnown says
	// that the response tells. People can take scopes away from a token after
	// it was issued, so this may be less than was granted. If it is more, it is
	// no reason to ask for more.
	Held      Set
	HeldKnown bool
}

// IsZero reports whether d asks for nothing.
func (d Demand) IsZero() bool { return d == Demand{} }

// A Dialect reads what a response asks of the client from its status and
// header. It decides alone: one that only adds to the standard returns
// [BearerDemand] for everything else. [GitHubDemand] and [GoogleDemand] are
// others.
//
// It is given the final response to a request that carried a token, from an
// origin that the token belongs to; what other origins say means nothing. It
// must not change the header or keep it, and may be called concurrently. An
// error says that the response cannot be understood, and means that the client
// refuses to go on: it neither asks the person nor sends the request again. Its
// text must repeat nothing of what the server wrote.
type Dialect func(status int, header http.Header) (Demand, error)

// BearerDemand is the [Dialect] of RFC 6750.
//
// A 401 refuses the token that the request carried (RFC 9110 §15.5.2), whatever
// its header says, so it always asks for a fresh one and is never an error. A new
// sign-in may help ([Demand].SignIn) if there is no challenge, as several APIs
// have it, or a Bearer challenge with the error invalid_token, with another that
// speaks of the token, such as expired_token, or with none (RFC 6750 §3 has it
// left out only if the request had no token; servers differ). Other errors call
// for what a sign-in does not bring, such as insufficient_user_authentication
// (RFC 9470) and Entra's insufficient_claims, and so do other schemes alone. For
// this a Bearer challenge is recognized however it is written: without commas, in
// single quotes, with bare URLs, among others that nobody can read.
//
// On 403 the Bearer challenges in WWW-Authenticate decide, and have to be read in
// full; the errors are those of [ParseChallenges]. The error invalid_token asks
// for a fresh token and insufficient_scope for more scopes. Everything else is
// the zero Demand.
//
// A 401 with insufficient_scope, which RFC 6750 §3.1 wants to be a 403, asks for
// more scopes as well as for a fresh token, and for no sign-in otherwise. What a
// 401 needs is told only if all of its challenges can be read. Scopes of several
// Bearer challenges are alternatives, since a client may choose among challenges
// (RFC 9110 §11.6.1).
//
// On all other statuses nothing is asked for.
func BearerDemand(status int, header http.Header) (Demand, error) {
	refused := status == http.StatusUnauthorized
	if !refused && status != http.StatusForbidden {
		return Demand{}, nil
	}
	values := header.Values("WWW-Authenticate")
	challenges, err := ParseChallenges(values) // none on error
	if err != nil && !refused {
		return Demand{}, err
	}
	bare := refused && !slices.ContainsFunc(challenges, func(c Challenge) bool { return c.Error != "" })
	var d Demand
	var needs []Set
	for _, c := range challenges {
		switch {
		case c.Scheme != "bearer":
			continue
		case c.Error == InsufficientScope:
			d.More = true
		case c.Error == InvalidToken:
			d.Fresh, d.SignIn = true, true
		case !bare:
			continue
		}
		if !c.Scopes.IsEmpty() {
			needs = append(needs, c.Scopes)
		}
	}
	if len(needs) > 0 {
		d.Needs = AnyOf(needs...)
	}
	if refused {
		d.Fresh, d.SignIn = true, signInHelps(values)
	}
	return d, nil
}
