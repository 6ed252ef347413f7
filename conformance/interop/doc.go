// Package interop tests lazyauth against things that nobody here wrote: two
// authorization servers (oidc-provider, better-auth; folder zitadel has a third) and
// hosts built on four MCP client libraries (the TypeScript SDK versions 1 and 2,
// mcp-go, the Go SDK), and hosts as they are installed (the MCP Inspector's command
// lines, mcporter), by every way in. It has no code to import. It is a module of its own so that what
// it needs stays out of the library's go.mod; README.md says how to run it.
//
// A test starts a host, the host starts examples/stdio through a relay that
// records every line of the conversation, and the test plays the person: it
// reads the prompt that the host was given and walks through the authorization
// server's real pages, or its API where it has none, with plain HTTP.
package interop
