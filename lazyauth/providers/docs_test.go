package providers_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// flat returns code without what may differ where it stands: indentation, and the columns of comments
// and values.
func flat(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// What docs/providers.md shows is compiled here, byte for byte but for blanks, and nothing here is shown nowhere.
// blocks_test.go has it, and blocks_http_test.go what is for callers over HTTP.
func TestDocs_BlocksCompile(t *testing.T) {
	document, source := read(t, "../../docs/providers.md"), flat(read(t, "blocks_test.go")+read(t, "blocks_http_test.go"))
	shown := 0
	for _, match := range goBlock.FindAllStringSubmatch(document, -1) {
		shown++
		if !strings.Contains(source, flat(match[1])) {
			t.Errorf("docs/providers.md shows what is compiled nowhere:\n%s", match[1])
		}
	}
	if compiled := strings.Count(source, "Block() (lazyauth.Service, error) {") + 7; shown != compiled {
		t.Errorf("%d blocks are shown and %d compiled", shown, compiled)
	}
}

// And what is shown is a service that lazyauth takes as it is.
func TestDocs_BlocksMakeServices(t *testing.T) {
	for _, name := range []string{"GITHUB_CLIENT_SECRET", "NOTION_CLIENT_ID", "NOTION_CLIENT_SECRET", "ATLASSIAN_CLIENT_ID", "ATLASSIAN_CLIENT_SECRET"} {
		t.Setenv(name, clientSecret)
	}
	for name, make := range blocks {
		service, err := make()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		auth, err := lazyauth.New(service, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := auth.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(service.APIOrigins) == 0 {
			t.Errorf("%s: the token is sent to no API", name)
		}
	}
	wholeBlock(mcp.NewServer(&mcp.Implementation{Name: "issues"}, nil), func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
}

// Each function has its lines in the document, and names its sources and their date; the README leads there
// from its first screen.
func TestDocs_NothingIsMissing(t *testing.T) {
	document := read(t, "../../docs/providers.md")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Recv != nil {
				continue
			}
			found++
			if !strings.Contains(document, "providers."+f.Name.Name+"(") {
				t.Errorf("docs/providers.md has no lines for %s", f.Name.Name)
			}
			comment := strings.Join(strings.Fields(f.Doc.Text()), " ")
			if sourced := strings.Contains(comment, "Source") && strings.Contains(comment, "ead on 2026-") && strings.Contains(comment, "Not run against"); !sourced && !strings.Contains(comment, "It is [GitHub] in all else") && !strings.Contains(comment, "is [GitLab] at an address") {
				t.Errorf("the comment of %s names no sources, or does not say what it was run against", f.Name.Name)
			}
		}
	}
	if found != 17 {
		t.Errorf("%d functions, want 17", found)
	}
	before, _, ok := strings.Cut(read(t, "../../README.md"), "docs/providers.md")
	if !ok || strings.Count(before, "\n") > 12 {
		t.Error("the first screen of the README does not lead to docs/providers.md")
	}
}

// inACall runs a function in a call of a tool, with a token of the operator's.
func inACall(t *testing.T, service lazyauth.Service, api http.RoundTripper, do func(context.Context) error) {
	t.Helper()
	auth, err := lazyauth.New(service, &lazyauth.Options{
		Transport: api, Trace: new(lazyauth.Trace), Token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "of-the-operator"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer auth.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "test"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "try"}, scopes.Set{}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, do(ctx)
	})
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "try"})
	if err != nil || result.IsError {
		t.Errorf("the call: %+v, %v", result, err)
	}
}

// The handlers' lines do what the document says of them.
func TestDocs_AfterSlack(t *testing.T) {
	service := preset(t)(slackBlock())
	inACall(t, service, new(double), func(ctx context.Context) error {
		if err := afterSlack(ctx, "missing_scope"); err != nil {
			t.Errorf("more is not asked for: %v", err)
		}
		if err := afterSlack(ctx, "token_expired"); reasonOf(err) == "" {
			t.Errorf("a token that was refused is not reported: %v", err)
		}
		if err := afterSlack(ctx, "channel_not_found"); err == nil || reasonOf(err) != "" {
			t.Errorf("an error of Slack's is taken for one of the sign-in: %v", err)
		}
		return nil
	})
}

func TestDocs_JiraBase(t *testing.T) {
	t.Setenv("ATLASSIAN_CLIENT_ID", clientID)
	t.Setenv("ATLASSIAN_CLIENT_SECRET", clientSecret)
	service := preset(t)(atlassianBlock())
	sites := []map[string]any{{"id": "1324a887/../45db", "url": "https://acme.atlassian.net", "scopes": []string{"read:jira-work"}}}
	d := &double{api: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "https://api.atlassian.com/oauth/token/accessible-resources" || r.Header.Get("Authorization") != "Bearer of-the-operator" {
			http.NotFound(w, r)
			return
		}
		answer(w, sites)
	}}
	inACall(t, service, d, func(ctx context.Context) error {
		got, err := jiraBase(ctx)
		if want := "https://api.atlassian.com/ex/jira/1324a887%2F..%2F45db"; err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		sites = nil
		if _, err := jiraBase(ctx); err == nil {
			t.Error("no site, and no error")
		}
		return nil
	})
}

func reasonOf(err error) lazyauth.Reason {
	if e, ok := errors.AsType[*lazyauth.Error](err); ok {
		return e.Reason
	}
	return ""
}
