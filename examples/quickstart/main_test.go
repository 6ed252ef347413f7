package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

func TestSignsInOnceAndTheSameCallGoesOn(t *testing.T) {
	for _, protocol := range demo.Protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := quickstart.Run(t.Context(), []string{"-approve", "-protocol", protocol}, &stdout, &stderr); code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, stderr.String(), stdout.String())
			}
			out := stdout.String()
			listed, told, _ := strings.Cut(out, "3. A call")
			if took := regexp.MustCompile(`(?m)^   took {4}(\d+ s|less than a second)$`).FindAllString(out, -1); len(took) != 2 {
				t.Errorf("what the two calls took, in words: %q", took)
			}
			for _, tool := range []string{"ping", "whoami", "list_notes", "create_note"} {
				if !strings.Contains(listed, "\n     "+tool+" ") {
					t.Errorf("%s is not listed before the sign-in", tool)
				}
			}
			if urls := unique(`https?://\S+`, out); len(urls) != 1 {
				t.Errorf("URLs shown: %q, want one", urls)
			}
			if codes := unique(`\b[A-Z]{4}-[A-Z]{4}\b`, out); len(codes) != 1 {
				t.Errorf("codes shown: %q, want one", codes)
			}
			if !strings.Contains(told, `answer  {"id":1,"text":"Try lazyauth"}`) {
				t.Error("the answer to the call that waited is missing")
			}
			if !strings.Contains(told, "Ada") {
				t.Error("the answer to the second call is missing")
			}
			isPlain(t, out)
			if stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr.String())
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// The same by a link that leads the browser back: no code, and the link alone on its line.
func TestSignsInByARedirect(t *testing.T) {
	if testing.Short() {
		t.Skip("the server is a process of its own, and the run from a sign-in to its end is tried anyway")
	}
	for _, protocol := range demo.Protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := quickstart.Run(t.Context(), []string{"-approve", "-flow", "redirect", "-protocol", protocol}, &stdout, &stderr); code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, stderr.String(), stdout.String())
			}
			out := stdout.String()
			links := regexp.MustCompile(`(?m)^http://127\.0\.0\.1:\d+/authorize\?\S+$`).FindAllString(out, -1)
			if urls := unique(`https?://\S+`, out); len(links) != 1 || len(urls) != 1 {
				t.Fatalf("links shown: %q, URLs: %q, want one", links, urls)
			}
			isPlain(t, strings.Replace(out, links[0], "", 1))
			if codes := unique(`\b[A-Z]{4}-[A-Z]{4}\b`, out); len(codes) > 0 || strings.Contains(out, "code    ") {
				t.Errorf("codes shown: %q, want none", codes)
			}
			for _, want := range []string{`answer  {"id":1,"text":"Try lazyauth"}`, "Ada", "codes exchanged for a token: 1; "} {
				if strings.Count(out, want) != 1 {
					t.Errorf("it does not say once: %s", want)
				}
			}
			if stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr.String())
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// isPlain looks for what a log or an old terminal cannot show.
func isPlain(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if len(line) > 80 || strings.ContainsAny(line, "\r\x1b") {
			t.Errorf("not a plain line of 80 columns: %q", line)
		}
	}
}

// unique returns the different matches of a pattern in text.
func unique(pattern, text string) []string {
	matches := regexp.MustCompile(pattern).FindAllString(text, -1)
	slices.Sort(matches)
	return slices.Compact(matches)
}

// A trigger is a writer that calls do when it is first given a text.
type trigger struct {
	text string
	do   func()
}

func (w *trigger) Write(p []byte) (int, error) {
	if w.do != nil && bytes.Contains(p, []byte(w.text)) {
		w.do()
		w.do = nil
	}
	return len(p), nil
}

// Interrupted while the server is built: so that is said before it is done.
func TestInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("the server is a process of its own, and the run from a sign-in to its end is tried anyway")
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for name, test := range map[string]struct {
		args []string
		at   string
	}{
		"while it builds the server":                {[]string{"-approve"}, "building examples/stdio"},
		"while it waits for the person, 2026-07-28": {[]string{"-protocol", "2026-07-28"}, "Time left"},
		"while it waits for the person, 2025-11-25": {[]string{"-protocol", "2025-11-25"}, "Time left"},
		"while it waits for a browser":              {[]string{"-flow", "redirect"}, "Time left"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var stderr bytes.Buffer
			// It returns when the server has ended: closing the session waits for it.
			code := quickstart.Run(ctx, test.args, &trigger{test.at, interrupt}, &stderr)
			if code != 130 || stderr.String() != "quickstart: interrupted\n" {
				t.Errorf("exit code %d, stderr %q; want 130 and interrupted", code, stderr.String())
			}
			if left, err := filepath.Glob(filepath.Join(temporary, "quickstart*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

// A refuser denies on the page what the prompt asks for, as a person may.
type refuser struct {
	bytes.Buffer
	done chan error // nil until then
}

var prompted = regexp.MustCompile(`(?s)open {4}(?:this link\n\n)?(http\S+)\n(?:.*code {4}(\S+)\n)?.*Time left`)

func (w *refuser) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if shown := prompted.FindStringSubmatch(w.String()); shown != nil && w.done == nil {
		w.done = make(chan error, 1)
		go func() { w.done <- deny(shown[1], shown[2]) }()
	}
	return n, err
}

// deny says no where a code is entered, or where a link leads, and goes back with that.
func deny(page, code string) error {
	if code != "" {
		return fakeas.Visit(context.Background(), nil, page, code, false)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar}
	back, err := fakeas.VisitAuthorization(context.Background(), browser, page, "", false)
	if err != nil {
		return err
	}
	res, err := browser.Get(back)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && !strings.Contains(string(text), "You did not allow it") {
		err = fmt.Errorf("the page that the browser is led back to: %s", text)
	}
	return err
}

// To deny is an answer, and no failure of the program.
func TestDenied(t *testing.T) {
	if testing.Short() {
		t.Skip("the server is a process of its own, and the run from a sign-in to its end is tried anyway")
	}
	for _, args := range [][]string{
		{"-protocol", demo.Protocols[0]},
		{"-protocol", demo.Protocols[1]},
		{"-protocol", demo.Protocols[0], "-flow", "redirect"},
		{"-protocol", demo.Protocols[1], "-flow", "redirect"},
	} {
		t.Run(strings.Join(args[1:], " "), func(t *testing.T) {
			t.Parallel()
			var stdout refuser
			var stderr bytes.Buffer
			code := quickstart.Run(t.Context(), args, &stdout, &stderr)
			if stdout.done == nil {
				t.Fatalf("nobody was asked: %s%s", stderr.String(), stdout.String())
			}
			if err := <-stdout.done; err != nil {
				t.Fatal(err)
			}
			_, told, _ := strings.Cut(stdout.String(), "Time left")
			for _, want := range []string{"\n   answer  The user denied ", "\n   reason  denied\n", "\n   took    ", "\n   That is what the model is told."} {
				if !strings.Contains(told, want) {
					t.Errorf("it does not say: %q", want)
				}
			}
			for line := range strings.Lines(told) {
				if len(line) > 80 {
					t.Errorf("longer than 80 columns: %q", line)
				}
			}
			if code != 0 || stderr.Len() > 0 {
				t.Errorf("exit code %d, stderr %q", code, stderr.String())
			}
			if t.Failed() {
				t.Log(stdout.String())
			}
		})
	}
}

func TestSaysWhatIsWrongWithTheCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-protocol", "2024-11-05"}, "2025-11-25"},
		{[]string{"-flow", "implicit"}, "give device or redirect"},
		{[]string{"-approved"}, "-approved"},
		{[]string{"now"}, `"now" is not a flag`},
	} {
		var stdout, stderr bytes.Buffer
		if code := quickstart.Run(t.Context(), test.args, &stdout, &stderr); code != 2 {
			t.Errorf("%q: exit code %d, want 2", test.args, code)
		}
		if !strings.Contains(stderr.String(), test.want) || stdout.Len() > 0 {
			t.Errorf("%q: stderr %q, stdout %q; want %q on stderr", test.args, stderr.String(), stdout.String(), test.want)
		}
	}
}
