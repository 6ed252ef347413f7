// Package gated stands where the SDK's everything server, which the official suite is written
// for, calls the SDK and net/http: it registers that server's tools behind lazyauth. The test
// rewrites the calls (see everything_test.go) and chooses by the flags defined here.
//
// Each tool reads its token before it does what it does, as tools do that call an API.
package gated

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// The ways of registering a tool.
const (
	bare      = "bare"      // without lazyauth
	intercept = "intercept" // Intercept, with a policy that names each tool
	unlisted  = "unlisted"  // Intercept, with a policy that names none: who signs in does so while the handler runs
	addTool   = "addtool"   // AddTool
)

// The ways of breaking the server, for tests of the test.
const (
	dropContent = "drop-content" // a gate that loses what a tool returns
	letPrompts  = "let-prompts"  // a host that hands prompts to whoever called
	noGate      = "no-gate"      // tools that were to be gated and are not
)

var (
	gate  = flag.String("gate", bare, "how tools are registered: bare, intercept, unlisted, addtool")
	ask   = flag.Bool("ask", false, "every call is somebody's who has not signed in, and does when asked; otherwise the operator gave a token")
	fault = flag.String("fault", "", "what is broken: drop-content, let-prompts, no-gate")
)

const (
	serviceName  = "Notes"
	callerHeader = "Official-Caller" // whose call it is, as the host here says
)

// need is what every tool needs.
var need = scopes.Of("profile")

// served is what the flags ask for. It is made when the first tool is registered, after
// main has parsed them.
var served = sync.OnceValue(func() *service {
	s, err := newService()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gated:", err)
		os.Exit(2)
	}
	return s
})

// A service is the authorization server, and lazyauth as its client.
type service struct {
	as         *fakeas.Server
	auth       *lazyauth.Interceptor
	authorized atomic.Int64 // handlers that got a token

	mu    sync.Mutex
	names []string // of the tools; guarded by mu, since one tool registers another
}

func newService() (*service, error) {
	if !slices.Contains([]string{bare, intercept, unlisted, addTool}, *gate) {
		return nil, fmt.Errorf("no gate is called %q", *gate)
	}
	if !slices.Contains([]string{"", dropContent, letPrompts, noGate}, *fault) {
		return nil, fmt.Errorf("no fault is called %q", *fault)
	}
	s := &service{as: fakeas.New(&fakeas.Options{Interval: time.Second})} // the least there is
	options := &lazyauth.Options{Transport: s.as.Transport()}
	if *ask {
		options.Principal = func(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{Issuer: s.as.Issuer(), Subject: req.Extra.Header.Get(callerHeader)}, nil
		}
		// Whoever called approved: nobody else is here.
		options.VerifyUser = func(context.Context, lazyauth.Principal, *oauth2.Token) error { return nil }
	} else {
		options.InsecureSingleUser = true
		options.Token = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "the operator's"})
	}
	var err error
	s.auth, err = lazyauth.New(lazyauth.Service{
		Name: serviceName, Issuer: s.as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{s.as.API()},
	}, options)
	return s, err
}

// AddTool stands for [mcp.AddTool].
func AddTool[In, Out any](server *mcp.Server, tool *mcp.Tool, handler mcp.ToolHandlerFor[In, Out]) {
	s := served()
	if *gate == bare || *fault == noGate {
		mcp.AddTool(server, tool, handler)
		return
	}
	reading := func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		if _, err := lazyauth.TokenSource(ctx).Token(); err != nil {
			var none Out
			return nil, none, err
		}
		s.authorized.Add(1)
		return handler(ctx, req, in)
	}
	if *gate == addTool {
		lazyauth.AddTool(server, s.auth, tool, need, reading)
		return
	}
	s.mu.Lock()
	s.names = append(s.names, tool.Name)
	s.mu.Unlock()
	mcp.AddTool(server, tool, reading)
}

// NewStreamableHTTPHandler stands for [mcp.NewStreamableHTTPHandler]. The server has all its
// tools by then.
func NewStreamableHTTPHandler(server func(*http.Request) *mcp.Server, options *mcp.StreamableHTTPOptions) *mcp.StreamableHTTPHandler {
	s := served()
	if *fault == dropContent {
		server(nil).AddReceivingMiddleware(dropping)
	}
	switch *gate {
	case intercept:
		policy := scopes.Policy{Tools: make(map[string]scopes.Requirement)}
		s.mu.Lock()
		for _, name := range s.names {
			policy.Tools[name] = need
		}
		s.mu.Unlock()
		s.auth.Intercept(server(nil), policy)
	case unlisted:
		s.auth.Intercept(server(nil), scopes.Policy{Unlisted: need})
	}
	return mcp.NewStreamableHTTPHandler(server, options)
}

// dropping loses the content of results.
func dropping(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		if called, ok := result.(*mcp.CallToolResult); ok && called != nil {
			called.Content = nil
		}
		return result, err
	}
}
