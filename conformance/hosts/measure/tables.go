package main

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/signin"
)

// words are those of the part of the page about sign-ins, around its tables.
//
//go:embed signin.md
var words string

// signInPage is the part of the page about sign-ins.
func signInPage(results []signin.Result) string {
	return headSignIn + strings.NewReplacer(
		"{{device}}\n", deviceTable(results), "{{redirect}}\n", redirectTable(results), "{{kept}}\n", keptTable(results),
		"{{left}}\n", leftBehind(results),
	).Replace(words)
}

func byFlow(results []signin.Result, flow string) (out []signin.Result) {
	for _, r := range results {
		if r.Flow == flow && r.Kept == nil {
			out = append(out, r)
		}
	}
	return out
}

// deviceTable has the sign-ins by a code.
func deviceTable(results []signin.Result) string {
	var b strings.Builder
	b.WriteString("| host | version | protocol | declares | how the person was asked | prompts | after | code on its screen | first call | calls | " +
		"approval to result | left behind |\n| --- | --- | --- | --- | --- | ---: | ---: | --- | --- | ---: | ---: | --- |\n")
	for _, r := range byFlow(results, "device") {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %d | %s | %s | %s | %d | %s | %s |\n", r.Agent.Title, r.Version, r.Protocol, r.Declares,
			asked(r), r.Prompts, learnt(r), drawn(r), r.First(), len(r.Ends), resumes(r), r.Left)
	}
	return b.String()
}

// redirectTable has the sign-ins by a browser that comes back.
func redirectTable(results []signin.Result) string {
	var b strings.Builder
	b.WriteString("| host | how the person got the link | prompts | after | whole on its screen | opened by the host | first call | calls | " +
		"approval to result |\n| --- | --- | ---: | ---: | --- | --- | --- | ---: | ---: |\n")
	for _, r := range byFlow(results, "redirect") {
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %d | %s |\n", r.Agent.Title,
			asked(r), r.Prompts, learnt(r), drawn(r), yes(r.Opened), r.First(), len(r.Ends), resumes(r))
	}
	return b.String()
}

// keptTable has the sign-ins that the server keeps in files.
func keptTable(results []signin.Result) string {
	var b strings.Builder
	b.WriteString("| host | version | protocol | how the person was asked | first process | over before the approval | processes after it | " +
		"shown | codes | rules broken | approval to result | left behind |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |\n")
	for _, r := range results {
		if k := r.Kept; k != nil {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %d | %d | %d | %s | %s |\n", k.Title, r.Version, r.Protocol,
				asked(r), k.Begun(), yes(k.Outlived), k.Later(), k.Shown, k.Codes, k.Broken, resumes(r), r.Left)
		}
	}
	return b.String()
}

// tables are those that have rows.
func tables(results []signin.Result) string {
	var out []string
	for _, table := range []string{deviceTable(results), redirectTable(results), keptTable(results)} {
		if strings.Count(table, "\n") > 2 {
			out = append(out, table)
		}
	}
	return strings.Join(out, "\n")
}

// asked are the ways in which the person was asked.
func asked(r signin.Result) string {
	if len(r.Ways) == 0 {
		return "not at all"
	}
	return strings.NewReplacer("url", "URL").Replace(strings.Join(r.Ways, "; "))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// drawn says so of what the person needs, if there was any.
func drawn(r signin.Result) string {
	if r.Learnt == 0 {
		return "–"
	}
	return yes(r.Drawn)
}

// learnt is how long it took until the person could read it.
func learnt(r signin.Result) string {
	if r.Learnt == 0 {
		return "–"
	}
	return inSeconds(r.Learnt)
}

func resumes(r signin.Result) string {
	if !r.Answered {
		return "–"
	}
	return inSeconds(r.Resumes)
}

// inSeconds is a time as the tables have it.
func inSeconds(d time.Duration) string {
	if d < time.Second {
		return "under 1 s"
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// leftBehind lists which processes outlive the hosts that have any.
func leftBehind(results []signin.Result) string {
	var b strings.Builder
	for _, r := range byFlow(results, "device") {
		if len(r.Left.Own) > 0 {
			item(&b, fmt.Sprintf("%s: %s.", r.Agent.Title, strings.Join(r.Left.Own, "; ")))
		}
	}
	if b.Len() == 0 {
		return "None did.\n"
	}
	return b.String()
}
