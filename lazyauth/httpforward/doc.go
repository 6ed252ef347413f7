// Package httpforward brings a request to the replica that has its call. It is for HTTP servers of
// several processes behind a proxy that knows nothing of calls.
//
// A tool call of MCP revision 2026-07-28 goes on at any replica until its handler starts. From
// then on it is that one's: a handler in its middle, and what it came to, are in the memory of its
// process. [Forwarder.Handler] looks for the requestState of a request, asks the replicas' store
// who has started the call's handler, and has that process answer: by one hop, at the address that it
// has announced, with the caller's own bearer token, which is verified there as it is anywhere. If
// that process is gone, the request is answered here, as abandoned: its handler may have run.
//
// Requests for the connect page are brought to the process that has the sign-in's link. If that is gone, the link works
// again once a call that waits for it has come to another process, which has it from then on.
//
// Calls of earlier revisions are in a session, which is one process's: their proxy goes by the
// header Mcp-Session-Id.
package httpforward
