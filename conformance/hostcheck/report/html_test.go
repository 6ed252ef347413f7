package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

func page(t *testing.T, r *hostcheck.Report) string {
	t.Helper()
	return render(t, func(b *bytes.Buffer) error { return report.HTML(b, r, report.Options{}) })
}

// words are what is left of a page without its tags.
func words(page string) string {
	_, body, _ := strings.Cut(page, "<body>")
	return unwrapped(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")))
}

// The page asks for nothing, and its policy forbids all but its own style.
func TestPageIsSelfContained(t *testing.T) {
	for name, r := range map[string]*hostcheck.Report{"sample": sample(), "infested": infested(), "empty": {}} {
		got := page(t, r)
		policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(got)
		style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(got, -1)
		if policy == nil || len(style) != 1 {
			t.Fatalf("%s: policy %q, %d styles", name, policy, len(style))
		}
		hash := sha256.Sum256([]byte(style[0][1]))
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'"
		if html.UnescapeString(policy[1]) != want {
			t.Errorf("%s: policy %q, want %q", name, policy[1], want)
		}
		if strings.Index(got, "Content-Security-Policy") > strings.Index(got, "<style>") {
			t.Errorf("%s: the policy comes too late", name)
		}
		if found := regexp.MustCompile(`(?i)<(script|img|iframe|object|embed|link|form|base|svg)\b|\s(src|style|on[a-z]+)\s*=\s*["a-z]|url\(|@import`).
			FindAllString(style[0][1]+stripText(got), -1); found != nil {
			t.Errorf("%s: %q", name, found)
		}
		if _, links, ok := strings.Cut(got, `href="javascript:`); ok {
			t.Errorf("%s: a link to a script: %.80q", name, links)
		}
		if _, body, _ := strings.Cut(got, "</style>"); body != "" {
			shown(t, strings.ReplaceAll(body, "\r", ""))
		}
	}
}

// stripText leaves the tags of a page.
func stripText(page string) string {
	return strings.Join(regexp.MustCompile(`<[^>]*>`).FindAllString(page, -1), "\n")
}

func TestPageTellsTheStory(t *testing.T) {
	got := page(t, sample())
	all := words(got)
	for _, want := range []string{
		"./host --server '{server}'",
		"Failed 2 failed, 2 warned, 2 passed, 2 skipped",
		"failed A11 name of A11 MUST NOT What A11 demands. MCP A11 GET /sign-in 12 ms after the prompt",
		"In consent, 2025-11-25 stdio , 2025-11-25 http",
		"1.400 host → server 1 result of elicitation/create id 7 accept",
		"server → host 1 error of tools/call id 7 -32000 no more",
		"0.014 host → canary GET /sign-in decides A11 failed",
		"1.4 s later",
		"skipped A8 declines",
		"no UI hook",
		"host: warming up",
		`"name": "notes_search"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %q in\n%s", want, all)
		}
	}
	// What failed is open, and before what passed.
	if strings.Count(got, `<details class="run" id="r1" open>`) != 1 || strings.Index(got, `id="r1-A11"`) > strings.Index(got, `id="r1-A10"`) {
		t.Error("the failure is not what one sees first")
	}
}

// Every link inside the page leads somewhere, and to one place.
func TestPageLinks(t *testing.T) {
	twice := sample()
	twice.Results[0].Checks = append(twice.Results[0].Checks, check("A10", hostcheck.Success, ""))
	flooded := flood(600, "{}")
	flooded.Results[0].Events[350].Checks = []string{"A25"} // which is left out
	for name, r := range map[string]*hostcheck.Report{"sample": sample(), "infested": infested(), "flood": flooded, "twice": twice} {
		got := page(t, r)
		ids := map[string]int{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(got, -1) {
			ids[m[1]]++
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("%s: id %q %d times", name, id, n)
			}
		}
		links := regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(got, -1)
		if len(links) < 4 {
			t.Errorf("%s: %d links", name, len(links))
		}
		for _, m := range links {
			if ids[m[1]] == 0 {
				t.Errorf("%s: %q leads nowhere", name, m[1])
			}
		}
	}
}

func TestPageShowsHostileTextAsText(t *testing.T) {
	got := page(t, infested())
	if !strings.Contains(got, "&lt;script&gt;alert(1)&lt;/script&gt;\\u001b[31m\\u0000\\u202egpj.exe") {
		t.Error("it should be visible what there was")
	}
	if strings.Contains(got, "<script") || strings.Contains(got, "<img") || strings.Count(got, "</style>") != 1 {
		t.Error("what a host wrote became markup")
	}
}

// flood is the sample with so many messages more.
func flood(messages int, message string) *hostcheck.Report {
	r := sample()
	e := event(time.Second, hostcheck.FromHost, message, "A11")
	for range messages {
		r.Results[0].Events = append(r.Results[0].Events, e)
	}
	return r
}

// A flood is cut, with a word on it.
func TestPageIsBounded(t *testing.T) {
	big := `{"method":"x","params":{"message":"` + strings.Repeat("y", 1<<20) + `"}}`
	r := flood(3000, big)
	r.Results[0].Checks[1].ErrorMessage = strings.Repeat("z", 1<<20)
	got := page(t, r)
	if len(got) > 12<<20 {
		t.Errorf("%d bytes", len(got))
	}
	all := words(got)
	for _, want := range []string{"2606 events are left out here; they are in report.json", fmt.Sprintf("(cut; %d bytes in all)", len(big))} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if got := text(t, r, report.Options{}); len(got) > 4000 {
		t.Errorf("the summary has %d bytes", len(got))
	}
}

// Scenarios that a host cannot be checked in have no cell, and no link.
func TestPageOverview(t *testing.T) {
	r := sample()
	r.Results[1].Scenario = "streams"
	all := words(page(t, r))
	if !strings.Contains(all, "consent Nothing is fetched 1 failed – streams Nothing is fetched – 1 failed") {
		t.Errorf("%.600s", all)
	}
}

// Whatever a host says, the page is well-formed, safe to show and links to
// itself alone.
func FuzzPage(f *testing.F) {
	for _, e := range infested().Results[0].Events {
		f.Add(string(e.Message), e.Text, "A11")
	}
	f.Add(`{"id":1,"method":"a","params":{"requestState":"x","inputResponses":{}}}`, "opened: {}", "")
	f.Fuzz(func(t *testing.T, message, said, id string) {
		r := sample()
		r.Results[0].Checks[0].ID, r.Results[0].Checks[0].ErrorMessage = id, said
		r.Results[0].HostOutput = said
		r.Results[0].Events = append(r.Results[0].Events,
			event(0, hostcheck.FromHost, message, id),
			event(0, hostcheck.FromServer, message),
			hostcheck.Event{From: hostcheck.Note, Text: said},
			hostcheck.Event{From: hostcheck.Party(said), Text: said},
		)
		got := page(t, r)
		_, body, _ := strings.Cut(got, "</style>")
		shown(t, strings.ReplaceAll(body, "\r", ""))
		if strings.Contains(body, "<script") || strings.Contains(body, "ZgotmplZ") {
			t.Error("markup, or what the template refused")
		}
		shown(t, text(t, r, report.Options{Verbose: true}))
		readJUnit(t, r, report.Options{})
	})
}
