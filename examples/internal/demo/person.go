package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Person is the host's user. Its methods may be called concurrently.
type Person struct {
	as  *AuthorizationServer
	out *Screen

	// visit, if not nil, stands in for the user: it is given what the prompt
	// showed, and must not block.
	visit func(page, code string)

	mu    sync.Mutex
	asked []string
}

// Asked returns the scopes of every prompt that the user was shown, in order,
// with one space between scopes.
func (p *Person) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// elicit shows a URL-mode prompt and accepts it. To accept is to agree that
// the page be opened, not to have signed in: when that has happened the server
// finds out by itself (MCP client/elicitation).
func (p *Person) elicit(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	page, err := url.Parse(req.Params.URL)
	if err != nil || req.Params.Mode != "url" {
		return nil, errors.New("the prompt is not for a page to open")
	}
	waiting, err := p.as.WaitForRequest(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.asked = append(p.asked, strings.Join(waiting.Scopes, " "))
	p.mu.Unlock()
	if !strings.Contains(req.Params.Message, waiting.UserCode) {
		return nil, errors.New("the prompt does not show the code")
	}
	if p.visit == nil {
		p.out.prompt(req.Params.Message, page, waiting, "Open that page in a browser, enter the code and approve. The call waits.")
	} else {
		p.out.prompt(req.Params.Message, page, waiting, "-approve: doing on that page what you would do in a browser. The call waits.")
		p.visit(req.Params.URL, waiting.UserCode)
	}
	return &mcp.ElicitResult{Action: "accept"}, nil
}

// approveOverHTTP returns a visit that approves through the pages, as a browser
// would, and reports to failed if it cannot. The caller must call wait.
func approveOverHTTP(ctx context.Context, failed func(error)) (visit func(page, code string), wait func()) {
	var visits sync.WaitGroup
	visit = func(page, code string) {
		visits.Go(func() {
			if err := fakeas.Visit(ctx, nil, page, code, true); err != nil {
				failed(fmt.Errorf("approving in the user's stead: %w", err))
			}
		})
	}
	return visit, visits.Wait
}
