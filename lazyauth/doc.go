// Package lazyauth asks a person to sign in when a tool call first needs it,
// and lets that same call go on.
//
// A Model Context Protocol server advertises all of its tools at once. A tool
// registered with [AddTool] needs an OAuth grant; the first call that comes
// without one starts a device authorization (RFC 8628), shows its verification
// URI and user code to the person through the host (URL-mode elicitation),
// waits until the authorization server issues a token, and only then runs the
// handler. Inside the handler, [Client] returns an HTTP client that carries the
// token to the service's API and nowhere else.
//
// # How a call waits
//
// One authorization in progress is a flight. There is at most one for each
// principal (the person whose grant it will be), it lives as long as its device
// code, and it does not depend on any call: a caller that goes away ends its
// own wait only, and the next call joins the flight or finds the grant. One
// caller a host shows the prompt; the others wait silently.
//
// Up to protocol revision 2025-11-25 the prompt is a request from the server
// to the host while the call blocks. From 2026-07-28 the call is answered
// input_required, and the host's retry attends to it again: the handler runs
// once, on a goroutine of its own, even if it needs the person in its middle.
// Which of the two applies is decided for each request by itself.
//
// # Errors
//
// A call that could not be authorized gets an error result whose text tells a
// model what happened and what to do. Programs read the [Reason] from the
// result's _meta under [MetaReason], or from the [*Error] inside the server.
package lazyauth
