package scopes

import "net/http"

// A Demand is what a response of an API asks of the client before it would
// answer otherwise. The zero Demand asks for nothing: the response is the
// answer, and the client's to deal with. Demands can be compared with ==.
//
// A demand is what a server wrote. Whoever acts on it holds it against a limit
// of their own, with [Hierarchy.Narrowest], and acts on it a bounded number of
// times: the same demand may come again.
type Demand struct {
	// Fresh says that the token was refused as such: it has expired, was
	// revoked, or is unknown. A refreshed or new one may do.
	Fresh bool
	// More says that the token is good, and that its scopes do not suffice.
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
// [BearerDemand] for everything else. [GitHubDemand] is another one.
//
// It is given the final response to a request that carried a token, from an
// origin that the token belongs to; what other origins say means nothing. It
// must not change the header or keep it, and may be called concurrently. An
// error says that the response cannot be understood, and means that the client
// refuses to go on: it neither asks the person nor sends the request again. Its
// text must repeat nothing of what the server wrote.
type Dialect func(status int, header http.Header) (Demand, error)

// BearerDemand is the [Dialect] of RFC 6750. By the Bearer challenges in
// WWW-Authenticate, on the statuses 401 and 403:
//
//   - the error invalid_token asks for a fresh token,
//   - the error insufficient_scope asks for more scopes,
//   - on 401, no error in any of them asks for a fresh token (RFC 6750 §3 has
//     the error left out only if the request had no token; servers differ), and
//     so does a 401 without any challenge, which RFC 9110 §15.5.2 forbids and
//     several APIs send.
//
// Everything else is the zero Demand: other statuses, other errors, such as
// those that call for another kind of sign-in (RFC 9470), and challenges of
// other schemes alone. Scopes of several Bearer challenges are alternatives,
// since a client may choose among challenges (RFC 9110 §11.6.1).
//
// Its errors are those of [ParseChallenges].
func BearerDemand(status int, header http.Header) (Demand, error) {
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		return Demand{}, nil
	}
	challenges, err := ParseChallenges(header.Values("WWW-Authenticate"))
	if err != nil {
		return Demand{}, err
	}
	bare := status == http.StatusUnauthorized // no error code is a refused token
	for _, c := range challenges {
		bare = bare && c.Error == ""
	}
	d := Demand{Fresh: bare && len(challenges) == 0}
	var needs []Set
	for _, c := range challenges {
		switch {
		case c.Scheme != "bearer":
			continue
		case c.Error == InsufficientScope:
			d.More = true
		case c.Error == InvalidToken, bare:
			d.Fresh = true
		default:
			continue
		}
		if !c.Scopes.IsEmpty() {
			needs = append(needs, c.Scopes)
		}
	}
	if len(needs) > 0 {
		d.Needs = AnyOf(needs...)
	}
	return d, nil
}
