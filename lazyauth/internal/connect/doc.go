// Package connect is the authorization code flow with PKCE for people who sit at other machines than this program:
// a page of the program's own, at its public address, leads to the authorization server, and the browser comes back
// to it. It knows no MCP. Beside packages device and redirect it is the third way to a token.
//
// # One sign-in
//
//	Page.Begin ─ mints a link, which the person is shown
//	browser ─ GET of the link ─▶ who is signed in here, what is asked for; nothing happens
//	browser ─ POST ─▶ a new attempt: state, verifier, cookie; the page leads to the authorization server
//	browser ─ the redirect URI ─▶ cookie, state, path and issuer, the same person, unclaimed; claimed; the code goes on
//	Wait ─ exchanges the code ─▶ a token, or the page offers to try again
//	Finish ─ says whose account it is ─▶ the last page shows it
//
// # What the page shows, and what it does not
//
// That whoever is asked is whoever completes: the link is good for the person whose call it is, as the program's own
// web sessions say ([Config].Who), at the page, at the POST and again at the callback, in the browser that has the
// POST's cookie. It shows who sat at the browser, and not whose account at the service it is.
//
// A link names a flight, and is good until that ends. What is used once is an attempt: each POST makes one and
// retires the one before. Links that are unknown, have ended, or are somebody else's look alike.
package connect
