package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// JUnit writes the report as JUnit XML: a test suite for each run, a test case
// for each check. A failed check is a failure, a warning is told in
// system-out (if o is Strict it is a failure, too), and a failure that the
// baseline expects counts as skipped. Whatever is stale in the baseline fails
// in a suite of its own, so that the file fails when the run does.
func JUnit(w io.Writer, r *hostcheck.Report, o Options) error {
	all := junitSuites{Name: "hostcheck", Time: seconds(r.Took)}
	for _, result := range r.Results {
		suite := junitSuite{
			Name:      strings.Join([]string{result.Scenario, result.Protocol, result.Transport}, " "),
			Timestamp: result.Started.UTC().Format("2006-01-02T15:04:05"),
			Time:      seconds(result.Took),
		}
		suite.property("hostcheck", r.Suite)
		if result.Client != nil {
			suite.property("host", clientName(*result.Client))
		}
		for _, check := range result.Checks {
			suite.Cases = append(suite.Cases, junitCheck(check, result, r.Baseline, o))
		}
		all.add(suite)
	}
	if b := r.Baseline; b != nil && len(b.Stale) > 0 {
		suite := junitSuite{Name: "expected failures", Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"), Time: seconds(0)}
		for _, entry := range b.Stale {
			suite.Cases = append(suite.Cases, junitCase{
				Class:   "hostcheck.baseline",
				Name:    visible(entry),
				Time:    seconds(0),
				Failure: &junitText{Message: "stale: it passes now; remove it from the file", Type: "stale"},
			})
		}
		all.add(suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitCheck is a check as a test case.
func junitCheck(check hostcheck.Check, in hostcheck.Result, b *hostcheck.Baseline, o Options) junitCase {
	c := junitCase{
		Class: strings.Join([]string{"hostcheck", in.Scenario, in.Protocol, in.Transport}, "."),
		Name:  visible(check.ID + " " + check.Name),
		Time:  seconds(0),
	}
	message := cmp.Or(line(Why(check)), line(check.Description))
	failed := check.Status == hostcheck.Failure || check.Status == hostcheck.Warning && o.Strict
	switch {
	case failed && expected(b, in.Scenario, check.ID):
		c.Skipped = &junitText{Message: "expected to fail: " + message}
	case failed:
		c.Failure = &junitText{Message: message, Type: cmp.Or(level(check.ID), string(check.Status)), Text: explain(check)}
	case check.Status == hostcheck.Skipped:
		c.Skipped = &junitText{Message: message}
	case check.Status == hostcheck.Success:
	default:
		c.Out = string(check.Status) + "\n" + explain(check)
	}
	return c
}

// explain is all that a check says, as text.
func explain(check hostcheck.Check) string {
	var b strings.Builder
	fmt.Fprintln(&b, visible(check.Description))
	for _, ref := range check.SpecReferences {
		fmt.Fprintln(&b, line(cmp.Or(ref.URL, ref.ID)))
	}
	if seen := Why(check); seen != "" {
		fmt.Fprintln(&b, "seen:", visible(seen))
	}
	for _, l := range check.Logs {
		fmt.Fprintln(&b, line(l))
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// The elements, as the schema that Jenkins and its followers read has them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string           `xml:"name,attr"`
		Tests      int              `xml:"tests,attr"`
		Failures   int              `xml:"failures,attr"`
		Errors     int              `xml:"errors,attr"`
		Skipped    int              `xml:"skipped,attr"`
		Timestamp  string           `xml:"timestamp,attr"`
		Time       string           `xml:"time,attr"`
		Properties *junitProperties `xml:"properties"`
		Cases      []junitCase      `xml:"testcase"`
	}
	junitProperties struct {
		All []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitText `xml:"failure,omitempty"`
		Skipped *junitText `xml:"skipped,omitempty"`
		Out     string     `xml:"system-out,omitempty"`
	}
	junitText struct {
		Message string `xml:"message,attr,omitempty"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// property adds a property, unless there is nothing to say.
func (s *junitSuite) property(name, value string) {
	if value == "" {
		return
	}
	if s.Properties == nil {
		s.Properties = &junitProperties{}
	}
	s.Properties.All = append(s.Properties.All, junitProperty{name, line(value)})
}

// add counts a suite and adds it.
func (all *junitSuites) add(s junitSuite) {
	s.Tests = len(s.Cases)
	for _, c := range s.Cases {
		if c.Failure != nil {
			s.Failures++
		}
		if c.Skipped != nil {
			s.Skipped++
		}
	}
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Skipped += s.Skipped
	all.Suites = append(all.Suites, s)
}
