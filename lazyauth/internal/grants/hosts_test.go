package grants_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A grant remembers the hosts by which it was asked for, those that joined too, through step-ups, refreshes and the
// store, but for the oldest.
func TestGrant_Hosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		one := w.asksAs(t.Context(), w.me, profile, caller{program: "one"})
		synctest.Wait()
		two := w.asksAs(t.Context(), w.me, profile, caller{program: "two"})
		w.approves()
		(<-one).holds(profile)
		g := (<-two).holds(profile)
		if hosts := g.Hosts(); !slices.Equal(hosts, []string{"one", "two"}) {
			t.Errorf("hosts %q", hosts)
		}
		step := w.asksAs(t.Context(), w.me, profile.Union(read), caller{program: "one"})
		w.approves()
		if hosts := (<-step).holds(read).Hosts(); !slices.Equal(hosts, []string{"two", "one"}) {
			t.Errorf("after a step-up hosts %q", hosts)
		}
		later(2 * time.Hour)
		if hosts := w.has(read).Hosts(); !slices.Equal(hosts, []string{"two", "one"}) {
			t.Errorf("after a refresh hosts %q", hosts)
		}
		other := w.another()
		if hosts := other.has(read).Hosts(); !slices.Equal(hosts, []string{"two", "one"}) {
			t.Errorf("from the store hosts %q", hosts)
		}
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := w.asksAs(t.Context(), w.me, profile, caller{program: "three"})
		w.approves()
		if hosts := (<-again).holds(profile).Hosts(); !slices.Equal(hosts, []string{"three"}) {
			t.Errorf("of a new grant hosts %q", hosts)
		}
	})
}

// What hosts call themselves is bounded, as is what a record says of it.
func TestGrant_HostsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory()})
		var calls []<-chan outcome
		for n := range 20 {
			calls = append(calls, w.asksAs(t.Context(), w.me, profile, caller{program: fmt.Sprint(n%10, strings.Repeat("é", 1000), "\xff")}))
		}
		synctest.Wait()
		w.approves()
		var hosts []string
		for _, c := range calls {
			hosts = (<-c).holds(profile).Hosts()
		}
		for _, host := range hosts {
			if len(host) > 80 || !strings.HasSuffix(host, "é") {
				t.Errorf("host %q", host)
			}
		}
		if len(hosts) != 8 {
			t.Errorf("%d hosts", len(hosts))
		}
		text := w.stored()
		w.plant(strings.Replace(text, `"hosts":[`, `"hosts":[`+strings.Repeat(`"`+strings.Repeat("x", 200)+`","",`, 50), 1))
		g, err := w.another().me.Look(t.Context())
		if err != nil || len(g.Hosts()) != 8 || len(g.Hosts()[0]) > 80 {
			t.Errorf("from the store: %v, %v", g, err)
		}
	})
}
