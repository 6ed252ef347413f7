package world

import (
	"context"
	"testing/synctest"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// BareForm sends one request of a call of whoami as Claude Code does from 2.1.237 on: in
// revision 2026-07-28 and with "elicitation": {}, which means forms.
func (h *Host) BareForm(state, action string) <-chan Reply {
	params := &mcp.CallToolParams{Name: "whoami", RequestState: state,
		Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{}}}}
	if action != "" {
		params.InputResponses = mcp.InputResponseMap{ResponseKey: &mcp.ElicitResult{Action: action}}
	}
	out := h.send(h.w.T.Context(), params)
	synctest.Wait()
	return out
}

// RawHost connects a host of the modern era each of whose requests is the test's.
func (w *World) RawHost() *Host { return w.RawHostNamed("raw") }

// RawHostNamed is RawHost under another name.
func (w *World) RawHostNamed(name string) *Host {
	w.T.Helper()
	return w.HostWith(Modern, Manners{Name: name, URL: true, raw: true})
}

// Request sends one request of a call: the first with neither state nor action,
// a retry with both, or with a state alone.
func (h *Host) Request(ctx context.Context, tool string, args any, state, action string) <-chan Reply {
	params := &mcp.CallToolParams{Name: tool, Arguments: args, RequestState: state}
	if action != "" {
		params.InputResponses = mcp.InputResponseMap{ResponseKey: &mcp.ElicitResult{Action: action}}
	}
	return h.send(ctx, params)
}

// Confirms sends the second request of a call of the tool that WithConfirm adds.
func (h *Host) Confirms(state string) Reply {
	return <-h.send(h.w.T.Context(), &mcp.CallToolParams{Name: "confirm", RequestState: state,
		InputResponses: mcp.InputResponseMap{"sure": &mcp.ElicitResult{Action: "accept"}}})
}

// Under sends one request of a call under a progress token.
func (h *Host) Under(token, tool, state string) <-chan Reply {
	params := &mcp.CallToolParams{Name: tool, Meta: mcp.Meta{"progressToken": token}, RequestState: state}
	return h.send(h.w.T.Context(), params)
}

// HostOf returns the host of a session that the test connected itself.
func (w *World) HostOf(session *mcp.ClientSession) *Host { return &Host{w: w, Session: session} }
