// Package official runs the scenarios that the official conformance suite
// (github.com/modelcontextprotocol/conformance) has for servers against the Go SDK's everything
// server, bare and behind lazyauth: what the suite says must be the same. It also holds that
// the suite's tools read what hostcheck says of a client. It has no code to import. It is a
// module of its own because it needs Node.js; README.md says how to run it.
package official
