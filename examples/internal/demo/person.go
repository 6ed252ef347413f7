package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Person is the host's user. Its methods may be called concurrently.
type Person struct {
	servers []*AuthorizationServer // where the user can sign in
	out     *Screen
	flow    string

	// visit, if not nil, stands in for the user: it is given what the prompt
	// showed, and must not block. Without a code the page is a link.
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
	as := p.serverOf(page)
	if as == nil {
		return nil, errors.New("the prompt's page is no authorization server's")
	}
	look := lookAtDevice
	if p.flow == "redirect" {
		look = lookAtLink
	}
	scopes, code, expires, err := look(ctx, as, page)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.asked = append(p.asked, scopes)
	p.mu.Unlock()
	if !strings.Contains(req.Params.Message, code) {
		return nil, errors.New("the prompt does not show the code")
	}
	next := "Open that page in a browser, enter the code and approve. The call waits."
	switch {
	case p.visit != nil:
		next = "-approve: doing on that page what you would do in a browser. The call waits."
	case code == "":
		next = "Open that link in a browser on this machine, and approve. The call waits."
	}
	p.out.prompt(req.Params.Message, page, code, expires, next)
	if p.visit != nil {
		p.visit(req.Params.URL, code)
	}
	return &mcp.ElicitResult{Action: "accept"}, nil
}

// serverOf returns the authorization server whose page it is; nil if it is none's.
func (p *Person) serverOf(page *url.URL) *AuthorizationServer {
	for _, as := range p.servers {
		if page.Host == as.Address {
			return as
		}
	}
	return nil
}

// lookAtDevice returns what is asked for with a code, and until when. A host knows that only
// in words; this one asks the authorization server.
func lookAtDevice(ctx context.Context, as *AuthorizationServer, _ *url.URL) (scopes, code string, expires time.Time, err error) {
	waiting, err := as.WaitForRequest(ctx)
	return strings.Join(waiting.Scopes, " "), waiting.UserCode, waiting.Expires, err
}

// lookAtLink returns what a link to the authorization endpoint asks for, and until when it is good. The
// authorization server knows nothing of it before somebody opens it.
func lookAtLink(_ context.Context, as *AuthorizationServer, page *url.URL) (scopes, code string, expires time.Time, err error) {
	if got, _, _ := strings.Cut(page.String(), "?"); got != as.URL(fakeas.Authorization) {
		return "", "", time.Time{}, errors.New("the link does not lead to the authorization server")
	}
	return page.Query().Get("scope"), "", time.Now().Add(codeLifetime), nil
}

// approveOverHTTP returns a visit that approves through the pages, as a browser
// would, and reports to failed if it cannot. It is one browser, which stays signed in. The caller
// must call wait.
func approveOverHTTP(ctx context.Context, failed func(error)) (visit func(page, code string), wait func()) {
	var visits sync.WaitGroup
	jar, _ := cookiejar.New(nil) // which never fails
	browser := &http.Client{Jar: jar}
	visit = func(page, code string) {
		visits.Go(func() {
			if err := approve(ctx, browser, page, code); err != nil {
				failed(fmt.Errorf("approving in the user's stead: %w", err))
			}
		})
	}
	return visit, visits.Wait
}

// approve approves what a prompt asks for. After a link the browser goes back to where it is sent, and
// stays until the page there says what came of it.
func approve(ctx context.Context, browser *http.Client, page, code string) error {
	if code != "" {
		return fakeas.Visit(ctx, browser, page, code, true)
	}
	back, err := fakeas.VisitAuthorization(ctx, browser, page, "", true)
	for range 30 { // the page comes after four seconds at the most, if only to say that it is not known yet
		if err != nil {
			return err
		}
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, http.MethodGet, back, nil); err != nil {
			return err
		}
		var res *http.Response
		if res, err = browser.Do(req); err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("the page that the browser was led back to: HTTP status %d", res.StatusCode)
		}
		if res.Header.Get("Refresh") == "" {
			return nil
		}
		back = res.Request.URL.String()
	}
	return errors.New("the page that the browser was led back to does not say what came of it")
}
