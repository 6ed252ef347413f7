package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/signin"
)

// flows are those by which every agent is measured.
var flows = []string{"device", "redirect"}

// signIns runs sign-ins, and writes or compares their part of the page.
func (o order) signIns(ctx context.Context, bin string) error {
	all, err := trials(bin)
	if err != nil {
		return err
	}
	chosen, err := named(o.names, all, func(t signin.Trial) string { return t.Name })
	if err != nil {
		return err
	}
	began := time.Now()
	results, err := o.signIn(ctx, chosen, bin)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "signed in %d times in %v\n", len(results), time.Since(began).Round(time.Second))
	switch {
	case len(o.names) == 0:
		return settle(partSignIn, signInPage(results), o.check, timeless)
	case !o.check:
		fmt.Print(tables(results))
		return nil
	}
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	return compareTwice(string(before), chosen, results, func(again []signin.Trial) ([]signin.Result, error) {
		return o.signIn(ctx, again, bin)
	})
}

// compareTwice compares the results of trials with the page. Those that differ are made once more, since what an agent
// does within a second on a machine that has time for it takes longer on a busy one; an agent that has changed differs again.
func compareTwice(page string, chosen []signin.Trial, results []signin.Result, measure func([]signin.Trial) ([]signin.Result, error)) error {
	var again []signin.Trial
	for i, r := range results {
		if compareRows(page, tables([]signin.Result{r})) != nil {
			again = append(again, chosen[i])
		}
	}
	if len(again) > 0 {
		fmt.Fprintf(os.Stderr, "%d of them are not as on the page, and are made once more\n", len(again))
		var err error
		if results, err = measure(again); err != nil {
			return err
		}
	}
	return compareRows(page, tables(results))
}

// compareRows says which rows of tables are not on the page, times apart.
func compareRows(page, tables string) error {
	known := strings.Split(timeless(page), "\n")
	var open []string
	for row := range strings.SplitSeq(timeless(tables), "\n") {
		if !slices.Contains(known, row) {
			open = append(open, "not in docs/host-results.md: "+row)
		}
	}
	if open != nil {
		return errors.New(strings.Join(open, "\n"))
	}
	return nil
}

// trials are all sign-ins, in the order of the tables: each host by each of the flows, and
// what the server keeps.
func trials(bin string) (out []signin.Trial, err error) {
	all, err := subjects(bin)
	if err != nil {
		return nil, err
	}
	for _, flow := range flows {
		for _, a := range all {
			out = append(out, signin.Trial{Name: a.Name, Hosts: []agents.Agent{a}, Flow: flow})
		}
	}
	return append(out, kept(all)...), nil
}

// subjects are all that sign in: agents, and the hosts that have an adapter.
func subjects(bin string) ([]agents.Agent, error) {
	out := slices.Clone(agents.All)
	for _, h := range hosts {
		if h.agent != "" {
			continue
		}
		version, err := h.installed(bin)
		if err != nil {
			return nil, err
		}
		config, err := h.config(bin)
		if err != nil {
			return nil, err
		}
		adapter := agents.Adapter{Version: version, Command: config.Host, Template: config.Template, Calls: 1}
		if h.template == "" {
			out = append(out, agents.Adapted(h.name, h.title, adapter))
			continue
		}
		adapter.Calls = 3
		for _, protocol := range h.protocols {
			adapter.Protocol = protocol
			name, title := h.name, h.title
			if protocol == hostcheck.Modern {
				name, title = name+"-modern", title+", newer protocol"
			}
			out = append(out, agents.Adapted(name, title, adapter))
		}
	}
	return withDaemons(out)
}

// withDaemons adds the command lines that have a daemon, which keeps the server
// between two calls. They are of the same packages.
func withDaemons(out []agents.Agent) ([]agents.Agent, error) {
	for _, d := range []struct{ name, title, of, program, template string }{
		{"mcpdo", "mcpdo, of the MCP Inspector", "inspector", "mcpdo.mjs", "inspector.json.tmpl"},
		{"mcporter-daemon", "mcporter, with its daemon", "mcporter", "mcporter.mjs", "mcporter-daemon.json.tmpl"},
	} {
		of := hosts[slices.IndexFunc(hosts, func(h host) bool { return h.name == d.of })]
		of.program, of.template = d.program, d.template
		version, err := of.installed("")
		if err != nil {
			return nil, err
		}
		config, err := of.config("")
		if err != nil {
			return nil, err
		}
		for _, protocol := range of.protocols {
			name, title := d.name, d.title
			if protocol == hostcheck.Modern {
				name, title = name+"-modern", title+", newer protocol"
			}
			out = append(out, agents.Adapted(name, title, agents.Adapter{
				Version: version, Command: config.Host, Template: config.Template, Protocol: protocol, Calls: 3,
			}))
		}
	}
	version, err := hosts[slices.IndexFunc(hosts, func(h host) bool { return h.name == "inspector" })].installed("")
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs("node/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js")
	return append(out, agents.Inspector(version, script)), err
}

// longestFirst returns the places of the trials, those first in which a call may wait for all of its
// minute, as nobody sees a prompt: in the end nothing is waited for alone.
func longestFirst(chosen []signin.Trial) []int {
	unattended := func(i int) bool { return strings.HasSuffix(chosen[i].Name, "-p") }
	order := make([]int, len(chosen))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case unattended(i) == unattended(j):
			return 0
		case unattended(i):
			return -1
		}
		return 1
	})
	return order
}

// signIn runs the trials, some of them
// side by side: an agent mostly waits, but to start one takes a processor.
func (o order) signIn(ctx context.Context, chosen []signin.Trial, bin string) ([]signin.Result, error) {
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	setting := signin.Setting{Server: filepath.Join(bin, "stdio"), Relay: []string{filepath.Join(bin, "relay")}, Dir: dir}
	if o.out != "" {
		if setting.Keep, err = filepath.Abs(filepath.Join(o.out, partSignIn)); err != nil {
			return nil, err
		}
	}
	results, failures := make([]signin.Result, len(chosen)), make([]error, len(chosen))
	room := make(chan struct{}, o.atOnce)
	var all sync.WaitGroup
	for _, i := range longestFirst(chosen) {
		t := chosen[i]
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if ctx.Err() != nil {
				return
			}
			results[i], failures[i] = setting.Measure(ctx, t)
			fmt.Fprintf(os.Stderr, "%s, %s: %s\n", t.Name, t.Flow, summary(results[i], failures[i]))
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return results, errors.Join(failures...)
}

// summary is what is printed of a sign-in while the others go on.
func summary(r signin.Result, err error) string {
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%s, %v", r.First(), r.Took.Round(time.Second))
	if r.Trouble != nil {
		text += ", and the person: " + r.Trouble.Error()
	}
	return text
}
