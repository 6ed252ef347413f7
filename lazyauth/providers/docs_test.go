package providers_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
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
func TestDocs_BlocksCompile(t *testing.T) {
	document, source := read(t, "../../docs/providers.md"), flat(read(t, "blocks_test.go"))
	shown := 0
	for _, match := range goBlock.FindAllStringSubmatch(document, -1) {
		shown++
		if !strings.Contains(source, flat(match[1])) {
			t.Errorf("docs/providers.md shows what is not in blocks_test.go:\n%s", match[1])
		}
	}
	if compiled := strings.Count(source, "Block() (lazyauth.Service, error) {") + 3; shown != compiled {
		t.Errorf("%d blocks are shown and %d compiled", shown, compiled)
	}
}

// And what is shown is a service that lazyauth takes as it is.
func TestDocs_BlocksMakeServices(t *testing.T) {
	for _, name := range []string{"GITHUB_CLIENT_SECRET", "NOTION_CLIENT_SECRET", "ATLASSIAN_CLIENT_SECRET"} {
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
	readme := read(t, "../../README.md")
	if at := strings.Index(readme, "docs/providers.md"); at < 0 || strings.Count(readme[:at], "\n") > 12 {
		t.Error("the first screen of the README does not lead to docs/providers.md")
	}
}
