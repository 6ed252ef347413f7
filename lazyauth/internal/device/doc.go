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
// An answer that carries an OAuth error is that error, whatever the HTTP status.
// An answer without one (a reset connection, a time-out, an empty 400, a page of
// HTML, a 503) says nothing about the login: Poll backs off and goes on.
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
// to the first until the second is sent. Everything that waits uses the time
// package, so that it runs in a testing/synctest bubble, and leaves no goroutine
// behind.
package device
