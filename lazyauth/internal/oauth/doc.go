// Package oauth is a client of an OAuth 2.0 authorization server, as far as flows have it
// in common: it finds the endpoints ([Discover], RFC 8414), authenticates the client
// (RFC 6749 §2.3) or registers it (RFC 7591), sends requests and reads their answers
// ([Client.Post]), tells verdicts from faults, exchanges codes for tokens (§4.1.3), checks
// tokens (§5.1), refreshes (§6) and revokes them (RFC 7009). How a person is asked is for the
// packages above it, of which each is a flow.
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
//   - Under 408, 425 and 429 any word is that of a limit.
//   - An authorization code is refused ([ErrCode]) by invalid_grant, and by invalid_request.
//   - A grant ends by invalid_grant and its spellings alone.
//   - A token is revoked if the server says so, by 200 or 204. By RFC 7009 §2.2 the body
//     of a 200 means nothing; here one that says anything but success is an error.
//
// # Client authentication
//
// Where neither the author nor the metadata says how a client with a secret
// authenticates, the header is tried, and then the body.
//
// Who the client is may be learnt late, and change: a client is made for other credentials
// by [Client.WithCredentials]. Without an id nothing is sent but a registration, and all
// else fails with the code invalid_client, as it does where the server has forgotten the
// client: what is to be done is the same.
package oauth
