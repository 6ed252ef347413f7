package unusual_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/refhost"
)

// guest is the reference host with a habit, inside this process.
func guest(habit refhost.Habit) func(context.Context, hostcheck.Launch) error {
	return func(ctx context.Context, launch hostcheck.Launch) error {
		return refhost.Run(ctx, refhost.Launch{
			Task: launch.Task, Control: launch.Control, Server: launch.Server, Dial: launch.Dial, Habit: habit,
		}, refhost.None)
	}
}

// stage runs the whole suite, in both protocols and over both transports, in
// virtual time.
func stage(t *testing.T, habit refhost.Habit) (report *hostcheck.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if report, err = hostcheck.Run(t.Context(), hostcheck.Config{Play: guest(habit)}); err != nil {
			t.Fatal(err)
		}
	})
	return report
}

// oneIn is how many hosts there are for each that is run with -short.
const oneIn = 8

// A host that is right passes, however few are like it; and something was checked.
func TestUnusualHostsPass(t *testing.T) {
	t.Parallel()
	for n, habit := range refhost.Habits() {
		t.Run(string(habit), func(t *testing.T) {
			if testing.Short() && n%oneIn != 0 {
				t.Skipf("one in %d of these is enough to see whether anything races; what each passes is judged without -short", oneIn)
			}
			t.Parallel()
			report := stage(t, habit)
			if !report.OK(true) {
				t.Error("the verdict is FAILED")
			}
			passed := 0
			for _, r := range report.Results {
				for _, c := range r.Checks {
					switch c.Status {
					case hostcheck.Success:
						passed++
					case hostcheck.Failure, hostcheck.Warning:
						t.Errorf("%s %s %s: %s is %s: %s", r.Scenario, r.Protocol, r.Transport, c.ID, c.Status, c.ErrorMessage)
					case hostcheck.Skipped, hostcheck.Info:
					}
				}
			}
			if passed < 20 {
				t.Errorf("no more than %d checks passed", passed)
			}
		})
	}
}

// Round trips are no matter of the mode: a host with forms alone is judged by forms.
func TestFormsAlone_RoundTripsAreDecided(t *testing.T) {
	t.Parallel()
	decided := make(map[string]bool)
	for _, r := range stage(t, refhost.FormsAlone).Results {
		for _, c := range r.Checks {
			decided[c.ID] = decided[c.ID] || c.Status == hostcheck.Success
		}
	}
	for _, id := range []string{"A7", "B6", "B8", "B9", "B10", "B11", "B12", "B13", "B14", "P3", "P4", "P7", "P8", "P9"} {
		if !decided[id] {
			t.Errorf("%s is not decided", id)
		}
	}
}
