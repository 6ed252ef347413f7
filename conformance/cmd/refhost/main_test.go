package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/refhost"
)

// TestMain makes this binary the host and the stub as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "stub":
			if err := hostcheck.Stub(context.Background(), os.Args[3], os.Stdin, os.Stdout); err != nil {
				os.Exit(1)
			}
			return
		case "refhost":
			os.Args = append(os.Args[:1], os.Args[2:]...)
			main()
			return
		}
	}
	os.Exit(m.Run())
}

// patience is how long a scenario may take here: these are many processes, with the race
// detector sometimes, beside those of other tests.
const patience = 5 * time.Minute

// As a process of its own, over real pipes and sockets, the reference host
// passes what it passes in memory.
func TestReferenceHostPasses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config := hostcheck.Config{Host: []string{self, "refhost"}, Timeout: patience}
	if testing.Short() {
		config.Scenarios = []string{"advertising", "era", "consent", "round-trips", "streams", "restart"}
	}
	report, err := hostcheck.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		for _, c := range r.Checks {
			if c.Status == hostcheck.Info && strings.Contains(fmt.Sprint(c.Details), "this machine is too busy") {
				t.Logf("%s %s %s: %s: %v", r.Scenario, r.Protocol, r.Transport, c.ID, c.Details)
			} else if c.Status != hostcheck.Success {
				t.Errorf("%s %s %s: %s is %s: %s %v", r.Scenario, r.Protocol, r.Transport, c.ID, c.Status, c.ErrorMessage, c.Details)
			}
		}
	}
}

// With a fault it trips the check.
func TestFaultOfAProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	report, err := hostcheck.Run(t.Context(), hostcheck.Config{
		Host: []string{self, "refhost", "-fault", "nameless-retry"}, Scenarios: []string{"advertising"}, Protocols: []string{hostcheck.Modern},
		Timeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		for _, c := range r.Checks {
			if (c.Status == hostcheck.Warning) != (c.ID == "B3") {
				t.Errorf("%s: %s is %s: %s", r.Transport, c.ID, c.Status, c.ErrorMessage)
			}
		}
	}
}

func TestCommandLine(t *testing.T) {
	none := func(string) string { return "" }
	var out strings.Builder
	if err := run(t.Context(), []string{"-faults"}, none, &out, io.Discard); err != nil {
		t.Error(err)
	}
	if got := len(strings.Fields(out.String())); got != len(refhost.Faults()) {
		t.Errorf("%d faults are listed", got)
	}
	out.Reset()
	if err := run(t.Context(), []string{"-habits"}, none, &out, io.Discard); err != nil {
		t.Error(err)
	}
	if got := len(strings.Fields(out.String())); got != len(refhost.Habits()) {
		t.Errorf("%d habits are listed", got)
	}
	for _, args := range [][]string{{"-fault", "nonsense"}, {"-habit", "nonsense"}, {"-nonsense"}, {}} {
		if err := run(t.Context(), args, none, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
