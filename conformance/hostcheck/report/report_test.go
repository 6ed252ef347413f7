package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

var start = time.Date(2026, 11, 23, 4, 5, 6, 789_123_456, time.FixedZone("", 3600))

// check is a check as the suite makes it; the IDs are those of the catalogue.
func check(id string, status hostcheck.Status, message string) hostcheck.Check {
	return hostcheck.Check{
		ID: id, Name: "name of " + id, Description: "What " + id + " demands.", Status: status, Timestamp: start, ErrorMessage: message,
		SpecReferences: []hostcheck.Reference{{ID: "MCP " + id, URL: "https://spec.example/" + id}},
	}
}

func event(at time.Duration, from hostcheck.Party, message string, checks ...string) hostcheck.Event {
	return hostcheck.Event{At: at, From: from, Connection: 1, Message: json.RawMessage(message), Checks: checks}
}

// sample is a report in which one scenario failed over both transports.
func sample() *hostcheck.Report {
	r := &hostcheck.Report{Host: []string{"./host", "--server", "{server}"}, Started: start, Took: 83 * time.Second}
	for _, transport := range []string{hostcheck.Stdio, hostcheck.HTTP} {
		r.Results = append(r.Results, hostcheck.Result{
			Scenario: "consent", Title: "Nothing is fetched", Protocol: hostcheck.Legacy, Transport: transport,
			Started: start, Took: 1500 * time.Millisecond,
			Checks: []hostcheck.Check{
				check("A10", hostcheck.Success, ""),
				check("A11", hostcheck.Failure, "GET /sign-in 12 ms after the prompt"),
				check("A25", hostcheck.Warning, "nothing was cancelled"),
				{ID: "A8", Name: "declines", Description: "Shows a way to decline.", Status: hostcheck.Skipped, Timestamp: start, Details: map[string]any{"reason": "no UI hook"}},
			},
			Events: []hostcheck.Event{
				{At: 0, From: hostcheck.Note, Connection: 1, Text: "the host started the server"},
				event(time.Millisecond, hostcheck.FromHost, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"notes_search"}}`),
				event(2*time.Millisecond, hostcheck.FromServer, `{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"mode":"url","url":"http://127.0.0.1:1/sign-in"}}`),
				{At: 14 * time.Millisecond, From: hostcheck.FromCanary, Text: "GET /sign-in", Checks: []string{"A11"}},
				event(1400*time.Millisecond, hostcheck.FromHost, `{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}`, "A10"),
				event(1410*time.Millisecond, hostcheck.FromServer, `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"no more"}}`),
			},
			HostOutput: "host: warming up\n", HostStdout: "my host 1.0\n",
		})
	}
	return r
}

// hostile is all that a host may put into what is shown of it.
const hostile = "<script>alert(1)</script>\x1b[31m\x00\u202egpj.exe\u2066\ufeff]]>\"'&{{.}}\r\n\xff\xfe</pre></style><img src=x onerror=alert(2)>"

// infested has it everywhere.
func infested() *hostcheck.Report {
	quoted, _ := json.Marshal(hostile)
	r := &hostcheck.Report{Suite: hostile, Host: []string{hostile, hostile}, Started: start, Took: time.Second}
	r.Results = []hostcheck.Result{{
		Scenario: "consent", Title: hostile, Protocol: hostcheck.Modern, Transport: hostcheck.Stdio, Started: start,
		Checks: []hostcheck.Check{
			{
				ID: "A11", Name: hostile, Description: hostile, Status: hostcheck.Failure, Timestamp: start, ErrorMessage: hostile,
				SpecReferences: []hostcheck.Reference{{ID: hostile, URL: "javascript:alert(3)"}}, Details: map[string]any{hostile: hostile}, Logs: []string{hostile},
			},
			{ID: "A25", Name: hostile, Status: hostcheck.Warning, ErrorMessage: hostcheck.NotTestable + hostile, Timestamp: start},
			{ID: "A8", Name: hostile, Status: hostcheck.Skipped, Details: map[string]any{"reason": hostile}, Timestamp: start},
			{ID: hostile, Name: hostile, Description: hostile, Status: hostcheck.Info, Timestamp: start},
		},
		Events: []hostcheck.Event{
			event(0, hostcheck.FromHost, `{"id":`+string(quoted)+`,"method":`+string(quoted)+`,"params":{"name":`+string(quoted)+`,`+string(quoted)+`:1}}`, "A11", hostile),
			event(0, hostcheck.FromServer, `{"id":`+string(quoted)+`,"result":{"content":[{"type":"text","text":`+string(quoted)+`}]}}`),
			event(0, hostcheck.FromHost, `{"id":{},"error":{"code":`+string(quoted)+`,"message":[]}}`),
			event(0, hostcheck.FromHost, `{"method":{"a":1},"params":[1]}`),
			event(0, hostcheck.FromHost, `[1,2]`),
			event(0, hostcheck.FromHost, "[\"M\xfcller\"]"),
			event(0, hostcheck.FromHost, "not JSON: "+hostile),
			{From: hostcheck.FromHost, Text: hostile},
			{From: hostcheck.FromCanary, Text: "GET /" + hostile},
			{From: hostcheck.Note, Text: "shown: {" + string(quoted) + ":1}"},
			{From: hostcheck.Note, Text: "shown: {" + hostile},
			{From: hostcheck.Party(hostile), Text: hostile},
			{From: hostcheck.FromHost, HTTP: &hostcheck.Envelope{Method: hostile, Path: hostile, Header: http.Header{hostile: {hostile}}}},
			{From: hostcheck.FromServer, HTTP: &hostcheck.Envelope{Status: -1, Header: http.Header{"Content-Type": {hostile}}}},
		},
		Description: hostile, Client: &hostcheck.Implementation{Name: hostile, Title: hostile, Version: hostile},
		HostOutput: hostile,
	}}
	r.Baseline = &hostcheck.Baseline{Expected: []string{"consent"}, Unexpected: []string{hostile}, Stale: []string{hostile}, Others: []string{hostile}}
	return r
}

func render(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func text(t *testing.T, r *hostcheck.Report, o report.Options) string {
	return render(t, func(b *bytes.Buffer) error { return report.Text(b, r, o) })
}

// unwrapped is text as if lines had no end.
func unwrapped(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestTextSaysWhatFailed(t *testing.T) {
	got := text(t, sample(), report.Options{})
	all := unwrapped(got)
	for _, want := range []string{
		"consent: Nothing is fetched",
		"FAIL A11 name of A11 (MUST NOT)", "What A11 demands.",
		"> 2025-11-25 over stdio and http: GET /sign-in 12 ms after the prompt",
		"https://spec.example/A11",
		"warn A25 name of A25 (SHOULD)",
		"1 scenario in 2 runs, 1 min 23 s: 2 failed, 2 warned, 2 passed, 2 skipped.",
		"Skipped: no UI hook (2).",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if strings.Index(all, "A11") > strings.Index(all, "A25") || !strings.HasSuffix(got, "FAILED\n") {
		t.Errorf("failures come first, the verdict last:\n%s", got)
	}
	if strings.Contains(all, "name of A10") || strings.Contains(got, "\x1b") {
		t.Errorf("what passed is told, or in colours:\n%s", got)
	}
	for l := range strings.Lines(got) {
		if len(strings.TrimSuffix(l, "\n")) > 80 && !strings.Contains(l, "https://") {
			t.Errorf("wider than 80 columns: %q", l)
		}
	}
	if coloured := text(t, sample(), report.Options{Colour: true}); !strings.Contains(coloured, "\x1b[31mFAILED\x1b[0m") {
		t.Errorf("no colours: %q", coloured)
	}
}

// What passed takes two lines.
func TestTextIsTerseOnSuccess(t *testing.T) {
	r := sample()
	for i := range r.Results {
		r.Results[i].Checks = r.Results[i].Checks[:1]
	}
	if got := text(t, r, report.Options{}); got != "1 scenario in 2 runs, 1 min 23 s: 2 passed.\nOK\n" {
		t.Errorf("%q", got)
	}
	verbose := text(t, sample(), report.Options{Verbose: true})
	if !strings.Contains(verbose, "consent 2025-11-25 http: 1 failed, 1 warned, 1 passed, 1 skipped, 1.5 s\n    skipped A8: declines: no UI hook\n") {
		t.Errorf("verbose: %s", verbose)
	}
}

// A host that never got anywhere is told once, and not once for each check.
func TestTextGathersWhatWasNotReached(t *testing.T) {
	r := sample()
	for i := range r.Results {
		for j := range r.Results[i].Checks {
			c := &r.Results[i].Checks[j]
			c.Status, c.ErrorMessage = hostcheck.Failure, hostcheck.NotTestable+"the host ended with exit status 3"
		}
	}
	got := text(t, r, report.Options{})
	if strings.Count(got, "exit status 3") != 1 || !strings.Contains(got, "none  consent: 2025-11-25 over stdio and http\n        A10 A11 A25 A8\n") {
		t.Errorf("%s", got)
	}
	if !strings.Contains(unwrapped(got), "Standard error ends with: host: warming up (consent, 2025-11-25 over stdio) none consent") {
		t.Errorf("what the host says itself is not told: %s", got)
	}
	page := render(t, func(b *bytes.Buffer) error { return report.HTML(b, r, report.Options{}) })
	head, _, _ := strings.Cut(page, `<h2 id="runs">`)
	if strings.Count(head, "exit status 3") != 1 || strings.Count(head, "host: warming up") != 1 {
		t.Error("the page repeats itself")
	}
}

// What is wrong in any scenario is told once, also where one of them exists for it.
func TestTextTellsOnceWhatIsWrongEverywhere(t *testing.T) {
	r := sample()
	for i, scenario := range []string{"advertising", "consent"} {
		r.Results[i].Scenario, r.Results[i].Protocol = scenario, hostcheck.Modern
		r.Results[i].Checks = []hostcheck.Check{check("B2", hostcheck.Failure, "tools/call lacks it")}
	}
	got := text(t, r, report.Options{})
	if strings.Count(got, "FAIL") != 2 || !strings.Contains(unwrapped(got), "over stdio and http (advertising, consent): tools/call lacks it") {
		t.Errorf("%s", got)
	}
	r.Baseline = &hostcheck.Baseline{Expected: []string{"advertising:B2"}, Unexpected: []string{"consent:B2"}, Stale: []string{}}
	if got := text(t, r, report.Options{}); strings.Contains(got, "as expected\n") {
		t.Errorf("expected in one of two: %s", got)
	}
	r.Baseline = &hostcheck.Baseline{Expected: []string{"advertising:B2", "consent:B2"}, Unexpected: []string{}, Stale: []string{}}
	if got := text(t, r, report.Options{}); !strings.Contains(got, "B2 name of B2 (MUST), as expected\n") {
		t.Errorf("expected in both: %s", got)
	}
}

// What is told for information is told in the summary, and not in the page alone.
func TestTextTellsInformation(t *testing.T) {
	r := sample()
	for i := range r.Results {
		r.Results[i].Checks[0].Status = hostcheck.Info
		r.Results[i].Checks[0].Details = map[string]any{"note": "nobody was asked"}
	}
	got := text(t, r, report.Options{})
	if !strings.Contains(got, "\nSkipped: no UI hook (2).\nFor information: nobody was asked (2).\n") {
		t.Errorf("%s", got)
	}
	if page := words(page(t, r)); !strings.Contains(page, "For information: nobody was asked (2)") {
		t.Errorf("%.600s", page)
	}
}

func TestTextWithBaseline(t *testing.T) {
	r := sample()
	r.Baseline = &hostcheck.Baseline{Expected: []string{"consent:A11"}, Unexpected: []string{}, Stale: []string{}}
	got := text(t, r, report.Options{})
	if !strings.Contains(unwrapped(got), "A11 name of A11 (MUST NOT), as expected") || !strings.HasSuffix(got, "\nOK\n") {
		t.Errorf("expected: %s", got)
	}
	r.Baseline.Stale, r.Baseline.Unexpected = []string{"waiting:P1"}, []string{"consent:A10"}
	got = text(t, r, report.Options{})
	if !strings.Contains(got, "not expected: consent:A10\n") || !strings.Contains(got, "remove it from the file: waiting:P1\n") || !strings.HasSuffix(got, "FAILED\n") {
		t.Errorf("stale: %s", got)
	}
	r.Baseline.Others = []string{"auth/a", "auth/b", "auth/c", "auth/d", "sse-retry", "tools_call"}
	if got := text(t, r, report.Options{}); !strings.Contains(got, "  another suite's, passed over: auth/a, auth/b, auth/c, auth/d, sse-retry and 1") {
		t.Errorf("others: %s", got)
	}
}

// shown fails unless every character of s is one that is shown.
func shown(t *testing.T, s string) {
	t.Helper()
	for i, r := range s {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
			t.Errorf("%U in %q", r, s[max(0, i-40):min(len(s), i+40)])
			return
		}
	}
}

func TestHostileText(t *testing.T) {
	got := text(t, infested(), report.Options{Verbose: true})
	shown(t, got)
	if !strings.Contains(got, `\u001b[31m\u0000\u202egpj.exe`) || !strings.Contains(got, `\xff\xfe`) {
		t.Errorf("it should be visible what there was:\n%s", got)
	}
	var b bytes.Buffer
	p := report.NewProgress(&b)
	p.Update(1, 2, infested().Results[0])
	r := infested().Results[0]
	r.Scenario = hostile
	p.Update(2, 2, r)
	p.Clear()
	shown(t, strings.ReplaceAll(b.String(), "\r", ""))
}

// The line of progress overwrites itself and leaves nothing behind.
func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := report.NewProgress(&b)
	p.Clear()
	if b.Len() > 0 {
		t.Errorf("there was nothing to clear: %q", b.String())
	}
	results := sample().Results
	results[0].Scenario = strings.Repeat("long", 40)
	for i, r := range results {
		p.Update(i+1, 2, r)
	}
	p.Clear()
	screen := []rune(strings.Repeat(" ", 200))
	at, shows := 0, []string{}
	for _, r := range b.String() {
		if r == '\r' {
			shows = append(shows, strings.TrimRight(string(screen), " "))
			at = 0
			continue
		}
		screen[at] = r
		at++
		if at > 79 {
			t.Fatalf("past the edge: %q", string(screen))
		}
	}
	if want := "2 of 2, 2 failed: consent 2025-11-25 http"; len(shows) != 4 || !strings.HasPrefix(shows[1], "1 of 2, 1 failed: longlong") || shows[2] != want || shows[3] != "" {
		t.Errorf("%q", shows)
	}
}

// junit is what tools read of the file.
type junit struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Name  string `xml:"name,attr"`
		Tests int    `xml:"tests,attr"`
		Time  string `xml:"time,attr"`
		Cases []struct {
			Class   string `xml:"classname,attr"`
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
				Type    string `xml:"type,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
			Skipped *struct {
				Message string `xml:"message,attr"`
			} `xml:"skipped"`
			Out string `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func readJUnit(t *testing.T, r *hostcheck.Report, o report.Options) junit {
	t.Helper()
	var j junit
	if err := xml.Unmarshal([]byte(render(t, func(b *bytes.Buffer) error { return report.JUnit(b, r, o) })), &j); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJUnit(t *testing.T) {
	j := readJUnit(t, sample(), report.Options{})
	if j.Tests != 8 || j.Failures != 2 || j.Skipped != 2 || len(j.Suites) != 2 || j.Suites[1].Name != "consent 2025-11-25 http" || j.Suites[1].Time != "1.500" {
		t.Fatalf("%+v", j)
	}
	cases := j.Suites[0].Cases
	if c := cases[0]; c.Name != "A10 name of A10" || c.Class != "hostcheck.consent.2025-11-25.stdio" || c.Failure != nil || c.Skipped != nil || c.Out != "" {
		t.Errorf("passed: %+v", c)
	}
	if c := cases[1]; c.Failure == nil || c.Failure.Type != "MUST NOT" || c.Failure.Message != "GET /sign-in 12 ms after the prompt" ||
		!strings.Contains(c.Failure.Text, "What A11 demands.\nhttps://spec.example/A11\n") {
		t.Errorf("failed: %+v", c)
	}
	if c := cases[2]; c.Failure != nil || !strings.HasPrefix(c.Out, "WARNING\nWhat A25 demands.") || !strings.Contains(c.Out, "nothing was cancelled") {
		t.Errorf("warned: %+v", c)
	}
	if c := cases[3]; c.Skipped == nil || c.Skipped.Message != "no UI hook" {
		t.Errorf("skipped: %+v", c)
	}
	if j := readJUnit(t, sample(), report.Options{Strict: true}); j.Failures != 4 || j.Suites[0].Cases[2].Failure == nil {
		t.Errorf("strict: %+v", j)
	}
}

// The file fails exactly if the run does.
func TestJUnitFollowsTheBaseline(t *testing.T) {
	r := sample()
	r.Baseline = &hostcheck.Baseline{Expected: []string{"consent:A11"}}
	if j := readJUnit(t, r, report.Options{}); j.Failures != 0 || j.Suites[0].Cases[1].Skipped == nil ||
		j.Suites[0].Cases[1].Skipped.Message != "expected to fail: GET /sign-in 12 ms after the prompt" {
		t.Errorf("expected: %+v", j)
	}
	r.Baseline.Stale = []string{"waiting:P1"}
	if j := readJUnit(t, r, report.Options{}); j.Failures != 1 || j.Suites[2].Cases[0].Name != "waiting:P1" {
		t.Errorf("stale: %+v", j)
	}
}

func TestHostileJUnit(t *testing.T) {
	j := readJUnit(t, infested(), report.Options{})
	c := j.Suites[0].Cases[0]
	if !strings.Contains(c.Name, "<script>alert(1)</script>") || !strings.Contains(c.Name, `\u202e`) {
		t.Errorf("%q", c.Name)
	}
}

// schema is that of the official checks.json.
func schema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	data, err := os.ReadFile("checks.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

func validate(t *testing.T, s *jsonschema.Resolved, data []byte) error {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return s.Validate(v)
}

func TestChecksFollowTheOfficialSchema(t *testing.T) {
	s := schema(t)
	bare := hostcheck.Result{Scenario: "consent"}
	for _, r := range slices.Concat(sample().Results, []hostcheck.Result{bare}) {
		data := []byte(render(t, func(b *bytes.Buffer) error { return report.Checks(b, r) }))
		if err := validate(t, s, data); err != nil {
			t.Errorf("%v in %s", err, data)
		}
	}
	data := render(t, func(b *bytes.Buffer) error { return report.Checks(b, sample().Results[0]) })
	if !strings.Contains(data, `"timestamp": "2026-11-23T03:05:06.789Z"`) {
		t.Errorf("times are in UTC, in milliseconds: %s", data)
	}
	// What the infested report has for IDs is not valid; the rest of it is.
	infested := infested().Results[0]
	infested.Checks = infested.Checks[:3]
	data = render(t, func(b *bytes.Buffer) error { return report.Checks(b, infested) })
	if err := validate(t, s, []byte(data)); err != nil {
		t.Error(err)
	}
}

// The schema takes what the official suite writes, and nothing else.
func TestTheSchemaRefuses(t *testing.T) {
	s := schema(t)
	const whole = `{"id":"auth-x","name":"n","description":"d","status":"SUCCESS","timestamp":"2026-11-23T03:05:06.789Z",
		"specReferences":[{"id":"RFC-8628","url":"https://x.example"},{"id":"SEP"}],"source":{"introducedIn":"2025-06-18","removedIn":"2026-07-28"},
		"details":{"a":[1]},"metadata":{},"errorMessage":"e","logs":["l"]}`
	if err := validate(t, s, []byte("["+whole+"]")); err != nil {
		t.Errorf("a check with everything: %v", err)
	}
	for _, change := range [][2]string{
		{`"id":"auth-x",`, ``}, {`"name":"n",`, ``}, {`"description":"d",`, ``}, {`"status":"SUCCESS",`, ``},
		{`"timestamp":"2026-11-23T03:05:06.789Z",`, ``},
		{`SUCCESS`, `PASSED`}, {`2026-11-23T03:05:06.789Z`, `yesterday`}, {`[{"id":"RFC-8628"`, `[{"title":"RFC-8628"`},
		{`"details":{"a":[1]}`, `"details":"a"`}, {`"logs":["l"]`, `"logs":[1]`}, {`"errorMessage":"e"`, `"errorMessage":null`},
		{`"metadata":{}`, `"level":"MUST"`}, {`2025-06-18`, `2019-01-01`}, {`"auth-x"`, `"auth:x"`},
	} {
		changed := strings.Replace(whole, change[0], change[1], 1)
		if changed == whole {
			t.Fatalf("there is no %s", change[0])
		}
		if validate(t, s, []byte("["+changed+"]")) == nil {
			t.Errorf("%s instead of %s is taken", change[1], change[0])
		}
	}
	for _, other := range []string{"null", whole, "[1]"} {
		if validate(t, s, []byte(other)) == nil {
			t.Errorf("%s is taken", other)
		}
	}
}

// The whole report can be read back.
func TestJSON(t *testing.T) {
	for name, r := range map[string]*hostcheck.Report{"sample": sample(), "infested": infested(), "empty": {}} {
		var back hostcheck.Report
		text := render(t, func(b *bytes.Buffer) error { return report.JSON(b, r) })
		if !utf8.ValidString(text) {
			t.Errorf("%s: it is not UTF-8", name)
		}
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(back.Results) != len(r.Results) {
			t.Errorf("%s: %d results", name, len(back.Results))
		}
	}
	r := infested()
	render(t, func(b *bytes.Buffer) error { return report.JSON(b, r) })
	if r.Results[0].Events[6].Message == nil {
		t.Error("the caller's report was changed")
	}
}

// described is the sample of a host that said who it is, over HTTP.
func described() *hostcheck.Report {
	r := sample()
	r.Suite = "v0.1.0"
	for i := range r.Results {
		result := &r.Results[i]
		result.Description = "A page is shown, and is to be left alone."
		result.Client = &hostcheck.Implementation{Name: "chatty", Version: "3.2"}
		result.HostStdout = "host: connected\n"
	}
	over := &r.Results[1]
	over.Events[1].HTTP = &hostcheck.Envelope{Method: "POST", Path: "/…/mcp", Header: http.Header{"Accept": {"application/json"}}}
	over.Events[2].HTTP = &hostcheck.Envelope{Status: 404, Header: http.Header{}}
	over.Events = append(over.Events,
		hostcheck.Event{From: hostcheck.FromHost, Text: "the host ends its session", HTTP: &hostcheck.Envelope{Method: "DELETE", Path: "/…/mcp"}},
		hostcheck.Event{From: hostcheck.FromServer, HTTP: &hostcheck.Envelope{Status: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}}})
	return r
}

// Every report says what was checked by what, and what the scenario is about.
func TestReportsSayWhatWasChecked(t *testing.T) {
	r := described()
	if got := text(t, r, report.Options{}); !strings.Contains(got, "\nchatty 3.2, checked by hostcheck v0.1.0.\n") ||
		!strings.Contains(got, "consent: Nothing is fetched\n  A page is shown, and is to be left alone.\n") {
		t.Errorf("terminal:\n%s", got)
	}
	got := words(page(t, r))
	for _, want := range []string{
		"chatty 3.2, checked by hostcheck v0.1.0", "Nothing is fetched. A page is shown, and is to be left alone.",
		"What the host wrote to standard output host: connected", "What the host wrote to standard error host: warming up",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	xml := render(t, func(b *bytes.Buffer) error { return report.JUnit(b, r, report.Options{}) })
	for _, want := range []string{`<property name="hostcheck" value="v0.1.0">`, `<property name="host" value="chatty 3.2">`} {
		if strings.Count(xml, want) != 2 {
			t.Errorf("JUnit does not say %s:\n%s", want, xml)
		}
	}
	whole := render(t, func(b *bytes.Buffer) error { return report.JSON(b, r) })
	for _, want := range []string{`"suite": "v0.1.0"`, `"name": "chatty"`, `"description": "A page is shown, and is to be left alone."`, `"path": "/…/mcp"`} {
		if !strings.Contains(whole, want) {
			t.Errorf("JSON does not say %s", want)
		}
	}
}

// The page shows HTTP as HTTP.
func TestPageShowsHTTP(t *testing.T) {
	got := words(page(t, described()))
	for _, want := range []string{
		`1 POST tools/call id 7 notes_search POST /…/mcp Accept: application/json { "jsonrpc": "2.0",`,
		"404 Not Found elicitation/create", "host → server DELETE /…/mcp the host ends its session DELETE /…/mcp",
		"server → host 200 OK text/event-stream 200 OK Content-Type: text/event-stream",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}
