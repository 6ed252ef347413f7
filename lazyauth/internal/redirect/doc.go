// Package redirect is the authorization code flow with PKCE on this machine: a browser
// comes back to a listener on loopback, which lives for one sign-in (RFC 8252, RFC 7636,
// RFC 6749 §4.1, RFC 9207, RFC 9126). It knows no MCP. Beside package device it is the
// second way to a token.
//
// # One sign-in
//
//	flow.Begin ─ listens, mints or pushes a request ─▶ Authorization.Link, shown or opened
//	browser ─ /start/<nonce>, where that is the link ─▶ cookie, state, verifier; to the server
//	browser ─ the redirect URI ─▶ checked; the code goes to Wait, the browser on to /done
//	Wait ─ exchanges the code ─▶ a token, or the page offers to start again
//	Finish ─ says whose account it is ─▶ /done shows it; seconds later the listener is closed
//
// # What the link gives to whoever reads it
//
// A code returns to the machine that asked, so that a link alone does not bring somebody
// else's token. What it can bring is the reverse: somebody signs in with their own account,
// keeps the redirect from loading, and has the person's browser load it, so that the person
// works in an account that is not theirs. There are three kinds of links ([Link], [Kind]):
//
//   - The start page, on loopback, sets a cookie and mints state and verifier only then. The
//     callback needs that cookie and that state. Whoever knows the link and is not on this machine
//     can do nothing with it. Cookies of 127.0.0.1 are shared among ports: another server of
//     this machine whose pages the browser visits below the same path sees them.
//   - A pushed request hides state, scopes and hints from who reads the link, and cannot be altered.
//     It does not bind: whoever opens it, before it is used up, gets to see the state in
//     their own browser, and can then do the above.
//   - A plain authorization URL has the state in it, and so does not protect from that at all. Who
//     has read it can also end the sign-in, by an answer that says access_denied.
//
// After the last two the last page, and the result of whoever waits, name the account, with
// what to do if it is a wrong one. Nobody is ever asked to copy an address from their
// browser: that is what those ask for who steal codes.
package redirect
