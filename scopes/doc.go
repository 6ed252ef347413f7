// Package scopes holds the arithmetic of OAuth scopes (RFC 6749 §3.3): what a
// tool needs, what a grant covers, what is missing and has to be asked for.
//
// The one type is [Set], an immutable value that can be compared with == and
// used as a map key. Write the ones your program knows with [Of], read the ones
// a server sends with [Parse].
//
// The package does no I/O and depends on nothing outside the standard library.
package scopes
