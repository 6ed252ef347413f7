// Package hosttest is an MCP host for the tests of the example servers, with a
// user who approves at a fakeas what the host shows.
package hosttest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Protocols are the two ways of asking a user.
var Protocols = []string{"2025-11-25", "2026-07-28"}

// A Host is connected to one server. It is for the test's goroutine alone.
type Host struct {
	// Decide is what the user does about a request at the authorization
	// server, and returns the answer to the prompt: accept, decline or cancel.
	// Connect sets it to [Host.Approve].
	Decide func(fakeas.Request) (action string)

	t       *testing.T
	as      *fakeas.Server
	session *mcp.ClientSession

	mu    sync.Mutex
	asked []string
}

// Connect connects a host to a server over a transport. It ends with the test.
func Connect(t *testing.T, as *fakeas.Server, protocol string, transport mcp.Transport) *Host {
	t.Helper()
	h := &Host{t: t, as: as}
	h.Decide = h.Approve
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		Capabilities:       &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: h.elicit,
	})
	// Not the test's context, which ends before what Cleanup registers.
	session, err := client.Connect(context.WithoutCancel(t.Context()), transport, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	if err != nil {
		t.Fatal(err)
	}
	h.session = session
	t.Cleanup(func() { _ = session.Close() })
	return h
}

// ConnectInMemory connects a host to a server in this process. Inside a
// testing/synctest bubble, time is virtual.
func ConnectInMemory(t *testing.T, as *fakeas.Server, protocol string, server *mcp.Server) *Host {
	t.Helper()
	ours, theirs := mcp.NewInMemoryTransports()
	if _, err := server.Connect(context.WithoutCancel(t.Context()), ours, nil); err != nil {
		t.Fatal(err)
	}
	return Connect(t, as, protocol, theirs)
}

// Close ends the session, and the server if it is a subprocess.
func (h *Host) Close() error { return h.session.Close() }

func (h *Host) elicit(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	request, err := h.as.WaitForRequest(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(request.Scopes)
	h.mu.Lock()
	h.asked = append(h.asked, strings.Join(request.Scopes, " "))
	h.mu.Unlock()
	return &mcp.ElicitResult{Action: h.Decide(request)}, nil
}

// Approve approves, and accepts.
func (h *Host) Approve(request fakeas.Request) string {
	if err := h.as.Approve(request.UserCode); err != nil {
		h.t.Error(err)
	}
	return "accept"
}

// Deny denies at the authorization server, and accepts: to accept a prompt is
// only to have agreed that its page be opened.
func (h *Host) Deny(request fakeas.Request) string {
	if err := h.as.Deny(request.UserCode); err != nil {
		h.t.Error(err)
	}
	return "accept"
}

// Tools returns the server's tools.
func (h *Host) Tools() []*mcp.Tool {
	h.t.Helper()
	list, err := h.session.ListTools(h.t.Context(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return list.Tools
}

// Call calls a tool and returns the answer. Nil arguments are none.
func (h *Host) Call(tool string, arguments any) *mcp.CallToolResult {
	h.t.Helper()
	if arguments == nil {
		arguments = struct{}{}
	}
	result, err := h.session.CallTool(h.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		h.t.Fatalf("%s: %v", tool, err)
	}
	return result
}

// WantAnswer calls a tool and compares the text of its answer.
func (h *Host) WantAnswer(tool string, arguments any, want string) {
	h.t.Helper()
	if result := h.Call(tool, arguments); result.IsError || Text(result) != want {
		h.t.Errorf("%s: %s (error: %t), want %s", tool, Text(result), result.IsError, want)
	}
}

// WantError calls a tool, which must fail with this in its text, and returns
// the whole text.
func (h *Host) WantError(tool string, arguments any, want string) string {
	h.t.Helper()
	result := h.Call(tool, arguments)
	if !result.IsError || !strings.Contains(Text(result), want) {
		h.t.Errorf("%s: %s (error: %t), want an error with %q", tool, Text(result), result.IsError, want)
	}
	return Text(result)
}

// WantAsked compares what the user was asked for so far: the sorted scopes of
// each prompt.
func (h *Host) WantAsked(want ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.asked, want) {
		h.t.Errorf("the user was asked for %q, want %q", h.asked, want)
	}
}

// Text returns the text of an answer.
func Text(result *mcp.CallToolResult) string {
	var b strings.Builder
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}
