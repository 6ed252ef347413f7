// Package world is what the stories of this library's tests happen in. It is for tests alone.
//
// A [World] has an authorization server with an API (fakeas), an interceptor, an MCP server
// with tools, and a listener on all that leaves it: when a story has ended, the world checks
// that the authorization server saw no violation of its rules and that no secret went where
// it must not go. A [Host] is a client of the SDK with [Manners]; an [Endpoint] is spoken to
// request by request.
//
//	world.InBothEras(t, func(t *testing.T, era string) {
//		w := world.New(t, world.Setup{})
//		h := w.Host(era, world.Accepts)
//		call := h.Call(t.Context(), "whoami", nil)
//		w.Approves()
//		(<-call).Succeeds(t, "Ada")
//	})
//
// A person acts in the present tense (Approves, Denies), and what begins with Want is a demand.
// Time is virtual: [Later] lets it pass.
package world
