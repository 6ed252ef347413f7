package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// write makes the page. What is measured alike is written alike: what is measured here
// has no times and no dates.
func write(measured []measurement) string {
	var b strings.Builder
	b.WriteString(aboutHostcheck)
	writeHosts(&b, measured)
	b.WriteString(middle)
	writeTable(&b, measured)
	b.WriteString(columns)
	b.WriteString("\n### What failed\n\n" + aboutFailures)
	for _, m := range measured {
		writeFailures(&b, m)
	}
	b.WriteString("\n### What is warned of\n\n" + aboutWarnings)
	writeWarnings(&b, measured)
	b.WriteString("\n### What is left aside\n\n")
	writeAside(&b)
	b.WriteString(closing)
	return b.String()
}

func writeHosts(b *strings.Builder, measured []measurement) {
	b.WriteString("| host | version | what it is | adapter |\n| --- | --- | --- | --- |\n")
	for _, m := range measured {
		fmt.Fprintf(b, "| %s | `%s` %s | %s | %s |\n", m.title, cmp.Or(m.module, m.agentOf().Module), m.version, m.what, m.adapter())
	}
}

// adapter links the source of what drives the host.
func (h host) adapter() string {
	path := h.program
	if h.agent != "" {
		path = "agents/hosted"
	}
	if h.overNPM() {
		path = "node/" + path
	}
	return fmt.Sprintf("[%s](../conformance/hosts/%s)", path, path)
}

// eras are the protocols in the order of the tables, transports the transports.
var (
	eras       = []string{hostcheck.Legacy, hostcheck.Modern}
	transports = []string{hostcheck.Stdio, hostcheck.HTTP}
)

func writeTable(b *strings.Builder, measured []measurement) {
	b.WriteString("| host | protocol | transport | passed | failed | excused | warned | not reached | nothing to decide | skipped |\n" +
		"| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, m := range measured {
		all := m.tally()
		for _, era := range eras {
			if !slices.Contains(m.protocols, era) {
				fmt.Fprintf(b, "| %s | %s | | does not speak it |\n", m.title, era)
				continue
			}
			for _, transport := range transports {
				var n [verdicts]int
				excusals := 0
				for id, e := range all[place{era, transport}] {
					n[e.verdict]++
					if j, ok := m.judge(id, e); ok && e.verdict == failed && j.ruling == excused {
						excusals++
					}
				}
				fmt.Fprintf(b, "| %s | %s | %s | %d | %d | %d | %d | %d | %d | %d |\n", m.title, era, transport,
					n[passed], n[failed]-excusals, excusals, n[warned], n[unreached], n[noted], n[skipped])
			}
		}
	}
}

// A line is what one requirement came to in some places.
type line struct {
	entry
	places []string
}

// lines collects the places where the requirements came to a verdict.
func (m measurement) lines(v verdict) map[string]line {
	out := make(map[string]line)
	all := m.tally()
	for _, era := range m.protocols {
		for id, l := range m.inEra(all, era, v) {
			before := out[id]
			before.entry.section = l.section
			before.messages = append(before.messages, l.messages...)
			before.places = append(before.places, era+" over "+strings.Join(l.places, " and "))
			out[id] = before
		}
	}
	return out
}

func (m measurement) inEra(all map[place]map[string]entry, era string, v verdict) map[string]line {
	out := make(map[string]line)
	for _, transport := range transports {
		for id, e := range all[place{era, transport}] {
			if e.verdict == v {
				l := out[id]
				l.section = e.section
				l.messages = append(l.messages, e.messages...)
				l.places = append(l.places, transport)
				out[id] = l
			}
		}
	}
	return out
}

func writeFailures(b *strings.Builder, m measurement) {
	fmt.Fprintf(b, "\n#### %s\n\n", m.title)
	lines := m.lines(failed)
	if len(lines) == 0 {
		b.WriteString("Nothing.\n")
		return
	}
	for _, id := range byID(lines) {
		l, r := lines[id], requirement(id)
		why := "**Not judged yet:** " + strings.Join(l.messages, "; ")
		if j, ok := m.judge(id, l.entry); ok {
			why = map[ruling]string{upheld: "", excused: "*Excused.* "}[j.ruling] + j.why
		}
		item(b, fmt.Sprintf("**%s %s** (%s; %s). %s [%s](%s)", id, r.Name, r.Level, strings.Join(l.places, "; "), why, l.section.ID, l.section.URL))
	}
}

func requirement(id string) hostcheck.Requirement {
	all := hostcheck.Requirements()
	return all[slices.IndexFunc(all, func(r hostcheck.Requirement) bool { return r.ID == id })]
}

func writeWarnings(b *strings.Builder, measured []measurement) {
	where := make(map[string][]string)
	for _, m := range measured {
		for id, l := range m.lines(warned) {
			where[id] = append(where[id], fmt.Sprintf("%s (%s)", m.title, strings.Join(l.places, "; ")))
		}
	}
	for _, id := range byID(where) {
		r := requirement(id)
		item(b, fmt.Sprintf("**%s %s** (%s): %s. %s", id, r.Name, r.Level, strings.Join(where[id], ", "), warnings[id]))
	}
}

func writeAside(b *strings.Builder) {
	for _, group := range []struct {
		who, why string
		ids      map[string]bool
	}{
		{"the libraries", aboutDialog, dialog},
		{"the command lines", aboutTimeouts, timeouts},
		{"agents", aboutAgents, agentTimeouts},
	} {
		item(b, fmt.Sprintf("For %s: %s. %s", group.who, strings.Join(byID(group.ids), ", "), group.why))
	}
}

// width is how long the lines of a list get, if their words let them.
const width = 128

// item writes an item of a list, in lines.
func item(b *strings.Builder, text string) {
	column := 1
	b.WriteString("-")
	for word := range strings.FieldsSeq(text) {
		if column+1+len(word) > width {
			b.WriteString("\n ")
			column = 1
		}
		b.WriteString(" " + word)
		column += 1 + len(word)
	}
	b.WriteString("\n")
}
