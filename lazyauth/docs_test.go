package lazyauth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// packagesShown are the packages whose names stand in code that the documents show.
var packagesShown = map[string]string{
	"lazyauth": ".", "elicit": "../elicit", "scopes": "../scopes", "store": "store",
	"fakeas": "../conformance/fakeas", "hostcheck": "../conformance/hostcheck", "storetest": "store/storetest",
	"providers": "providers", "httplimit": "httplimit", "httpforward": "httpforward",
}

// exports are the exported names of a package, and the fields of its structs by their names.
type exports struct {
	names  map[string]bool
	fields map[string]map[string]bool
}

// readExports reads the package in a folder.
func readExports(t *testing.T, folder string) exports {
	t.Helper()
	e := exports{make(map[string]bool), make(map[string]map[string]bool)}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			e.add(d)
		}
	}
	return e
}

func (e exports) add(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		e.names[d.Name.Name] = d.Recv == nil || e.names[d.Name.Name]
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					e.names[name.Name] = true
				}
			case *ast.TypeSpec:
				e.names[spec.Name.Name] = true
				if s, ok := spec.Type.(*ast.StructType); ok {
					fields := make(map[string]bool)
					for _, f := range s.Fields.List {
						for _, name := range f.Names {
							fields[name.Name] = true
						}
					}
					e.fields[spec.Name.Name] = fields
				}
			}
		}
	}
}

// parseBlock parses a piece of a document: a file, declarations, statements, or elements of a list.
func parseBlock(code string) (ast.Node, error) {
	code = strings.ReplaceAll(code, "…", "nil") // what the document leaves out
	var last error
	for _, as := range []string{"%s", "package p\n%s", "package p\nvar _ = []any{\n%s\n}", "package p\nfunc _() {\n%s\n}"} {
		file, err := parser.ParseFile(token.NewFileSet(), "block.go", strings.Replace(as, "%s", code, 1), 0)
		if err == nil {
			return file, nil
		}
		last = err // that of statements, which most are
	}
	return nil, last
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// What the documents show is Go, and what it names is there: functions, types, and the fields of what
// an author fills in. The README's is the Example's besides, which compiles.
func TestDocs_NameWhatIsThere(t *testing.T) {
	packages := make(map[string]exports)
	for name, folder := range packagesShown {
		packages[name] = readExports(t, folder)
	}
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, named := 0, 0
	for _, name := range append(documents, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range goBlock.FindAllStringSubmatch(string(text), -1) {
			blocks++
			block, err := parseBlock(match[1])
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, match[1])
				continue
			}
			ast.Inspect(block, func(n ast.Node) bool {
				for _, missing := range missingIn(packages, n) {
					t.Errorf("%s: there is no %s", name, missing)
				}
				if _, ok := n.(*ast.SelectorExpr); ok {
					named++
				}
				return true
			})
		}
	}
	if blocks < 15 || named < 50 {
		t.Errorf("%d blocks with %d names: where are the others?", blocks, named)
	}
}

// missingIn returns what a node of a block names that is not there.
func missingIn(packages map[string]exports, n ast.Node) (missing []string) {
	qualified := func(e ast.Expr) (string, string) {
		if s, ok := e.(*ast.SelectorExpr); ok {
			if of, ok := s.X.(*ast.Ident); ok && packages[of.Name].names != nil {
				return of.Name, s.Sel.Name
			}
		}
		return "", ""
	}
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if of, name := qualified(n); of != "" && !packages[of].names[name] {
			missing = append(missing, of+"."+name)
		}
	case *ast.CompositeLit:
		of, name := qualified(n.Type)
		fields := packages[of].fields[name]
		for _, element := range n.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok && fields != nil {
				if key, ok := pair.Key.(*ast.Ident); ok && !fields[key.Name] {
					missing = append(missing, of+"."+name+"."+key.Name)
				}
			}
		}
	}
	return missing
}

// Code that is shown as a whole is code that compiles, in a test or an example.
func TestDocs_ShowWhatCompiles(t *testing.T) {
	flat := func(text string) string { // without what only the place of a line decides
		var lines []string
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	for _, shown := range []struct{ document, begins, source string }{
		{"../docs/http.md", "page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: \"https://mcp.example.com/connect\", Who: whoIsSignedIn})", "httplimit/example_test.go"},
		{"../docs/scale.md", "fleet, err := store.NewFleet(db, keys.Names", "httpforward/example_test.go"},
		{"../docs/http.md", "// peer is the key", "unixsocket_linux_test.go"},
	} {
		text, err := os.ReadFile(shown.document)
		if err != nil {
			t.Fatal(err)
		}
		source, err := os.ReadFile(shown.source)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, match := range goBlock.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(match[1], shown.begins) {
				continue
			}
			found = true
			if !strings.Contains(flat(string(source)), flat(match[1])) {
				t.Errorf("%s shows what is not in %s:\n%s", shown.document, shown.source, match[1])
			}
		}
		if !found {
			t.Errorf("%s does not show what is in %s", shown.document, shown.source)
		}
	}
}
