// Package device speaks the OAuth 2.0 device authorization grant (RFC 8628) as a client
// of package oauth: it asks for a device code ([Client.Authorize]) and then, time and again,
// whether the person has decided ([Client.Poll]).
//
// What package oauth says of servers holds here, too: they are trusted with tokens and
// with nothing else.
//
// # Who decides
//
// While polling, these verdicts weigh otherwise than elsewhere:
//
//   - Under 408, 425 and 429 any word but authorization_pending and slow_down is that of
//     a limit.
//   - An error that is not known ends the login too, if it comes in JSON under a 4xx
//     (RFC 8628 §3.5).
//   - Three successes that cannot be read end it.
//
// A code that the server calls denied, expired or unknown, after the answer to a poll was
// lost, may be one that the lost answer has used up: see [ErrAnswerLost].
//
// # Client authentication
//
// Where it has to be found out how a client with a secret authenticates, the second try of
// a poll is the next poll, an interval later. RFC 8628 §3.5 ends polling at invalid_client
// as at any other error; but a request that is not known to come from the client has told
// the server nothing about the login, and an approval would be lost for a detail of
// configuration.
//
// # PKCE
//
// Where the metadata lists S256, a code is bound to a verifier (RFC 7636), as Keycloak and
// Rauthy can demand of devices. Who learns a device code, from a log of the server's for
// example, then gets nothing for it. See request.go for servers that do not expect this.
//
// # Waiting
//
// Two polls are never closer together than the interval, counted from the answer
// to the first until the second is sent. A fault makes the wait before the retry longer,
// and no other. The last poll is put off until just before the code's end, so that no
// approval is missed; where the interval is not shorter than the code's life it is the
// only one, and sent then all the same. When that is says [Authorization.Next]; nothing here waits.
package device
