package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// step is a command of docs/http.md and what it prints.
var step = regexp.MustCompile("(?s)```sh\n(.*?)```\n\n```text\n(.*?)```")

// blanks are what cannot be seen at the end of a line.
var blanks = regexp.MustCompile("[ \t\r]+\n")

// The conversation in docs/http.md is run as it is written, by a shell and curl,
// and must go as it says.
func TestTheConversationInTheDocumentation(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test runs %s, which is not installed", program)
		}
	}
	doc, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := step.FindAllStringSubmatch(string(doc), -1)
	if n := strings.Count(string(doc), "```sh\n"); len(steps) != n || n != 6 {
		t.Fatalf("%d steps, %d of them with what they print; want 6", n, len(steps))
	}
	w := started(t, "-demo-users", "ada,eve")
	here := strings.NewReplacer("http://127.0.0.1:8080", w.base, "127.0.0.1:9070", strings.TrimPrefix(w.as.Issuer(), "http://"))
	// The steps in which a call waits, and what has happened by then.
	byThen := map[int]struct {
		calls   int
		printed string
	}{2: {2, ""}, 4: {3, "answered"}}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()

	for n, step := range steps {
		printed, err := os.Create(filepath.Join(dir, "printed"))
		if err != nil {
			t.Fatal(err)
		}
		said := func() string {
			text, err := os.ReadFile(printed.Name())
			if err != nil {
				t.Fatal(err)
			}
			return blanks.ReplaceAllString(string(text), "\n")
		}
		command := exec.CommandContext(ctx, "sh", "-e", "-c", here.Replace(step[1]))
		command.Dir, command.WaitDelay = dir, enough
		var complaints bytes.Buffer
		command.Stdout, command.Stderr = printed, &complaints
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if by, waits := byThen[n]; waits { // the person does their part
			w.until("the call waits", func() bool {
				return w.counters()["waiting"] >= by.calls && strings.Contains(said(), by.printed)
			})
			request := w.request()
			if err := fakeas.Visit(ctx, nil, request.VerificationURI, request.UserCode, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := command.Wait(); err != nil {
			t.Errorf("%v: %s", err, complaints.String())
		}
		got, want := strings.TrimSpace(said()), strings.TrimSpace(here.Replace(step[2]))
		if !regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$").MatchString(got) {
			t.Errorf("step %d\n%s\nprints\n%s\nwant\n%s", n+1, step[1], got, want)
		}
		printed.Close()
	}
}

func TestTheCommandInTheHelp(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?s)  curl .*?\}'\n`).FindString(help)
	w := started(t, "-demo-users", "ada,eve")
	command := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.ReplaceAll(line, "http://127.0.0.1:8080", w.base))
	answer, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(answer), w.request().UserCode) {
		t.Errorf("%s\nprints %s, %v; want link and code", line, answer, err)
	}
}
