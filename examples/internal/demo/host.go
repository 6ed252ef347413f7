package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/terminal"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// module is what the names of its packages begin with.
const module = "github.com/lazyauth/mcp-lazyauth/"

// endWait is how long the server has to end by itself, on however busy a machine.
const endWait = 30 * time.Second

// A Host is an MCP host with one server, a subprocess.
type Host struct {
	out     *Screen
	dir     string // holds the server's binary
	session *mcp.ClientSession
}

// StartHost builds the server in the named package and starts it as a host
// does, with the flags that examples/stdio has, -issuer, -client-id, -api, -flows
// and -patience, and with those that are given. It ends with the story, which has one.
func (s *Stage) StartHost(ctx context.Context, server string, flags ...string) (*Host, error) {
	h := &Host{out: s.Screen}
	s.host = h
	var err error
	if h.dir, err = os.MkdirTemp("", s.name); err != nil {
		return nil, err
	}
	s.Line("building %s; the first time, that takes a while", strings.TrimPrefix(server, module))
	binary := filepath.Join(h.dir, "server.exe") // the suffix is needed on Windows, and harmless elsewhere
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, server)
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", server, err, output)
	}

	//nolint:noctx // The session ends it: first by closing its input, then by force.
	program := exec.Command(binary, append(flags,
		"-issuer", s.AS.Issuer(), "-client-id", fakeas.DefaultClientID, "-api", s.AS.API(),
		"-flows", s.Flow,
		// This host waits for as long as its user does, and until a code or link
		// that they let expire is seen to have. Others do not; see -help of
		// examples/stdio.
		"-patience", (codeLifetime+time.Minute).String())...)
	program.Stderr = os.Stderr
	client := mcp.NewClient(&mcp.Implementation{Name: s.name, Version: "1.0.0"}, &mcp.ClientOptions{
		// A handler alone would declare form mode only.
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{},
			URL:  &mcp.URLElicitationCapabilities{},
		}},
		ElicitationHandler: s.User.elicit,
	})
	h.session, err = client.Connect(ctx, &mcp.CommandTransport{Command: program, TerminateDuration: endWait}, &mcp.ClientSessionOptions{ProtocolVersion: s.Protocol})
	if err != nil {
		return nil, fmt.Errorf("connecting to the server: %w", err)
	}
	if elapsed := h.session.InitializeResult().ProtocolVersion; elapsed != s.Protocol {
		return nil, fmt.Errorf("the server speaks MCP %s, not %s", elapsed, s.Protocol)
	}
	return h, nil
}

// Close ends the server and removes its binary. A nil host has none.
func (h *Host) Close() error {
	if h == nil {
		return nil
	}
	var err error
	if h.session != nil {
		err = h.session.Close()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// ListTools prints the tools, by name and description.
func (h *Host) ListTools(ctx context.Context) error {
	for tool, err := range h.session.Tools(ctx, nil) {
		if err != nil {
			return fmt.Errorf("listing the tools: %w", err)
		}
		h.out.Line("  %-12s %s", tool.Name, tool.Description)
	}
	return nil
}

// Call calls a tool, prints the answer and returns it. The server may ask the
// user first. If they deny, or let the code expire, that is printed as the
// answer that it is, and the error is [ErrEnded].
func (h *Host) Call(ctx context.Context, tool string, arguments map[string]string) (string, error) {
	text, err := json.Marshal(arguments)
	if err != nil {
		return "", err
	}
	h.out.Line("call    %s %s", tool, text)
	began := time.Now()
	result, err := h.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	h.out.settle()
	if cause := context.Cause(ctx); cause != nil {
		return "", cause
	}
	if err != nil {
		return "", fmt.Errorf("calling %s: %w", tool, err)
	}
	var answer strings.Builder
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			answer.WriteString(text.Text)
		}
	}
	reason, _ := result.Meta[lazyauth.MetaReason].(string)
	switch lazyauth.Reason(reason) {
	case lazyauth.ReasonDenied, lazyauth.ReasonExpired:
		h.out.Line("answer  %s", terminal.Wrap(answer.String(), 11))
		h.out.Line("reason  %s", reason)
		err = ErrEnded
	default:
		if result.IsError {
			return "", fmt.Errorf("%s failed: %s", tool, answer.String())
		}
		h.out.Line("answer  %s", answer.String())
	}
	h.out.Line("took    %s", elapsed(time.Since(began)))
	return answer.String(), err
}

// elapsed is a duration as people say it: nobody reads milliseconds.
func elapsed(d time.Duration) string {
	switch seconds := int(d.Seconds()); {
	case seconds == 0:
		return "less than a second"
	case seconds < 60:
		return fmt.Sprintf("%d s", seconds)
	default:
		return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
	}
}
