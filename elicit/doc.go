// Package elicit has what a person is shown: a [Prompt], and how it is put into words for
// each [Channel], from an elicitation to the text of a tool's result.
//
// An author needs it for [lazyauth.Interceptor.Authorize], which hands over a prompt, and for
// lazyauth.Options.Wording, by which prompts speak the person's language. It knows neither
// OAuth nor the protocol of hosts.
//
// [lazyauth.Interceptor.Authorize]: https://pkg.go.dev/github.com/lazyauth/mcp-lazyauth/lazyauth#Interceptor.Authorize
package elicit
