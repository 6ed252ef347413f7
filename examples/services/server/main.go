// Command server is an MCP server with a tool that needs two services: it reads who the
// user is at one, and writes that into a note at the other. It is what examples/services starts.
//
//	go run ./examples/services/server -issuer URL -api URL -other-issuer URL -other-api URL -client-id ID
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// serve reads the flags and serves standard input and output until the input ends or ctx does.
func serve(ctx context.Context) error {
	var directory, notes service
	flag.StringVar(&directory.issuer, "issuer", "", "`URL` of the directory's authorization server")
	flag.StringVar(&directory.api, "api", "", "base `URL` of the directory's API: GET /me")
	flag.StringVar(&notes.issuer, "other-issuer", "", "`URL` of the notes' authorization server")
	flag.StringVar(&notes.api, "other-api", "", "base `URL` of the notes' API: POST /notes")
	clientID := flag.String("client-id", "", "this server's client `identifier` at both")
	flows := flag.String("flows", "device", "how the user may sign in, the best first: device, redirect, or both with a comma between")
	patience := flag.Duration("patience", 0, "how long a call waits for the user of a host that is not known by name; 0 means 55s")
	flag.Parse()

	options := &lazyauth.Options{MaxWait: *patience}
	directory.name, notes.name = "Directory", "Notes"
	tool := &signing{directory: &directory, notes: &notes}
	for _, s := range []*service{&directory, &notes} {
		if err := s.begin(*clientID, *flows, options); err != nil {
			return errors.Join(err, tool.close())
		}
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "services", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, directory.auth, signNoteTool, scopes.Of("profile"),
		lazyauth.Also(notes.auth, signNoteTool.Name, scopes.Of("notes:write"), tool.signNote))

	err := server.Run(ctx, &mcp.StdioTransport{})
	if ctx.Err() != nil {
		err = nil // a signal is, like the end of the input, how a server is meant to end
	}
	return errors.Join(err, tool.close())
}

// A service is one of the two: its API, and what keeps its grants.
type service struct {
	name, issuer, api string
	auth              *lazyauth.Interceptor
}

// begin makes the interceptor.
func (s *service) begin(clientID, flows string, options *lazyauth.Options) error {
	base, err := url.Parse(strings.TrimSuffix(s.api, "/"))
	if err != nil {
		return fmt.Errorf("the API of %s: %w", s.name, err)
	}
	s.api = base.String()
	var allowed []lazyauth.Flow
	for name := range strings.SplitSeq(flows, ",") {
		allowed = append(allowed, lazyauth.Flow(name)) // which New judges
	}
	s.auth, err = lazyauth.New(lazyauth.Service{
		Name: s.name, Issuer: s.issuer, ClientID: clientID, Flows: allowed,
		APIOrigins: []string{base.Scheme + "://" + base.Host},
	}, options)
	return err
}

// signNoteTool needs both.
var signNoteTool = &mcp.Tool{Name: "sign_note", Description: "Write a note with your name under it"}

// A signing is what the tool works with.
type signing struct{ directory, notes *service }

type signArgs struct {
	Text string `json:"text"`
}

type signed struct {
	Text string `json:"text"`
}

// signNote asks the directory for the user's name, with the directory's grant, and writes the
// note with that of the notes.
func (s *signing) signNote(ctx context.Context, _ *mcp.CallToolRequest, in signArgs) (*mcp.CallToolResult, signed, error) {
	var me struct {
		Name string `json:"name"`
	}
	if err := call(ctx, s.directory, http.MethodGet, "/me", nil, &me); err != nil {
		return nil, signed{}, err
	}
	var note signed
	err := call(ctx, s.notes, http.MethodPost, "/notes", signed{Text: in.Text + " (" + me.Name + ")"}, &note)
	return nil, note, err
}

// call sends one request to a service, with its grant, and reads the answer into out.
func call(ctx context.Context, s *service, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = strings.NewReader(string(text))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.api+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.auth.Client(ctx).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", s.name, res.Status)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(out)
}

// close ends both.
func (s *signing) close() error {
	var errs []error
	for _, one := range []*service{s.directory, s.notes} {
		if one.auth != nil {
			errs = append(errs, one.auth.Close())
		}
	}
	return errors.Join(errs...)
}
