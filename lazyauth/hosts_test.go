package lazyauth_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

func TestHosts_Known(t *testing.T) {
	for _, test := range []struct {
		host     string
		progress bool
		hosts    map[string]lazyauth.Host
		want     time.Duration
	}{
		{host: "somebody", want: 55 * time.Second},
		{host: "codex-mcp-client", want: 295 * time.Second},
		{host: "copilot-cli", want: 175 * time.Second},
		{host: "copilot-cli", progress: true, want: 395 * time.Second},
		{host: "opencode", want: 55 * time.Second},
		{host: "opencode", progress: true, want: 395 * time.Second},
		{host: "qwen-cli-mcp-client-notes", want: 295 * time.Second},
		{host: "codex-mcp-client", hosts: map[string]lazyauth.Host{}, want: 55 * time.Second},
		{host: "mine", hosts: map[string]lazyauth.Host{"mi*": {MaxWait: time.Second}, "mine": {MaxWait: 2 * time.Minute}}, want: 2 * time.Minute},
		{host: "miner", hosts: map[string]lazyauth.Host{"m*": {MaxWait: time.Second}, "mine*": {MaxWait: 20 * time.Second}}, want: 20 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s %t", test.host, test.progress), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{Hosts: test.hosts}})
				h := w.HostWith(era, world.Manners{Name: test.host, URL: true, Progress: test.progress, React: world.Accepts})
				began := time.Now()
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
				if took := time.Since(began); took < test.want || took > test.want+time.Second {
					t.Errorf("the call waited for %v, want %v", took, test.want)
				}
			})
		})
	}
}

// A host that waits longer than others is not shown the prompt again before it has given
// up.
func TestHosts_PatientOneIsShownOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Name: "copilot-cli", URL: true, Form: true, Progress: true, React: world.Accepts})
		one := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		world.Later(60 * time.Second)
		two := h.Call(t.Context(), "whoami", nil)
		world.Later(5 * time.Second)
		h.WantPrompts(1)
		w.AS.Approve(code)
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
	})
}

// A host that waits shorter than others is shown the prompt again once it has given up.
func TestHosts_ImpatientOneIsShownAgain(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 10 * time.Minute, Hosts: map[string]lazyauth.Host{"quick": {MaxWait: 20 * time.Second}}}})
		h := w.HostWith(era, world.Manners{Name: "quick", URL: true, React: world.Accepts})
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		world.Later(5 * time.Second)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if n := len(h.Shown()); n < 2 {
			t.Errorf("four calls, each to the end of MaxWait, and %d prompt", n)
		}
	})
}

// Options are read once.
func TestHosts_AreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := lazyauth.KnownHosts()
		w := world.New(t, world.Setup{Options: lazyauth.Options{Hosts: hosts}})
		hosts["host"] = lazyauth.Host{MaxWait: -time.Second}
		h := w.Host(world.Legacy, world.Accepts)
		began := time.Now()
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took < 50*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
