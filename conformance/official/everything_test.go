package official_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const gatedPath = "github.com/lazyauth/mcp-lazyauth/conformance/official/gated"

// stands are the functions in whose place the server calls those of package gated.
var stands = []string{"mcp.AddTool", "mcp.NewStreamableHTTPHandler", "http.ListenAndServe"}

// buildEverything compiles the SDK's everything server, of the version in go.mod, with calls of
// package gated, as if it were a folder of this module: it is a program, which cannot be
// imported.
func buildEverything(dir string) (binary string, err error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/modelcontextprotocol/go-sdk/conformance/everything-server").Output()
	if err != nil {
		return "", fmt.Errorf("finding the everything server: %w", err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "main.go"))
	if err != nil {
		return "", err
	}
	text, err := rewrite(string(source))
	if err != nil {
		return "", fmt.Errorf("the everything server: %w", err)
	}
	place, err := filepath.Abs(filepath.Join("everything", "main.go"))
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "main.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: file}})
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{file: []byte(text), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return "", err
		}
	}
	binary = filepath.Join(dir, "everything.exe") // the suffix is needed on one system and harmless on the others
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./everything")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the everything server: %w\n%s", err, out)
	}
	return binary, nil
}

// rewrite puts package gated in the place of what stands names. Each has to be there.
func rewrite(source string) (string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "main.go", source, 0)
	if err != nil {
		return "", err
	}
	var packages []int // where the name of a package is to be replaced
	missing := slices.Clone(stands)
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := call.X.(*ast.Ident); ok {
				if name := pkg.Name + "." + call.Sel.Name; slices.Contains(stands, name) {
					packages = append(packages, files.Position(pkg.Pos()).Offset)
					missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
				}
			}
		}
		return true
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("it does not call %s", strings.Join(missing, ", "))
	}
	var text strings.Builder
	from := files.Position(file.Name.End()).Offset
	text.WriteString(source[:from] + "; import " + `"` + gatedPath + `"`)
	for _, at := range packages {
		name, _, _ := strings.Cut(source[at:], ".")
		text.WriteString(source[from:at] + "gated")
		from = at + len(name)
	}
	text.WriteString(source[from:])
	return text.String(), nil
}
