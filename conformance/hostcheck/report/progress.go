package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// Progress is one line on a terminal that says how far a run has come. Its
// methods are not safe for concurrent use.
type Progress struct {
	w      io.Writer
	failed int
	shown  int // columns of the line that stands there
}

// NewProgress returns a line on w, a terminal.
func NewProgress(w io.Writer) *Progress { return &Progress{w: w} }

// Update shows that the run of a scenario is done. It fits
// [hostcheck.Config.Progress].
func (p *Progress) Update(done, total int, r hostcheck.Result) {
	c := counts{}
	c.add(r.Checks)
	p.failed += c[hostcheck.Failure]
	what := fmt.Sprintf("%d of %d", done, total)
	if p.failed > 0 {
		what += fmt.Sprintf(", %d failed", p.failed)
	}
	what += fmt.Sprintf(": %s %s %s", r.Scenario, r.Protocol, r.Transport)
	shown := []rune(line(what))
	p.put(string(shown[:min(len(shown), 79)])) // in the last column some terminals wrap
}

// Clear takes the line away.
func (p *Progress) Clear() {
	if p.shown > 0 {
		p.put("")
		fmt.Fprint(p.w, "\r")
	}
}

// put overwrites the line. Blanks do it on terminals that know no sequences
// for it.
func (p *Progress) put(s string) {
	n := utf8.RuneCountInString(s)
	fmt.Fprintf(p.w, "\r%s%s", s, strings.Repeat(" ", max(p.shown-n, 0)))
	p.shown = n
}
