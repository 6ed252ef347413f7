package broken_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/refhost"
)

// guest is the reference host with a fault, inside this process.
func guest(fault refhost.Fault) func(context.Context, hostcheck.Launch) error {
	return func(ctx context.Context, launch hostcheck.Launch) error {
		return refhost.Run(ctx, refhost.Launch{
			Task: launch.Task, Control: launch.Control, Server: launch.Server, Dial: launch.Dial,
		}, fault)
	}
}

// stage runs the whole suite, in both protocols and over both transports, in
// virtual time.
func stage(t *testing.T, fault refhost.Fault) (report *hostcheck.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if report, err = hostcheck.Run(t.Context(), hostcheck.Config{Play: guest(fault)}); err != nil {
			t.Fatal(err)
		}
	})
	return report
}

// The reference host meets everything that is checked.
func TestReferenceHostPasses(t *testing.T) {
	t.Parallel()
	for _, r := range stage(t, refhost.None).Results {
		for _, c := range r.Checks {
			if c.Status != hostcheck.Success {
				t.Errorf("%s: %s is %s: %s %v", name(r), c.ID, c.Status, c.ErrorMessage, c.Details)
			}
		}
	}
}

// oneIn is how many hosts there are for each that is run with -short.
const oneIn = 16

// Each host that is wrong in one way trips the checks that are about that, and
// no other; and in each protocol that has the check, so that a host of one era alone does
// not get away with it.
func TestBrokenHostsTripTheirChecks(t *testing.T) {
	t.Parallel()
	reference := stage(t, refhost.None)
	decided := eras(reference, func(hostcheck.Check) bool { return true })
	var (
		tripped sync.Map // where a check was tripped by some host
		staged  atomic.Int32
	)
	t.Cleanup(func() {
		if int(staged.Load()) < len(refhost.Faults()) {
			return // not all were asked for
		}
		for _, r := range reference.Results {
			for _, c := range r.Checks {
				never, excepted := untripped[c.ID]
				if _, ok := tripped.Load(where(r, c)); !ok && (!excepted || never != "" && never != r.Protocol) {
					t.Errorf("no broken host trips %s", where(r, c))
				}
			}
		}
	})
	for n, fault := range refhost.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			if testing.Short() && n%oneIn != 0 {
				t.Skipf("one in %d of these is enough to see whether anything races; what each trips is judged without -short", oneIn)
			}
			t.Parallel()
			want, ok := expected[fault]
			if !ok {
				t.Fatal("nothing is expected of this fault")
			}
			report := stage(t, fault)
			got := reading(report)
			for _, r := range report.Results {
				for _, c := range r.Checks {
					if c.Reached() && (c.Status == hostcheck.Failure || c.Status == hostcheck.Warning) {
						tripped.Store(where(r, c), true)
					}
				}
			}
			staged.Add(1)
			if !slices.Equal(got.trips, sorted(want.trips)) {
				t.Errorf("trips %v, not %v", got.trips, sorted(want.trips))
			}
			if want.lacks != anything && !slices.Equal(got.lacks, sorted(want.lacks)) {
				t.Errorf("leaves undecided %v, not %v", got.lacks, sorted(want.lacks))
			}
			for _, id := range got.trips {
				for protocol := range decided[id] {
					if !got.eras[id][protocol] && (want.only == "" || want.only == protocol) {
						t.Errorf("does not trip %s in %s", id, protocol)
					}
				}
			}
			if got.skips != want.skips {
				t.Errorf("has something skipped: %v, not %v", got.skips, want.skips)
			}
			if t.Failed() {
				t.Log(strings.Join(got.why, "\n"))
			}
		})
	}
}

// untripped are the checks that no host can fail, and the protocol in which it cannot; any
// if that is empty.
var untripped = map[string]string{
	"A19": "", "B7": "", // they may
	"B21": hostcheck.Modern, // it is about a server of the other era
}

// where names a check, and in which protocol and over which transport it is made.
func where(r hostcheck.Result, c hostcheck.Check) string {
	return c.ID + " in " + r.Protocol + " over " + r.Transport
}

// Every requirement that a scenario decides is tripped by a host.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	tripped := make(map[string]bool)
	for _, e := range expected {
		for _, id := range sorted(e.trips) {
			tripped[id] = true
		}
	}
	for _, r := range hostcheck.Requirements() {
		if r.Reason == "" && !tripped[r.ID] {
			t.Errorf("no broken host trips %s (%s)", r.ID, r.Name)
		}
	}
}

// A findings is what a report says against a host.
type findings struct {
	trips []string                   // failed, or a MAY that is not made use of
	lacks []string                   // could not be decided, for want of something before
	skips bool                       // something was skipped, since the host does not declare it
	eras  map[string]map[string]bool // the protocols in which a check is tripped
	why   []string
}

func reading(report *hostcheck.Report) findings {
	levels := make(map[string]hostcheck.Level)
	for _, r := range hostcheck.Requirements() {
		levels[r.ID] = r.Level
	}
	trips, lacks := make(map[string]bool), make(map[string]bool)
	trip := func(c hostcheck.Check) bool {
		return c.Reached() && c.Status != hostcheck.Success && c.Status != hostcheck.Skipped &&
			(c.Status != hostcheck.Info || levels[c.ID] == hostcheck.May)
	}
	f := findings{eras: eras(report, trip)}
	for _, r := range report.Results {
		for _, c := range r.Checks {
			if c.Status == hostcheck.Success {
				continue
			}
			f.why = append(f.why, fmt.Sprintf("%s: %s is %s: %s %v", name(r), c.ID, c.Status, c.ErrorMessage, c.Details))
			switch {
			case c.Status == hostcheck.Skipped:
				f.skips = true
			case trip(c):
				trips[c.ID] = true
			default:
				lacks[c.ID] = true
			}
		}
	}
	f.trips = slices.Sorted(maps.Keys(trips))
	for id := range lacks {
		if !trips[id] {
			f.lacks = append(f.lacks, id)
		}
	}
	slices.Sort(f.lacks)
	return f
}

// eras are the protocols in which there is such a check, by its ID.
func eras(report *hostcheck.Report, such func(hostcheck.Check) bool) map[string]map[string]bool {
	found := make(map[string]map[string]bool)
	for _, r := range report.Results {
		for _, c := range r.Checks {
			if such(c) {
				if found[c.ID] == nil {
					found[c.ID] = make(map[string]bool)
				}
				found[c.ID][r.Protocol] = true
			}
		}
	}
	return found
}

func name(r hostcheck.Result) string { return r.Scenario + " " + r.Protocol + " " + r.Transport }

func sorted(ids string) []string {
	out := strings.Fields(ids)
	slices.Sort(out)
	return slices.Compact(out)
}
