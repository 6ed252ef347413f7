// An adapter: the least that lets hostcheck check a host made with the Go SDK.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What hostcheck tells.
type task struct {
	Server struct {
		Name    string   // what the host is to call the server
		Command []string // stdio
		URL     string   // HTTP
	}
	Steps [][]struct { // one after the other; the calls of a step all at once
		ID, Tool  string
		Arguments map[string]any
		TimeoutMs int // 0: the host's own
	}
}

// learn asks what to do, and says what will be reported.
func learn(t *task) error {
	resp, err := http.Get(os.Getenv("HOSTCHECK_CONTROL") + "/task?hooks=shown,opened,outcome")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(t)
}

// report posts what happened to the control endpoint, and reads the answer
// into out if there is to be one.
func report(what string, body, out any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := http.Post(os.Getenv("HOSTCHECK_CONTROL")+"/"+what, "application/json", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// elicit is where your host shows its dialog. Here nothing is on a screen: what
// is reported is what would be, and the person is hostcheck.
func elicit(t *task) func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	return func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		p := req.Params
		shown := map[string]any{
			"mode": "form", "server": t.Server.Name, "message": p.Message, "actions": []string{"accept", "decline", "cancel"},
		}
		if p.Mode == "url" {
			shown["mode"], shown["url"] = "url", p.URL
			if u, err := url.Parse(p.URL); err == nil {
				shown["domain"], shown["highlight"] = u.Hostname(), u.Hostname()
			}
		}
		var dialog struct{ Dialog string }
		if err := report("shown", shown, &dialog); err != nil {
			return nil, err
		}
		// The answer comes when the person acts; that may take a while.
		ask, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("HOSTCHECK_CONTROL")+"/press?dialog="+dialog.Dialog, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(ask)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		var press struct{ Action string }
		if err := json.NewDecoder(resp.Body).Decode(&press); err != nil {
			return nil, err
		}
		switch press.Action {
		case "accept":
			if p.Mode == "url" {
				// Here your host opens a browser.
				return &mcp.ElicitResult{Action: "accept"}, report("opened", map[string]string{"url": p.URL, "in": "browser"}, nil)
			}
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{}}, nil
		case "nothing":
			<-ctx.Done() // the dialog is left alone for good
			return nil, ctx.Err()
		}
		return &mcp.ElicitResult{Action: press.Action}, nil
	}
}

func main() {
	ctx := context.Background()
	var t task
	if err := learn(&t); err != nil {
		log.Fatal("this is started by hostcheck: ", err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "my-host", Version: "1.0.0"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{},
		}},
		ElicitationHandler: elicit(&t),
	})
	var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: t.Server.URL}
	if len(t.Server.Command) > 0 {
		transport = &mcp.CommandTransport{Command: exec.Command(t.Server.Command[0], t.Server.Command[1:]...)}
	}
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: os.Getenv("HOSTCHECK_PROTOCOL")})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	for _, step := range t.Steps {
		var calls sync.WaitGroup
		for _, call := range step {
			calls.Go(func() {
				limit := time.Minute
				if call.TimeoutMs > 0 {
					limit = time.Duration(call.TimeoutMs) * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(ctx, limit)
				defer cancel()
				outcome := map[string]any{"call": call.ID}
				res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: call.Tool, Arguments: call.Arguments})
				if err != nil {
					outcome["text"], outcome["error"] = err.Error(), true
				} else {
					text := ""
					for _, content := range res.Content {
						if c, ok := content.(*mcp.TextContent); ok {
							text += c.Text
						}
					}
					outcome["text"], outcome["error"] = text, res.IsError
				}
				if err := report("outcome", outcome, nil); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			})
		}
		calls.Wait()
	}
}
