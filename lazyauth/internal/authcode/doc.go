// Package authcode is what the flows by an authorization code with PKCE have in common (RFC 6749 §4.1, RFC 7636,
// RFC 9207, RFC 9126): the request that a browser is sent with, and the answer that it comes back with. Where it
// comes back to is theirs: packages redirect and connect.
package authcode
