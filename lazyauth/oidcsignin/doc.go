// Package oidcsignin signs people in at the connect page of an MCP server ([lazyauth.ConnectPage]) by OpenID Connect,
// at the issuer of the bearer tokens that their hosts call with. It is a [lazyauth.BrowserSignIn]:
//
//	signIn, err := oidcsignin.New(oidcsignin.Options{
//		Issuer: "https://login.example.com", ClientID: "…", ClientSecret: "…",
//		PublicURL: "https://mcp.example.com/connect",
//		Identity:  oidcsignin.BySubject(),
//	})
//	err = signIn.Check(ctx) // says now what could not work later
//	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: "https://mcp.example.com/connect", SignIn: signIn})
//
// [SignIn.RedirectURI] is to be registered at the issuer, for a client of this server's own.
//
// # One person, two sides
//
// A link is good for the person whose call it is. The call knows them by their bearer token, and the page by the ID
// token of their sign-in here. The two are compared exactly, so both have to come to the same [lazyauth.Principal]: an
// [Identity] makes it of the claims of either. The verifier of bearer tokens asks [SignIn.Principal], and puts
// its Subject into the SDK's TokenInfo.UserID, and its Issuer into Extra["iss"].
//
// Where everybody has one subject for all clients that is "sub" ([BySubject]). Where each client gets another
// (pairwise subjects, OpenID Connect Core 1.0 §8.1, which Microsoft Entra has) it never can be, and nobody would pass:
// [SignIn.Check] says so. [ByEntra] and [ByClaim] are for these.
//
// # What holds
//
// A sign-in begins by a form of the page alone, and has a state, a nonce, a code verifier (RFC 7636, S256) and a
// cookie of its own. Its answer counts once, in the browser that began it, and from the issuer that it was sent to
// (RFC 9207). All that has to be known of it travels sealed in the cookie: nothing is kept here for who only
// begins. A session is a sealed cookie too, made anew by each sign-in, and ends by itself, by "sign out", and by "I
// am not …". Cookies are "__Host-", Secure, HttpOnly and SameSite=Lax.
//
// What remains: whoever signs a browser in at the issuer, as somebody else, has it signed in here as that person.
// The page says as whom; [Options].MaxAge and Prompt have the issuer ask first.
package oidcsignin
