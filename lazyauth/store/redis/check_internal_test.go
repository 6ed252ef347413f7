package redis

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// What a server does not say is unknown, and what stands behind it counts.
func TestLossesBy(t *testing.T) {
	always := map[string]string{"appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
	for name, c := range map[string]struct {
		info, settings map[string]string
		want           store.Losses
	}{
		"says nothing":      {nil, nil, store.LosesUnknown},
		"alone":             {map[string]string{"aof_enabled": "1", "role": "master", "connected_slaves": "0"}, always, store.LosesNothing},
		"with a replica":    {map[string]string{"aof_enabled": "1", "role": "master", "connected_slaves": "1"}, always, store.LosesAtFailover},
		"is a replica":      {map[string]string{"aof_enabled": "1", "role": "slave", "connected_slaves": "0"}, always, store.LosesAtFailover},
		"forbids CONFIG":    {map[string]string{"aof_enabled": "1", "role": "master", "connected_slaves": "0"}, nil, store.LosesUnknown},
		"a word of its own": {map[string]string{"aof_enabled": "1"}, map[string]string{"appendfsync": "sometimes"}, store.LosesUnknown},
		"keeps no file":     {map[string]string{"aof_enabled": "0"}, always, store.LosesAny},
	} {
		if got := lossesBy(c.info, c.settings); got != c.want {
			t.Errorf("%s: %v; want %v", name, got, c.want)
		}
	}
}

func TestTooOld(t *testing.T) {
	for version, want := range map[string]bool{"6.2.14": true, "5": true, "7.0.15": false, "7.2.4": false, "8.0.0": false, "255.255.255": false, "": false, "unstable": false} {
		if got := tooOld(version); got != want {
			t.Errorf("%q: %t", version, got)
		}
	}
}
