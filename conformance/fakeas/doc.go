// Package fakeas is an authorization server for tests: strict about what
// clients do, and misbehaving itself when told to.
//
// It speaks the device authorization grant (RFC 8628) and the authorization
// code grant (RFC 6749 §4.1), both with PKCE (RFC 7636), with metadata (RFC
// 8414), refresh (RFC 6749 §6) and revocation (RFC 7009). By option it takes
// pushed authorization requests (RFC 9126), registers clients (RFC 7591) and
// takes documents for client IDs. It shows real pages, and protects a small API
// of notes with three scopes: profile, notes:read and notes:write. A test makes
// one with [New] and reaches it
//
//   - without sockets, through [Server.Transport], also inside a
//     testing/synctest bubble, where minutes of polling take milliseconds;
//   - on a listener, as an http.Handler;
//   - from another language, as the program conformance/cmd/fakeas.
//
// # Playing the person
//
// [Server.WaitForRequest] blocks until a client has asked for a device code;
// [Server.Approve] and [Server.Deny] decide. [Visit] does the same through
// the pages, as a browser would.
//
// [Server.ApproveURL] and [Server.DenyURL] are a browser that opens an
// authorization URL; they return where it is sent, which is for the client to
// read. [VisitAuthorization] goes there through the pages, and knows who signed
// in the last time. Nothing but the pages can be reached over HTTP: there is no
// address that approves by itself.
//
// # Another API
//
// A test whose API is not the notes serves it by itself, and asks
// [Server.Introspect] what a bearer token is good for.
//
// # Misbehaving
//
// [Server.Script] queues a [Behaviour] for an [Operation]: pending for longer
// than it should, slow_down, a dropped connection, silence, any raw answer, a
// right one that is changed ([Edit]). At [Response] it is what a browser is sent
// back with: an iss of another server ([WithIss]), a state that is not the
// client's ([EditResponse]), an error in place of a code ([Error]). What a server
// always does differently is a dialect ([Options.Dialect]), such as [GitHub],
// or an option. [Server.ExpireAccessTokens], [Server.RevokeRefreshTokens],
// [Server.RevokeAll], [Server.ForgetClient] and [Server.Restart] are what
// happens to servers.
//
// # Judging the client
//
// [Server.Violations] lists what clients did that they must not do, each with
// the section that says so; a client's test ends by asserting that the list
// is empty. [Server.Journal] and [Server.Count] say what was asked and how it
// ended, [Server.AuthorizationRequests] what stood in which URL. A client error
// that is not a violation, such as an unknown client ID, is in the journal
// only; so is what somebody else can have put in the client's way, such as a
// code that its verifier does not fit. Journal, violations and log hold no
// tokens, codes or secrets.
//
// The package depends on the standard library alone and shares no code with
// what it judges. It is no authorization server for production: it signs
// people in without asking for a password.
package fakeas
