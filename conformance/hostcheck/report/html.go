package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page and its style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

//go:embed page.html
var pageText string

// BaseStyle is the style sheet that pages of this suite share: colours, for light and
// dark, and plain elements.
//
//go:embed base.css
var BaseStyle string

//go:embed page.css
var ownStyle string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"visible": visible,
	"web":     func(url string) bool { return strings.HasPrefix(url, "https://") },
	"took":    took,
	"lower":   func(s hostcheck.Status) string { return strings.ToLower(string(s)) },
	"word":    func(s hostcheck.Status) string { return statusWords[s] },
	"counted": counted,
	"ref":     func(r hostcheck.Reference) string { return visible(cmp.Or(r.ID, r.URL)) },
}).Parse(pageText))

// statusWords are the statuses as labels.
var statusWords = map[hostcheck.Status]string{
	unreached:         "not reached",
	hostcheck.Success: "passed",
	hostcheck.Failure: "failed",
	hostcheck.Warning: "warning",
	hostcheck.Skipped: "skipped",
	hostcheck.Info:    "info",
}

// HTML writes the report as one page: an overview, what failed, and for each
// run the verdicts, with their requirements, beside the recorded conversation.
// The page has no scripts and asks for nothing over the network; its content
// security policy holds a browser to that.
func HTML(w io.Writer, r *hostcheck.Report, o Options) error {
	style := BaseStyle + ownStyle
	hash := sha256.Sum256([]byte(style))
	p := page{
		Style: template.CSS(style), //nolint:gosec // G203: our own file
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
			"'; base-uri 'none'; form-action 'none'",
		Command:  command(r.Host),
		Started:  r.Started.UTC().Format("2 January 2006, 15:04:05 UTC"),
		Took:     took(r.Took),
		Identity: identity(r),
		OK:       r.OK(o.Strict),
		Baseline: r.Baseline,
		Skipped:  reasons(r, hostcheck.Skipped, 60),
		Info:     reasons(r, hostcheck.Info, 160),
	}
	total := counts{}
	anchors := map[*hostcheck.Result]string{}
	for i := range r.Results {
		result := &r.Results[i]
		total.add(result.Checks)
		anchors[result] = fmt.Sprintf("r%d", i+1)
		p.Runs = append(p.Runs, viewRun(result, anchors[result], r.Baseline))
	}
	p.Totals = total.String()
	p.Head, p.Matrix = matrix(r, anchors)
	for _, status := range []hostcheck.Status{hostcheck.Failure, hostcheck.Warning} {
		for _, f := range findings(r, status) {
			p.Findings = append(p.Findings, viewFinding(f, anchors, r.Baseline))
		}
	}
	for _, o := range obstacles(r) {
		p.Obstacles = append(p.Obstacles, viewObstacle(o, anchors, r.Baseline))
	}
	return pageTemplate.Execute(w, p)
}

// A page is all that the template shows.
type page struct {
	Style    template.CSS
	Policy   string
	Command  string
	Started  string
	Took     string
	Identity string // of the host and of the suite
	OK       bool
	Totals   string
	Skipped  string
	Info     string
	Baseline *hostcheck.Baseline
	Head     []string
	Matrix   []matrixRow
	Findings []findingView
	// Obstacles are why checks were not reached.
	Obstacles []obstacleView
	Runs      []runView
}

// A matrixRow is a scenario in the overview, with a cell for each protocol
// and transport.
type matrixRow struct {
	Scenario, Title string
	Cells           []matrixCell
}

type matrixCell struct {
	Anchor string // empty: not run
	Status hostcheck.Status
	Counts string
	Bad    int // how many failed; if none did, how many warned
}

func bad(c counts) int { return cmp.Or(c[hostcheck.Failure], c[unreached], c[hostcheck.Warning]) }

func matrix(r *hostcheck.Report, anchors map[*hostcheck.Result]string) (head []string, rows []matrixRow) {
	columns, lines := map[string]int{}, map[string]int{}
	for i := range r.Results {
		column := r.Results[i].Protocol + " " + r.Results[i].Transport
		if _, ok := columns[column]; !ok {
			columns[column] = len(head)
			head = append(head, column)
		}
	}
	for i := range r.Results {
		result := &r.Results[i]
		at, ok := lines[result.Scenario]
		if !ok {
			at = len(rows)
			lines[result.Scenario] = at
			rows = append(rows, matrixRow{visible(result.Scenario), visible(result.Title), make([]matrixCell, len(head))})
		}
		c := counts{}
		c.add(result.Checks)
		rows[at].Cells[columns[result.Protocol+" "+result.Transport]] = matrixCell{
			Anchor: anchors[result],
			Status: c.verdict(),
			Counts: c.String(),
			Bad:    bad(c),
		}
	}
	return head, rows
}

// A findingView is a failure or warning over all runs.
type findingView struct {
	Scenario string
	Check    checkView
	Seen     []seenView
}

type seenView struct {
	Message string
	In      []linkView
}

type linkView struct{ Anchor, Text string }

// run names a run among those of a finding.
func (f *finding) run(in *hostcheck.Result) string {
	if f.scenario == everywhere {
		return visible(in.Scenario) + " " + in.Protocol + " " + in.Transport
	}
	return in.Protocol + " " + in.Transport
}

func viewFinding(f *finding, anchors map[*hostcheck.Result]string, b *hostcheck.Baseline) findingView {
	scenario := visible(f.scenario)
	if f.scenario == everywhere {
		scenario = "" // each run names its own
	}
	v := findingView{Scenario: scenario, Check: viewCheck(f.check, "", f.expected(b))}
	for _, s := range f.seen {
		seen := seenView{Message: visible(shorten(s.message, 2000))}
		for _, in := range s.in {
			seen.In = append(seen.In, linkView{checkAnchor(anchors[in], f.check.ID), f.run(in)})
		}
		v.Seen = append(v.Seen, seen)
	}
	return v
}

// An obstacleView is a reason for which checks were not reached.
type obstacleView struct {
	Reason string
	Last   string // line of standard error
	Before []shadowView
}

type shadowView struct {
	Scenario, Checks string
	Expected         bool
	In               []linkView
}

func viewObstacle(o *obstacle, anchors map[*hostcheck.Result]string, b *hostcheck.Baseline) obstacleView {
	last, _ := o.lastWords()
	v := obstacleView{Reason: visible(shorten(o.reason, 2000)), Last: shorten(last, maxSeen)}
	for _, s := range o.before {
		shadow := shadowView{Scenario: visible(s.scenario), Checks: visible(strings.Join(s.checks, " ")), Expected: true}
		for _, id := range s.checks {
			shadow.Expected = shadow.Expected && expected(b, s.scenario, id)
		}
		for _, in := range s.in {
			shadow.In = append(shadow.In, linkView{anchors[in], in.Protocol + " " + in.Transport})
		}
		v.Before = append(v.Before, shadow)
	}
	return v
}

// A runView is one run of a scenario.
type runView struct {
	Anchor                               string
	Scenario, Title, Protocol, Transport string
	About                                string // what happens, and what is expected
	Took, Counts                         string
	Status                               hostcheck.Status
	Open                                 bool
	Checks                               []checkView
	Canary                               bool // it was visited, so that it has a lane
	Rows                                 []row
	Split                                int // after so many rows some are left out
	Left                                 int // this many
	Outputs                              []outputView
}

// An outputView is what a host wrote to standard output, or to standard error.
type outputView struct{ Stream, Text string }

// maxLinks bounds the links from a verdict to what decided it.
const maxLinks = 8

func viewRun(result *hostcheck.Result, anchor string, b *hostcheck.Baseline) runView {
	c := counts{}
	c.add(result.Checks)
	v := runView{
		Anchor: anchor, Scenario: visible(result.Scenario), Title: visible(result.Title),
		Protocol: visible(result.Protocol), Transport: visible(result.Transport),
		Took: took(result.Took), Counts: c.String(), Status: c.verdict(), Split: firstRows,
		Open:  c[hostcheck.Failure]+c[unreached] > 0,
		About: visible(result.Description),
	}
	for _, o := range []outputView{{"output", result.HostStdout}, {"error", result.HostOutput}} {
		if o.Text != "" {
			v.Outputs = append(v.Outputs, outputView{o.Stream, visible(o.Text)})
		}
	}
	v.Rows, v.Left = conversation(result, anchor)
	by := map[string][]linkView{}
	for i, event := range result.Events {
		v.Canary = v.Canary || event.From == hostcheck.FromCanary
		for _, id := range event.Checks {
			if len(by[id]) == maxLinks || leftOut(i, len(result.Events)) {
				continue
			}
			by[id] = append(by[id], linkView{fmt.Sprintf("%s-e%d", anchor, i+1), fmt.Sprintf("%.3f s", event.At.Seconds())})
		}
	}
	named := map[string]bool{}
	for _, check := range bySeverity(result.Checks) {
		view := viewCheck(check, "", expected(b, result.Scenario, check.ID))
		if !named[check.ID] { // an ID that is used twice is linked once
			view.Anchor = checkAnchor(anchor, check.ID)
			named[check.ID] = true
		}
		view.By = by[check.ID]
		v.Checks = append(v.Checks, view)
	}
	return v
}

// A checkView is a verdict with its requirement.
type checkView struct {
	Anchor                       string
	ID, Name, Level, Description string
	Status                       hostcheck.Status
	Expected                     bool
	Message                      string
	References                   []hostcheck.Reference
	Details                      string
	Logs                         []string
	By                           []linkView
}

// shownElsewhere are the details that the page has in words.
var shownElsewhere = []string{"level", "derived", "revision", "reason", "note", "occasions", "untestable"}

func viewCheck(check hostcheck.Check, anchor string, expected bool) checkView {
	v := checkView{
		Anchor: anchor, ID: visible(check.ID), Name: visible(check.Name), Level: level(check.ID),
		Description: visible(check.Description), Status: told(check), References: check.SpecReferences,
		Message:  visible(shorten(Why(check), 2000)),
		Expected: expected && check.Status != hostcheck.Success,
	}
	details := maps.Clone(check.Details)
	maps.DeleteFunc(details, func(key string, _ any) bool { return slices.Contains(shownElsewhere, key) })
	if len(details) > 0 {
		if data, err := json.Marshal(details); err == nil {
			v.Details = pretty(data)
		}
	}
	for _, l := range check.Logs {
		v.Logs = append(v.Logs, visible(l))
	}
	return v
}
