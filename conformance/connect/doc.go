// Package connect tests the connect page as people meet it: in a browser (Chromium), over TLS, with an MCP host whose
// call waits, an authorization server with pages of its own, other people, and attackers with sites of theirs. It
// holds every page against axe-core's rules for accessible pages, in the light and in the dark, at the width of a
// phone. It has no code to import. It is a module of its own so that what it needs stays out of the library's go.mod;
// README.md says how to run it.
//
// lazyauth/connectpage_test.go tells the same stories without a browser, in virtual time: what a browser does with
// cookies, frames, forms and redirects is believed there, and seen here.
package connect
