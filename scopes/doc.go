// Package scopes holds the arithmetic of OAuth scopes (RFC 6749 §3.3): what a
// tool needs, what a grant covers, what is missing and has to be asked for.
//
// Everything rests on [Set], an immutable value that can be compared with ==
// and used as a map key. Write the ones your program knows with [Of]; read what
// an authorization server granted with [ParseGranted], which forgives, and what
// an API demands with [Parse], which does not.
//
//   - A [Requirement] is what a tool declares: a Set, or [AnyOf] several, or [AllOf] such.
//     [Needs] say it where it depends on a call's arguments.
//   - A [Hierarchy] knows which scopes imply others, and which names mean the
//     same. It decides what a grant covers and what is the least to ask for.
//     [GitHub], [Google] and [Entra] have those of their services.
//   - A [Demand] is what a response asks of a client: another token, or more
//     scopes. A [Dialect] reads it: [BearerDemand] from the challenges of RFC
//     6750, [GitHubDemand] and [GoogleDemand] from what these services send.
//
// The package does no I/O and depends on nothing outside the standard library.
package scopes
