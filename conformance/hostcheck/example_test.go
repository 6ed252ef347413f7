package hostcheck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A host inside this process is checked in one scenario, over HTTP in the newer
// protocol. It makes the calls that it is told to make, and forgets to say who it
// is.
func ExampleRun() {
	host := func(ctx context.Context, launch hostcheck.Launch) error {
		client := &http.Client{Transport: &http.Transport{DialContext: launch.Dial}}
		defer client.CloseIdleConnections()
		id := 0
		for _, step := range launch.Task.Steps {
			for _, call := range step { // a real host makes them side by side
				id++
				meta := map[string]any{
					"io.modelcontextprotocol/protocolVersion":    launch.Protocol,
					"io.modelcontextprotocol/clientCapabilities": map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
				}
				if id == 1 { // and forgets to say who it is after that
					meta["io.modelcontextprotocol/clientInfo"] = map[string]any{"name": "my-host", "version": "1.0"}
				}
				body, err := json.Marshal(map[string]any{
					"jsonrpc": "2.0", "id": id, "method": "tools/call",
					"params": map[string]any{"name": call.Tool, "arguments": call.Arguments, "_meta": meta},
				})
				if err != nil {
					return err
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, launch.URL, bytes.NewReader(body))
				if err != nil {
					return err
				}
				req.Header = http.Header{
					"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
					"Mcp-Protocol-Version": {launch.Protocol}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {call.Tool},
				}
				resp, err := client.Do(req)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil {
					return err
				}
			}
		}
		return nil
	}

	report, err := hostcheck.Run(context.Background(), hostcheck.Config{
		Play:       host, // or Host: []string{"my-host", "--mcp-server", "{server}"}
		Scenarios:  []string{"advertising"},
		Protocols:  []string{hostcheck.Modern},
		Transports: []string{hostcheck.HTTP},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range report.Results {
		for _, check := range result.Checks {
			fmt.Println(check.ID, check.Status, check.Name)
			if check.ErrorMessage != "" {
				fmt.Println("  ", check.ErrorMessage)
			}
		}
	}
	fmt.Println("a success:", report.OK(false), "and where warnings fail:", report.OK(true))
	// Output:
	// B1 SUCCESS declares elicitation with each request
	// B2 SUCCESS sends the required metadata
	// B3 WARNING says who it is
	//    tools/call does not name the client and its version
	// B23 SUCCESS posts one message at a time
	// B24 SUCCESS mirrors the body in headers
	// A36 SUCCESS speaks JSON-RPC 2.0
	// A38 SUCCESS writes UTF-8
	// A45 SUCCESS keeps to the schema
	// B16 SUCCESS does not reuse ids in flight
	// P17 SUCCESS does its task
	// a success: true and where warnings fail: false
}
