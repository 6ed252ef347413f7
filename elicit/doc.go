// Package elicit is the part of lazyauth that faces the host: what is asked of
// the person, over which channel, and in which protocol era.
//
// It knows the Model Context Protocol and nothing of OAuth. A [Prompt] holds
// what a person needs to sign in; a [Wording] puts it into words for each
// [Channel], from an elicitation to the text of a result. [ReachOf] reads from one
// request which of these its host can take. A [Sealer] protects the requestState that
// travels through the host in the 2026-07-28 era.
package elicit
