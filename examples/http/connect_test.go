package main

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A visitor is a person's browser, as far as the pages of this program need one.
type visitor struct {
	t      testing.TB
	client http.Client
}

// visits returns a browser that is signed in to this program as a demo user.
func visits(t testing.TB, base, user string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, http.Client{Jar: jar}}
	v.load(base+server.SignInPath, url.Values{"user": {user}})
	return v
}

// load loads an address, or sends a form to it, and returns the page.
func (v *visitor) load(address string, form url.Values) string {
	v.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}

// connects goes on from a link, approves at the authorization server, and returns the last page.
func (v *visitor) connects(as *fakeas.Server, user, link string) string {
	v.t.Helper()
	page := v.load(link, nil)
	form := url.Values{"answer": {"continue"}}
	for _, field := range hiddenField.FindAllStringSubmatch(page, -1) {
		form.Set(field[1], field[2])
	}
	address, _, _ := strings.Cut(link, "?")
	leaving := onward.FindStringSubmatch(v.load(address, form))
	if leaving == nil {
		v.t.Fatalf("the page leads nowhere: %s", page)
	}
	back, err := as.ApproveURLAs(v.t.Context(), user, html.UnescapeString(leaving[1]))
	if err != nil {
		v.t.Fatal(err)
	}
	return v.load(back, nil)
}

var (
	hiddenField = regexp.MustCompile(`name="(f|token)" value="([^"]*)"`)
	onward      = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)
)

// Ada's host calls, her browser passes the page, and that call goes on. Eve's browser, which has the link, does not.
func TestConnectPage(t *testing.T) {
	w := started(t, "-demo-users", "ada,eve", "-connect")
	for _, protocol := range []string{"2026-07-28", "2025-11-25"} {
		user, path := "ada", server.ModernPath
		if protocol != "2026-07-28" {
			user, path = "eve", server.LegacyPath
		}
		links := make(chan string, 1)
		client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
			Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
			ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
				links <- req.Params.URL
				return &mcp.ElicitResult{Action: "accept"}, nil
			},
		})
		session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: w.base + path, HTTPClient: &http.Client{Transport: bearing(user)}},
			&mcp.ClientSessionOptions{ProtocolVersion: protocol})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		results := make(chan *mcp.CallToolResult, 1)
		go func() {
			defer close(results)
			if result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"}); err == nil {
				results <- result
			}
		}()
		link := <-links
		if !strings.HasPrefix(link, w.base+server.ConnectPath+"?f=") {
			t.Fatalf("the link is %q", link)
		}
		other := map[string]string{"ada": "eve", "eve": "ada"}[user]
		if page := visits(t, w.base, other).load(link, nil); !strings.Contains(page, `data-page="foreign"`) || strings.Contains(page, user) {
			t.Errorf("%s's browser shows %s", other, page)
		}
		if page := visits(t, w.base, user).connects(w.as, user, link); !strings.Contains(page, `data-page="signed-in"`) {
			t.Errorf("the last page is %s", page)
		}
		if result := <-results; result == nil || result.IsError {
			t.Errorf("%s's call came to %+v", user, result)
		}
	}
}
