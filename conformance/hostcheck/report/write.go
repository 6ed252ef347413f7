package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// Write writes a report into a folder, which it makes if need be:
//
//	report.html, report.json, junit.xml
//	results/<scenario>-<protocol>-<transport>-<time>/checks.json
//	results/<scenario>-<protocol>-<transport>-<time>/profile.json
//	results/<scenario>-<protocol>-<transport>-<time>/stdout.txt
//	results/<scenario>-<protocol>-<transport>-<time>/stderr.txt
//
// A run in which nothing of MCP applied to the host has no checks.json. The two texts
// are what the host wrote; of more than 64 KiB the middle is left out, which is said there.
//
// The folders in results are as the official suite names them, so that those
// of several runs, and its own, can stand side by side; the three files are
// overwritten. What was recorded may be nobody else's business, and others on
// the machine cannot read it.
func Write(folder string, r *hostcheck.Report, o Options) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // what was written is in the files
	for name, write := range map[string]func(io.Writer) error{
		"report.html": func(w io.Writer) error { return HTML(w, r, o) },
		"report.json": func(w io.Writer) error { return JSON(w, r) },
		"junit.xml":   func(w io.Writer) error { return JUnit(w, r, o) },
	} {
		if err := writeFile(root, name, write); err != nil {
			return err
		}
	}
	for _, result := range r.Results {
		in := filepath.Join("results", resultName(result))
		if err := root.MkdirAll(in, 0o700); err != nil {
			return err
		}
		if err := writeResult(root, in, result, o); err != nil {
			return err
		}
	}
	return nil
}

// writeResult writes the files of one run into its folder.
func writeResult(root *os.Root, folder string, r hostcheck.Result, o Options) error {
	named := r
	if o.OfficialIDs {
		named.Checks = officially(r.Checks)
	}
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, s)
			return err
		}
	}
	files := map[string]func(io.Writer) error{
		"profile.json": func(w io.Writer) error { return Profile(w, r) },
		"stdout.txt":   text(r.HostStdout),
		"stderr.txt":   text(r.HostOutput),
	}
	if applied(r) {
		files["checks.json"] = func(w io.Writer) error { return Checks(w, named) }
	}
	for name, write := range files {
		if err := writeFile(root, filepath.Join(folder, name), write); err != nil {
			return err
		}
	}
	return nil
}

// resultName is the name of a result's folder. The time has milliseconds and
// neither colons nor dots, which some file systems do not take.
func resultName(r hostcheck.Result) string {
	at := r.Started.UTC().Format("2006-01-02T15:04:05.000Z")
	return strings.Join([]string{r.Scenario, r.Protocol, r.Transport, strings.NewReplacer(":", "-", ".", "-").Replace(at)}, "-")
}

// WriteFile writes one report to a file that only its owner can read.
func WriteFile(path string, write func(io.Writer) error) error {
	folder, name := filepath.Split(path)
	root, err := os.OpenRoot(filepath.Clean(folder))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // what was written is in the files
	return writeFile(root, name, write)
}

// writeFile replaces a file in one step, so that nobody finds half of it.
func writeFile(root *os.Root, name string, write func(io.Writer) error) (err error) {
	partial := name + ".partial"
	file, err := root.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, errors.Join(err, root.Remove(partial)))
		}
	}()
	if err := errors.Join(write(file), file.Close()); err != nil {
		return err
	}
	return root.Rename(partial, name)
}
