// Package httplimit bounds what callers can have an MCP server over streamable HTTP hold at a
// time: requests in progress, sessions, and bytes. It is for servers that many people, or
// anybody, can reach; what a person's calls can have the authorization server and the person
// themselves asked for is bounded by lazyauth (Options.MaxCalls, MaxSignIns).
//
//	limiter := httplimit.New(nil)
//	mcpHandler := limiter.ByPerson(server, mcp.NewStreamableHTTPHandler(…))
//	mux.Handle("/mcp", auth.RequireBearerToken(verify, nil)(mcpHandler))
//	http.Serve(listener, limiter.ByAddress(mux))
//
// [Limiter.ByAddress] stands before everything, and knows addresses; [Limiter.ByPerson] stands behind
// the check of bearer tokens, and knows whose request it is. What is turned away is answered with
// 429 (RFC 6585 §4) where the caller has too much, and with 503 where all have, and with
// Retry-After, before anything is read or begun.
package httplimit
