package main

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
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serverPackage is what a host would be configured to run.
const serverPackage = "github.com/lazyauth/mcp-lazyauth/examples/stdio"

// A host is an MCP host with one server, a subprocess.
type host struct {
	dir     string // holds the server's binary
	session *mcp.ClientSession
}

// startHost builds and starts the server. The caller must call close.
func startHost(ctx context.Context, as *authorizationServer, protocol string, user *person) (_ *host, err error) {
	h := &host{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.dir, err = os.MkdirTemp("", "quickstart"); err != nil {
		return nil, err
	}
	binary := filepath.Join(h.dir, "stdio.exe") // the suffix is needed on Windows, and harmless elsewhere
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, serverPackage)
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", serverPackage, err, output)
	}

	//nolint:noctx // The session ends it: first by closing its input, then by force.
	server := exec.Command(binary,
		"-issuer", as.Issuer(), "-client-id", fakeas.DefaultClientID, "-api", as.API(),
		// This host waits for as long as its user does. Others do not; see -help there.
		"-patience", codeLifetime.String())
	server.Stderr = os.Stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "quickstart", Version: "1.0.0"}, &mcp.ClientOptions{
		// A handler alone would declare form mode only.
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{},
			URL:  &mcp.URLElicitationCapabilities{},
		}},
		ElicitationHandler: user.elicit,
	})
	h.session, err = client.Connect(ctx, &mcp.CommandTransport{Command: server}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	if err != nil {
		return nil, fmt.Errorf("connecting to the server: %w", err)
	}
	if spoken := h.session.InitializeResult().ProtocolVersion; spoken != protocol {
		return nil, fmt.Errorf("the server speaks MCP %s, not %s", spoken, protocol)
	}
	return h, nil
}

// close ends the server and removes its binary.
func (h *host) close() error {
	var err error
	if h.session != nil {
		err = h.session.Close()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// listTools prints the tools, by name and title.
func (h *host) listTools(ctx context.Context, out *screen) error {
	for tool, err := range h.session.Tools(ctx, nil) {
		if err != nil {
			return fmt.Errorf("listing the tools: %w", err)
		}
		out.line("  %-12s %s", tool.Name, tool.Description)
	}
	return nil
}

// call calls a tool and prints the answer. The server may ask the user first.
func (h *host) call(ctx context.Context, out *screen, tool string, arguments map[string]string) error {
	text, err := json.Marshal(arguments)
	if err != nil {
		return err
	}
	out.line("call    %s %s", tool, text)
	began := time.Now()
	result, err := h.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	out.settle()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("calling %s: %w", tool, err)
	}
	var answer strings.Builder
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			answer.WriteString(text.Text)
		}
	}
	if result.IsError {
		return fmt.Errorf("%s failed: %s", tool, answer.String())
	}
	out.line("answer  %s", answer.String())
	out.line("after   %v", time.Since(began).Round(time.Millisecond))
	return nil
}
