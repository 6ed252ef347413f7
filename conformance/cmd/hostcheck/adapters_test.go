package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The adapters in other languages, each with a host that uses it, by hand and without
// an SDK, take part in everything that an adapter can. CI has both languages, and runs
// the whole suite on the host in Python.
func TestAdapters(t *testing.T) {
	repeats(t)
	for name, host := range map[string]struct{ command, flags []string }{
		"Python":     {[]string{"python3", "../../adapters/python/rawhost"}, nil},
		"JavaScript": {[]string{"node", "../../adapters/javascript/least.mjs"}, []string{"--protocol", "2025-11-25", "--transport", "stdio"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(host.command[0]); err != nil {
				t.Skip(err)
			}
			args := slices.Concat([]string{"run", "--scenario", "consent", "--scenario", "refusal", "--scenario", "parallel", "--verbose"},
				host.flags, []string{"--"}, host.command)
			status, out, errs := program(t, args...)
			if status != statusOK || strings.Contains(out, "no UI hook") || strings.Contains(out, "failed") || !strings.Contains(out, "3 scenarios in") {
				t.Errorf("status %d\n%s%s", status, out, errs)
			}
		})
	}
}
