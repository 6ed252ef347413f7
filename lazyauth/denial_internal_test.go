package lazyauth

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every reason has a word of the draft's, but for the one that is no denial; and docs/denials.md
// has the same of each.
func TestDenial_OfEachReason(t *testing.T) {
	source, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/denials.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]string)
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(cells[1], " `") {
			for name := range strings.SplitSeq(cells[1], ",") {
				told[strings.Trim(name, " `")] = strings.Trim(cells[2], " `")
			}
		}
	}
	reasons := 0
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		reasons++
		got := Reason(text).remediation()
		switch want := told[text]; {
		case got == "" && Reason(text) != ReasonUndetermined:
			t.Errorf("%s has no remediation", text)
		case got == "" && want != "none", got != "" && got != want:
			t.Errorf("%s: %q, and the page says %q", text, got, want)
		}
		return true
	})
	if reasons < 13 {
		t.Errorf("found %d reasons", reasons)
	}
}
