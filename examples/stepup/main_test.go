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
	for _, protocol := range demo.Protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := stepup.Run(t.Context(), []string{"-approve", "-protocol", protocol}, &stdout, &stderr); code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, stderr.String(), stdout.String())
			}
			out := stdout.String()
			codes := regexp.MustCompile(`code {4}[A-Z]{4}-[A-Z]{4}`).FindAllString(out, -1)
			if len(slices.Compact(codes)) != 2 {
				t.Errorf("codes shown: %q, want two", codes)
			}
			for _, want := range []string{
				`answer  {"created":true,"id":1,"text":"Try step-up"}`,
				"POST /notes           403  insufficient_scope\n     device_authorization  200  ok\n",
				"POST /notes           201  ok\n",
				"device authorizations, one for each grant        2\n",
				"starts of the handler of ensure_note             1\n",
				"POST /notes that created the note                1\n",
			} {
				if strings.Count(out, want) != 1 {
					t.Errorf("it does not say once: %s", want)
				}
			}
			for line := range strings.Lines(out) {
				if len(line) > 80 || strings.ContainsAny(line, "\r\x1b") {
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
