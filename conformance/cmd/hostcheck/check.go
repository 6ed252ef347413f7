package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
)

const runHelp = `hostcheck run [flags] -- HOST ARG...

Starts the host once for each scenario, protocol and transport, several at a
time, and tells it which server to use and which tools to call: in the
environment (HOSTCHECK_TASK and others), in a configuration file (--template),
and by these placeholders in its arguments:

  {server}     the server: its URL, or for stdio the command that starts it; an
               argument that is just {server} becomes as many as there are words
  {tool} {arguments}                    of the first call; the latter are JSON
  {task} {control} {config} {dir}       see docs/hostcheck.md
  {scenario} {protocol} {transport}

The summary on standard output has what failed and what warned. Exit status: 0
nothing failed, or only what was expected to; 1 a check failed, or an expected
failure did not happen; 2 wrong usage or configuration; 130 interrupted.

  hostcheck run --out report -- ./my-host --mcp-server {server}
  hostcheck run --protocol 2025-11-25 --scenario consent -- ./my-host
  hostcheck run --check A7,B12 -- ./my-host
  hostcheck run --template host.json.tmpl -- ./my-host --config {config}
`

// A task is a parsed command line of run.
type task struct {
	config   hostcheck.Config
	expected *hostcheck.Expectations // nil without a file
	options  report.Options
	out      string
	json     bool
	junit    bool
}

// check is the command run.
func check(ctx context.Context, args []string, std streams) (int, error) {
	t, err := parseRun(args, std)
	if err != nil {
		return 0, err
	}
	if t.out != "" {
		// Found out now, and not after minutes.
		if err := os.MkdirAll(t.out, 0o700); err != nil {
			return 0, fmt.Errorf("--out: %w", err)
		}
	}

	process.Adopt() // hosts are all that is started here, and the guard
	if err := keepGuard(); err != nil {
		return 0, err
	}
	ended := map[string]bool{} // until the interrupt, if there is one
	var progress *report.Progress
	if terminal(std.err) {
		progress = report.NewProgress(std.err)
	}
	var of atomic.Int64
	t.config.Progress = func(done, total int, r hostcheck.Result) {
		of.Store(int64(total))
		if over(ctx) {
			return
		}
		ended[runName(r)] = true
		if progress != nil {
			progress.Update(done, total, r)
		}
	}
	r, err := hostcheck.Run(ctx, t.config)
	if progress != nil {
		progress.Clear()
	}
	if err != nil {
		return 0, err
	}
	interrupted := over(ctx)
	if interrupted {
		keep(r, ended)
	}
	if t.expected != nil {
		r.Baseline = t.expected.Compare(r, t.options.Strict)
		if interrupted {
			r.Baseline.Stale = []string{} // what has not run might have failed
		}
		if t.config.Checks != nil {
			// Of a scenario that was not judged whole nothing is known.
			r.Baseline.Stale = slices.DeleteFunc(r.Baseline.Stale, func(entry string) bool { return !strings.Contains(entry, ":") })
		}
	}
	if err := t.write(r, std); err != nil {
		return 0, err
	}
	switch {
	case interrupted:
		fmt.Fprintf(std.err, "hostcheck: interrupted: %d of %d runs had ended, and the others are left out\n", len(ended), of.Load())
		return statusInterrupted, nil
	case !r.OK(t.options.Strict):
		return statusFailed, nil
	}
	return statusOK, nil
}

func over(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func runName(r hostcheck.Result) string {
	return strings.Join([]string{r.Scenario, r.Protocol, r.Transport}, " ")
}

// keep drops the runs that have not ended by themselves: what they lack says
// nothing about the host.
func keep(r *hostcheck.Report, ended map[string]bool) {
	var whole []hostcheck.Result
	for _, result := range r.Results {
		if ended[runName(result)] {
			whole = append(whole, result)
		}
	}
	r.Results = whole
}

// write writes the report wherever it was asked for.
func (t *task) write(r *hostcheck.Report, std streams) error {
	if t.out != "" {
		if err := report.Write(t.out, r, t.options); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	summary := std.out
	var err error
	switch {
	case t.json:
		summary, err = std.err, report.JSON(std.out, r)
	case t.junit:
		summary, err = std.err, report.JUnit(std.out, r, t.options)
	}
	if err != nil {
		return err
	}
	t.options.Colour = terminal(summary) && colours()
	if err := report.Text(summary, r, t.options); err != nil {
		return err
	}
	if t.out != "" {
		fmt.Fprintln(summary, "See", filepath.Join(t.out, "report.html"))
	}
	return nil
}

// parseRun reads and checks the command line; whatever can be found wrong with
// it is found before a host is started.
func parseRun(args []string, std streams) (*task, error) {
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	t := &task{}
	what := selection{protocol: both, transport: both}
	what.add(set, true)
	expected := set.String("expected-failures", "", "YAML `file` that names the failures that are known: a list \"client\"\n"+
		"of scenario or scenario:check-id. What does not fail any more fails the\nrun, too")
	timeout := &seconds{}
	set.Var(timeout, "timeout", "how long one scenario may take: a `duration` (default 60s)")
	set.IntVar(&t.config.Parallel, "parallel", 0, "how `many` hosts run at a time (default: depends on the machine)")
	template := set.String("template", "", "`file` to make the host's configuration of, a Go text/template;\n{config} is the path of what becomes of it")
	set.StringVar(&t.config.TemplateName, "template-name", "", "`name` of the rendered file (default: the template's, without .tmpl)")
	set.StringVar(&t.out, "out", "", "`folder` for report.html, report.json, junit.xml and\nresults/*/checks.json")
	set.BoolVar(&t.json, "json", false, "write the whole report to standard output as JSON, and the summary to\nstandard error")
	set.BoolVar(&t.junit, "junit", false, "the same, as JUnit XML")
	set.BoolVar(&t.options.Strict, "strict", false, "warnings fail, too")
	set.BoolVar(&t.options.OfficialIDs, "official-ids", false, "in results/*/checks.json, name checks as the official suite does where\nit makes them, too")
	set.BoolVar(&t.options.Verbose, "verbose", false, "list every run, and what was skipped")
	if err := parse(set, args, std, runHelp); err != nil {
		return nil, err
	}
	t.options.Width = width()
	c, err := what.config(true)
	if err != nil {
		return nil, err
	}
	c.Parallel, c.TemplateName, c.Timeout = t.config.Parallel, t.config.TemplateName, timeout.Duration
	t.config = c
	if t.config.Host, err = hostCommand(set.Args()); err != nil {
		return nil, err
	}
	switch {
	case t.config.Parallel < 0:
		return nil, errors.New("--parallel is not negative")
	case t.json && t.junit:
		return nil, errors.New("--json and --junit both want standard output; --out writes both into a folder")
	}
	if err := t.readTemplate(*template); err != nil {
		return nil, fmt.Errorf("--template: %w", err)
	}
	if *expected != "" {
		if t.expected, err = readExpected(*expected); err != nil {
			return nil, fmt.Errorf("--expected-failures: %w", err)
		}
	}
	return t, nil
}

// hostCommand finds the program, as every scenario would otherwise fail with
// the same words.
func hostCommand(command []string) ([]string, error) {
	if len(command) == 0 {
		return nil, errors.New("run: no host; its command comes after the flags: hostcheck run -- ./my-host {server}")
	}
	if strings.Contains(command[0], "{") {
		return command, nil
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, fmt.Errorf("the host cannot be started: %w", err)
	}
	return command, nil
}

// readTemplate reads the file of --template, if there is one.
func (t *task) readTemplate(path string) error {
	if path == "" {
		if t.config.TemplateName != "" {
			return errors.New("--template-name names what is made of it, and there is none")
		}
		return nil
	}
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err
	}
	name := cmp.Or(t.config.TemplateName, strings.TrimSuffix(filepath.Base(path), ".tmpl"))
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("--template-name %q: a relative path that stays in its folder", name)
	}
	t.config.Template, t.config.TemplateName = string(data), name
	return nil
}

func readExpected(path string) (*hostcheck.Expectations, error) {
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	expected, err := hostcheck.ReadBaseline(bytes.NewReader(data), hostcheck.Scenarios())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return expected, nil
}
