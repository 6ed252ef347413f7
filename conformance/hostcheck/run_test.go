package hostcheck_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

func TestRun_ConfigThatMakesNoSense(t *testing.T) {
	host := []string{"true"}
	for name, c := range map[string]hostcheck.Config{
		"no host":          {},
		"unknown protocol": {Host: host, Protocols: []string{"2024-01-01"}},
		"unknown carrier":  {Host: host, Transports: []string{"pigeon"}},
		"unknown scenario": {Host: host, Scenarios: []string{"advertizing"}},
		"nothing left":     {Host: host, Scenarios: []string{"restart"}, Transports: []string{hostcheck.HTTP}},
		"broken template":  {Host: host, Template: "{{"},
	} {
		if _, err := hostcheck.Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		} else if !strings.HasPrefix(err.Error(), "hostcheck: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A run that is interrupted returns what there is.
func TestRun_Interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := one("waiting", hostcheck.Modern, hostcheck.HTTP)
		c.Play = func(ctx context.Context, _ hostcheck.Launch) error {
			<-ctx.Done()
			return nil
		}
		report, err := hostcheck.Run(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range report.Results[0].Checks {
			if check.Reached() || !strings.Contains(check.ErrorMessage, "interrupted") {
				t.Errorf("%s is %s: %s", check.ID, check.Status, check.ErrorMessage)
			}
		}
	})
}

func TestRun_HostThatSendsGarbage(t *testing.T) {
	r, seen, limit := slowHost(t, "garbage", "20 of its messages", "{server}")
	allFail(t, r, fmt.Sprintf("the host did not get there within %v; 20 of its messages are no JSON-RPC message, the first is", limit))
	if c := check(t, r, "A37"); c.Status != hostcheck.Failure || !strings.Contains(c.ErrorMessage, "not JSON") {
		t.Errorf("A37 is %s: %s", c.Status, c.ErrorMessage)
	}
	allGone(t, seen["pid"])
	shown := false
	for _, e := range r.Events {
		shown = shown || e.From == hostcheck.FromHost && strings.Contains(e.Text, "not JSON")
	}
	if !shown {
		t.Error("the garbage is not in the record")
	}
}

func TestRun_HostThatFloods(t *testing.T) {
	for _, how := range []string{"flood", "endless-line"} {
		t.Run(how, func(t *testing.T) {
			r, seen := badHost(t, how, hostcheck.Config{Host: []string{"{server}"}, Timeout: patience})
			allFail(t, r, "the host sent more than the suite takes")
			allGone(t, seen["pid"])
			size := 0
			for _, e := range r.Events {
				size += len(e.Message) + len(e.Text)
			}
			if size > 9<<20 {
				t.Errorf("%d bytes were kept", size)
			}
		})
	}
}
