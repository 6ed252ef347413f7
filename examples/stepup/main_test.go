package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/demo"
)

func TestAsksForMoreOnceAndTheSameCallGoesOn(t *testing.T) {
	for _, test := range []struct {
		protocol, flow string
		shown          string // what the user is shown for each of the two sign-ins
		next, count    string // what the server then sees
	}{
		{demo.Protocols[0], "device", `code {4}[A-Z]{4}-[A-Z]{4}`, "device_authorization  200  ok\n", "device authorizations, one for each grant        2\n"},
		{demo.Protocols[1], "device", `code {4}[A-Z]{4}-[A-Z]{4}`, "device_authorization  200  ok\n", "device authorizations, one for each grant        2\n"},
		{demo.Protocols[0], "redirect", `http://127.0.0.1:\d+/authorize\?\S+`, "exchange              200  ok\n", "codes exchanged for a token, one for each grant  2\n"},
		{demo.Protocols[1], "redirect", `http://127.0.0.1:\d+/authorize\?\S+`, "exchange              200  ok\n", "codes exchanged for a token, one for each grant  2\n"},
	} {
		t.Run(test.protocol+" "+test.flow, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := stepup.Run(t.Context(), []string{"-approve", "-protocol", test.protocol, "-flow", test.flow}, &stdout, &stderr); code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, stderr.String(), stdout.String())
			}
			out := stdout.String()
			shown := regexp.MustCompile(test.shown).FindAllString(out, -1)
			if len(slices.Compact(shown)) != 2 {
				t.Errorf("shown: %q, want two", shown)
			}
			for _, want := range []string{
				`answer  {"created":true,"id":1,"text":"Try step-up"}`,
				"POST /notes           403  insufficient_scope\n     " + test.next,
				"POST /notes           201  ok\n",
				test.count,
				"starts of the handler of ensure_note             1\n",
				"POST /notes that created the note                1\n",
			} {
				if strings.Count(out, want) != 1 {
					t.Errorf("it does not say once: %s", want)
				}
			}
			for line := range strings.Lines(out) {
				if len(line) > 80 && !strings.HasPrefix(line, "http://") || strings.ContainsAny(line, "\r\x1b") {
					t.Errorf("not a plain line of 80 columns: %q", line)
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
