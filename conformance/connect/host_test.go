package connect_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The two ways of asking a person.
const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

// A call is one of somebody's host, which waits for its person.
type call struct {
	t       *testing.T
	as      *fakeas.Server
	link    string // what the person is shown
	message string // with it
	shown   chan *mcp.ElicitParams
	done    chan answer
}

type answer struct {
	result *mcp.CallToolResult
	err    error
}

// calls connects a host of this name to a server, has it call whoami for a user, and waits until the person is asked.
func calls(t *testing.T, endpoint, era, user, name string) *call {
	t.Helper()
	c := starts(t, endpoint, era, user, name)
	select {
	case params := <-c.shown:
		c.link, c.message = params.URL, params.Message
	case a := <-c.done:
		t.Fatalf("nobody was asked: %+v, %v", a.result, a.err)
	case <-time.After(enough):
		t.Fatal("nobody was asked")
	}
	return c
}

// starts does not wait for that.
func starts(t *testing.T, endpoint, era, user, name string) *call {
	t.Helper()
	c := &call{t: t, shown: make(chan *mcp.ElicitParams, 10), done: make(chan answer, 1)}
	client := mcp.NewClient(&mcp.Implementation{Name: name, Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			c.shown <- req.Params
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	// Not the test's context, which ends before what Cleanup registers.
	ctx := context.WithoutCancel(t.Context())
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: bearing(user)}},
		&mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		result, err := session.CallTool(ended, &mcp.CallToolParams{Name: "whoami", Arguments: struct{}{}})
		c.done <- answer{result, err}
	}()
	t.Cleanup(func() {
		cancel()
		<-ready
		_ = session.Close()
	})
	return c
}

// wasAsked reports whether the person was asked once more.
func (c *call) wasAsked() bool { return len(c.shown) > 0 }

// waits demands that the call still waits, and that no code was presented for it.
func (c *call) waits() {
	c.t.Helper()
	select {
	case a := <-c.done:
		c.t.Fatalf("the call was answered: %+v, %v", a.result, a.err)
	default:
	}
	if n := c.as.Count(fakeas.Exchange, ""); n != 0 {
		c.t.Errorf("%d codes were presented", n)
	}
}

// answered returns what the call comes to.
func (c *call) answered() *mcp.CallToolResult {
	c.t.Helper()
	select {
	case a := <-c.done:
		if a.err != nil {
			c.t.Fatal(a.err)
		}
		return a.result
	case <-time.After(enough):
		c.t.Fatal("the call was not answered")
	}
	return nil
}

// succeeds demands that the call comes to something of this account.
func (c *call) succeeds(subject string) {
	c.t.Helper()
	result := c.answered()
	if text := said(result); result.IsError || !strings.Contains(text, `"sub":"`+subject+`"`) {
		c.t.Errorf("the call came to %q (error: %t), want something of %s's", text, result.IsError, subject)
	}
}

// fails demands that the call fails for this reason.
func (c *call) fails(reason string) {
	c.t.Helper()
	if result := c.answered(); !result.IsError || result.Meta["io.github.lazyauth/reason"] != reason {
		c.t.Errorf("the call came to %q, with reason %v, want %s", said(result), result.Meta["io.github.lazyauth/reason"], reason)
	}
}

func said(result *mcp.CallToolResult) string {
	var b strings.Builder
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}

// bearing is a transport that adds a bearer token.
type bearing string

func (b bearing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+string(b))
	return reaching.RoundTrip(req)
}

// eras runs a story in both.
func eras(t *testing.T, story func(t *testing.T, era string)) {
	for _, era := range []string{legacy, modern} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			story(t, era)
		})
	}
}
