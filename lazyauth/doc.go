// Package lazyauth asks a person to sign in when a tool call first needs it,
// and lets that same call go on.
//
// A server of the Model Context Protocol (MCP) names the service whose API its tools use,
// and registers each tool with the scopes that it needs:
//
//	auth, err := lazyauth.New(lazyauth.Service{
//		Name:       "Notes",
//		Issuer:     "https://auth.example.com",
//		ClientID:   "notes-mcp",
//		APIOrigins: []string{"https://api.example.com"},
//	}, nil)
//	…
//	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "create_note"}, scopes.Of("notes:write"), createNote)
//
// Inside the handler, [Client] returns an HTTP client that carries the person's token to
// these origins, and nowhere else:
//
//	res, err := lazyauth.Client(ctx).Post("https://api.example.com/notes", "application/json", body)
//
// All tools are advertised at once. The first call that comes without a grant starts a
// device authorization (RFC 8628), has the person shown its verification URI and user code
// through their host (URL-mode elicitation, or what the host has in its place), waits until
// the authorization server issues a token, and only then runs the handler. An API that asks
// for more scopes while the handler runs (RFC 6750 §3) is dealt with in the same way.
// [Interceptor.Intercept] does this for a server whose tools are registered already. What a
// call needs may depend on its arguments: see [AddToolWithNeeds].
//
// [AddAuthTools] has tools to sign in beforehand, to see how that stands, and to log out, and can
// hide the others until then; [AskAtStart] asks when a session begins. Neither is needed.
//
// Where the author allows it ([Service].Flows), people on the machine of the server sign in by
// a browser that comes back to it (RFC 8252), and enter no code.
//
// Who the program is to the authorization server is [Service].ClientID, or what a host passes on
// ([Service].ClientIDHosts), or what it has registered by itself ([Registration]).
//
// # What a call can come to
//
// A call is answered with what its handler returned, or with an error result whose text
// tells a model what happened and what to do. Programs read the [Reason] from the
// result's _meta under [MetaReason], or from the [*Error] inside the server: the person
// declined the prompt, or refused at the authorization server; nobody approved before the
// code or the link expired; less was granted than the tool needs; or the person has not finished yet
// ([ReasonPending]), and the next call goes on from there. The other reasons are about the
// program, the authorization server or the caller.
//
// # How a call waits
//
// One authorization in progress is a flight. There is at most one for each
// principal (whose grant it will be). It ends when the authorization server or the person
// has decided, or with its device code or link, and does not end with the call that started
// it: a caller that goes away ends its own wait only, and the next call joins the flight or
// finds the grant. Of the calls that come through one host, one shows the prompt, and the
// others wait.
//
// Up to protocol revision 2025-11-25 a call blocks: the prompt is a request from the server
// to the host while the call's own request waits. From 2026-07-28 on it is suspended: its
// request is answered with the prompt, and the host's retry serves the call again. The
// handler runs once, in both, even if it needs the person in its middle; for a suspended
// call it does so on a goroutine of its own.
// Which of the two applies is decided for each request by itself.
//
// # How to read the source
//
// The path of a first call, file by file:
//
//   - tool.go: AddTool puts a gate in front of the handler (intercept.go: Intercept puts one
//     in front of a whole server). gate.go: what a tool needs. caller.go: whose call it is.
//   - call.go: a blocking call, and what a handler reaches it by: TokenSource and Require,
//     and Client (transport.go).
//     suspended.go: a call of the newer revision, whose requests come and go in lifecycle.go;
//     suspendedhost.go answers one with the prompt, retry.go finds the call for the next, and
//     handlers.go runs the handler.
//   - internal/asking: person.go asks for a grant through a host. internal/grants: owner.go
//     finds it, has it renewed (renewal.go), or starts a flight (flight.go), which gets a
//     prompt and then a token by one of its ways (signin.go, of which pilot.go hears): the device flow (way.go), or a
//     redirect (redirect.go), as the client that client.go chooses.
//   - internal/asking: waiter.go waits for the flight, delivery.go brings its prompt to the
//     host and takes the answer.
//   - internal/device: the device flow on the wire: authorize.go, then poll.go.
//     internal/redirect: the listener and its pages: authorization.go, then serve.go. What
//     they have in common is in internal/oauth: wire.go, answer.go, token.go.
//   - authtools.go: the tools that sign in and out are gated calls, too. listing.go keeps tools out
//     of a list by what changes.go gathers; askatstart.go.
//   - back in internal/grants: outcome.go makes sure whose token it is and adopts the grant,
//     persist.go stores it; in asking, the waiters go on.
//   - transport.go sends a request with the token, challenge.go deals with what the API
//     refuses.
//
// Prompts are put into words in package elicit; errors become what a model reads in error.go
// and errorresult.go, and events what operators read in observe.go and trace.go.
package lazyauth
