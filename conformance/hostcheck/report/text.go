package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// maxSeen bounds what Text shows of one message, in characters. Hosts put
// whole documents into their errors.
const maxSeen = 600

// maxLine bounds a line of the host's own, likewise.
const maxLine = 160

// Text writes a summary for people: what failed and what warned, each with its
// requirement, what was seen and where the specification says so, then the
// totals. What passed is a number, unless o is Verbose.
func Text(w io.Writer, r *hostcheck.Report, o Options) error {
	t := &text{Writer: bufio.NewWriter(w), Options: o}
	t.Width = cmp.Or(t.Width, 80)
	t.findings(r)
	t.obstacles(r)
	if o.Verbose {
		t.runs(r)
	}
	t.baseline(r.Baseline)
	t.totals(r)
	return t.Flush()
}

// text is a summary being written. Errors stay in the writer until Flush.
type text struct {
	*bufio.Writer
	Options
}

// The colours of a terminal.
const (
	red, yellow, green, faint = "31", "33", "32", "2"
)

func (t *text) paint(colour, s string) string {
	if !t.Colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// para writes wrapped text, the first line after lead, the others below it.
func (t *text) para(lead, s string) { Wrap(t, lead, s, t.Width) }

// Wrap writes text in lines of at most width columns, the first after lead, the others
// below it. It is up to the writer to keep its errors.
func Wrap(w io.Writer, lead, s string, width int) {
	indent := strings.Repeat(" ", len(lead))
	for _, l := range wrap(s, width-len(lead)) {
		fmt.Fprintf(w, "%s%s\n", lead, l)
		lead = indent
	}
}

// findings writes what failed and warned, by scenario.
func (t *text) findings(r *hostcheck.Report) {
	all := slices.Concat(findings(r, hostcheck.Failure), findings(r, hostcheck.Warning))
	for len(all) > 0 {
		first := all[0]
		t.para("", first.scenario+": "+first.title)
		t.para("  ", first.about)
		all = slices.DeleteFunc(all, func(f *finding) bool {
			if f.scenario != first.scenario {
				return false
			}
			t.finding(f, r.Baseline)
			return true
		})
		fmt.Fprintln(t)
	}
}

// obstacles writes what was not reached, and why.
func (t *text) obstacles(r *hostcheck.Report) {
	for _, o := range obstacles(r) {
		reason := shorten(cmp.Or(line(o.reason), "no more is known"), maxSeen)
		if toldBefore(r, o.reason) {
			reason = "see " + hostcheck.TaskID + ", what became of the host"
		}
		t.para("", "Not reached: "+reason)
		if last, r := o.lastWords(); r != nil {
			t.para("  ", fmt.Sprintf("Standard error ends with: %s (%s, %s)", shorten(last, maxLine), visible(r.Scenario), runs([]*hostcheck.Result{r})))
		}
		for _, s := range o.before {
			known := 0
			for _, id := range s.checks {
				if expected(r.Baseline, s.scenario, id) {
					known++
				}
			}
			note := ""
			if known == len(s.checks) {
				note = ", as expected"
			}
			fmt.Fprintf(t, "  %s  %s: %s%s\n", t.paint(yellow, "none"), s.scenario, runs(s.in), note)
			t.para("        ", strings.Join(s.checks, " "))
		}
		fmt.Fprintln(t)
	}
}

func (t *text) finding(f *finding, b *hostcheck.Baseline) {
	word := t.paint(red, "FAIL")
	if f.check.Status == hostcheck.Warning {
		word = t.paint(yellow, "warn")
	}
	head := visible(f.check.ID) + " " + line(f.check.Name)
	if l := level(f.check.ID); l != "" {
		head += " (" + l + ")"
	}
	if f.expected(b) {
		head += ", as expected"
	}
	const indent = "        "
	for i, l := range wrap(head, t.Width-len(indent)) {
		if i == 0 {
			fmt.Fprintf(t, "  %s  %s\n", word, l)
			continue
		}
		fmt.Fprintf(t, "%s%s\n", indent, l)
	}
	t.para(indent, f.check.Description)
	for _, s := range f.seen {
		message := cmp.Or(line(s.message), "no more is known")
		t.para(indent+"> ", f.where(s)+": "+shorten(message, maxSeen))
	}
	for _, ref := range f.check.SpecReferences {
		fmt.Fprintf(t, "%s%s\n", indent, t.paint(faint, line(cmp.Or(ref.URL, ref.ID))))
	}
}

// runs writes a line for each run, and what was skipped in it.
func (t *text) runs(r *hostcheck.Report) {
	for _, result := range r.Results {
		c := counts{}
		c.add(result.Checks)
		fmt.Fprintf(t, "%s %s %s: %s, %s\n", result.Scenario, result.Protocol, result.Transport, c, took(result.Took))
		for _, check := range result.Checks {
			if check.Status == hostcheck.Skipped || check.Status == hostcheck.Info {
				t.para("    ", fmt.Sprintf("%s %s: %s: %s", strings.ToLower(string(check.Status)), check.ID, check.Name,
					shorten(cmp.Or(line(Why(check)), "no reason is given"), maxSeen)))
			}
		}
	}
	if len(r.Results) > 0 {
		fmt.Fprintln(t)
	}
}

func (t *text) baseline(b *hostcheck.Baseline) {
	if b == nil {
		return
	}
	fmt.Fprintf(t, "Expected failures: %d as expected, %d not expected, %d stale.\n", len(b.Expected), len(b.Unexpected), len(b.Stale))
	for _, entry := range b.Unexpected {
		fmt.Fprintf(t, "  not expected: %s\n", visible(entry))
	}
	for _, entry := range b.Stale {
		fmt.Fprintf(t, "  stale, passes now; remove it from the file: %s\n", visible(entry))
	}
	if len(b.Others) > 0 {
		const most = 5
		names := strings.Join(b.Others[:min(len(b.Others), most)], ", ")
		if more := len(b.Others) - most; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		t.para("  another suite's, passed over: ", visible(names))
	}
	fmt.Fprintln(t)
}

func (t *text) totals(r *hostcheck.Report) {
	c, scenarios := counts{}, map[string]bool{}
	for _, result := range r.Results {
		c.add(result.Checks)
		scenarios[result.Scenario] = true
	}
	if who := identity(r); who != "" {
		t.para("", who+".")
	}
	t.para("", fmt.Sprintf("%s in %s, %s: %s.", plural(len(scenarios), "scenario"), plural(len(r.Results), "run"), took(r.Took), c))
	if why := reasons(r, hostcheck.Skipped, 60); why != "" {
		t.para("", "Skipped: "+why+".")
	}
	if why := reasons(r, hostcheck.Info, 160); why != "" {
		t.para("", "For information: "+why+".")
	}
	if c[hostcheck.Success]+c[hostcheck.Failure]+c[hostcheck.Warning] == 0 {
		fmt.Fprintln(t, "Nothing was checked.")
	}
	if r.OK(t.Strict) {
		fmt.Fprintln(t, t.paint(green, "OK"))
		return
	}
	fmt.Fprintln(t, t.paint(red, "FAILED"))
}

// reasons counts why checks have a status that is no verdict, the most frequent first, and
// cuts each at a number of characters.
func reasons(r *hostcheck.Report, status hostcheck.Status, limit int) string {
	reasons, times := []string{}, map[string]int{}
	for _, result := range r.Results {
		for _, check := range result.Checks {
			if check.Status != status || !check.Reached() {
				continue
			}
			reason := cmp.Or(shorten(line(Why(check)), limit), "for no reason that is given")
			if times[reason]++; times[reason] == 1 {
				reasons = append(reasons, reason)
			}
		}
	}
	slices.SortStableFunc(reasons, func(a, b string) int { return times[b] - times[a] })
	const most = 4
	var parts []string
	for i, reason := range reasons {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d other reasons", len(reasons)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%d)", reason, times[reason]))
	}
	return strings.Join(parts, "; ")
}

// expected reports whether a failure is one that the baseline names.
func expected(b *hostcheck.Baseline, scenario, check string) bool {
	return b != nil && (slices.Contains(b.Expected, scenario) || slices.Contains(b.Expected, scenario+":"+check))
}
