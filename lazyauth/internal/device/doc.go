// Package device speaks the OAuth 2.0 device authorization grant (RFC 8628) to an
// authorization server: it finds the endpoints ([Discover]), asks for a device
// code ([Client.Authorize]), waits until the person has decided ([Client.Poll])
// and later refreshes the token ([Client.Refresh]).
//
// It knows nothing of MCP. It trusts an authorization server with tokens and with
// nothing else: every number it sends is bounded, every URL and every text that a
// person might see is checked, bodies are read up to a limit, no redirect is
// followed, and nothing it wrote appears in the text of an error.
//
// # Who decides
//
// A verdict is an error code in the body that this package knows, in the spelling of a
// specification or of a provider (codes.go), under any status of HTTP. Everything else
// (a reset connection, a time-out, an empty 400, a page of HTML, a 503, a sentence in
// JSON) is that of something in between, and says nothing of a login or a grant.
//
//   - Under 408, 425 and 429 any word but authorization_pending and slow_down is that of
//     a limit.
//   - While polling, an error that is not known ends the login too, if it comes in JSON
//     under a 4xx (RFC 8628 §3.5).
//   - While polling, three successes that cannot be read end it.
//   - A grant ends by invalid_grant and its spellings alone.
//   - A token is revoked if the server says so, by 200 or 204. By RFC 7009 §2.2 the body
//     of a 200 means nothing; here one that says anything but success is an error.
//
// A code that the server calls denied, expired or unknown, after the answer to a poll was
// lost, may be one that the lost answer has used up: see [ErrAnswerLost].
//
// # Client authentication
//
// Where neither the author nor the metadata says how a client with a secret
// authenticates, the header is tried, and then the body. While polling the second try is
// the next poll, an interval later. RFC 8628 §3.5 ends polling at invalid_client as at
// any other error; but a request that is not known to come from the client has told the
// server nothing about the login, and an approval would be lost for a detail of
// configuration.
//
// # Waiting
//
// Two polls are never closer together than the interval, counted from the answer
// to the first until the second is sent. A fault makes the wait before the retry longer,
// and no other. The last poll is put off until just before the code's end, so that no
// approval is missed; where the interval is not shorter than the code's life it is the
// only one, and sent then all the same. Everything that waits uses the time
// package, so that it runs in a testing/synctest bubble, and leaves no goroutine
// behind.
package device
