package asking

import (
	"cmp"
	"encoding/json"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Elicitation returns the parameters of the elicitation that shows the prompt
// in a mode, URL or form (MCP 2025-11-25 client/elicitation).
//
// The id is the elicitationId of a URL; forms have none. Revision 2026-07-28 has
// dropped the member and does not forbid others: it is sent there as well, because
// rmcp up to 3.1.4, the library under GitHub Copilot CLI among others, takes a URL
// elicitation only with it and fails the whole result without. It can go from that
// revision when hosts on those versions are gone.
func Elicitation(w elicit.Wording, mode elicit.Channel, p elicit.Prompt, id string) *mcp.ElicitParams {
	if mode == elicit.Form {
		return &mcp.ElicitParams{Mode: "form", Message: w.Say(elicit.Form, p), RequestedSchema: noFields}
	}
	return &mcp.ElicitParams{Mode: "url", Message: w.Say(elicit.URL, p), URL: cmp.Or(p.VerificationURIComplete, p.VerificationURI), ElicitationID: id}
}

// noFields is the schema of a form that asks for nothing but consent.
var noFields = json.RawMessage(`{"type":"object","properties":{}}`)
