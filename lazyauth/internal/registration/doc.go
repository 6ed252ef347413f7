// Package registration keeps the client that a program has registered with an authorization
// server (RFC 7591): once for all processes that share a store, anew when the server has
// forgotten it or its secret has ended, and never more often than a server can bear. It knows
// no grants and nobody's name.
package registration
