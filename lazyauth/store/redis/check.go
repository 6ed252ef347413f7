package redis

import (
	"context"
	"strconv"
	"strings"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/fault"
)

// Check asks the server, and each of a cluster, whether its settings are such that nothing is evicted, and
// its version is one that this works with: for the start, and for readiness.
func (d *DB) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errSlow)
	defer cancel()
	for _, node := range d.client.Nodes() {
		info, infoErr := d.info(ctx, node)
		if infoErr != nil && !forbidden(infoErr) {
			return infoErr
		}
		if version := info["redis_version"]; tooOld(version) {
			return d.trouble(store.ErrUnavailable, "the server is of version "+fault.Shown(version)+": it has to be 7.0 or later", nil)
		}
		policy := info["maxmemory_policy"]
		if policy == "" {
			settings, err := d.settings(ctx, node, "maxmemory-policy")
			if err != nil && !forbidden(err) {
				return err
			}
			policy = settings["maxmemory-policy"]
		}
		switch {
		case policy == "noeviction", policy == "" && d.unchecked:
		case policy == "":
			return d.trouble(store.ErrUnavailable, "the server does not say what its maxmemory-policy is: let the user run INFO, or make sure that it is noeviction and set Options.InsecureUncheckedEviction", nil)
		default:
			return d.trouble(store.ErrUnavailable, "its maxmemory-policy is "+fault.Shown(policy)+", which may remove any row: it has to be noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration)", nil)
		}
	}
	return nil
}

// tooOld is not for what says no version, or one that is none of Redis's.
func tooOld(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < 7
}

// Losses asks the server what of that which it acknowledges may be lost; of a cluster, the most that one of
// them may lose.
func (d *DB) Losses(ctx context.Context) (store.Losses, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errSlow)
	defer cancel()
	most := store.LosesUnknown
	for _, node := range d.client.Nodes() {
		info, err := d.info(ctx, node)
		if err != nil {
			return store.LosesUnknown, err
		}
		settings, err := d.settings(ctx, node, "appendfsync", "no-appendfsync-on-rewrite")
		if err != nil && !forbidden(err) {
			return store.LosesUnknown, err
		}
		losses := lossesBy(info, settings)
		if losses == store.LosesUnknown {
			return losses, nil
		}
		most = max(most, losses)
	}
	return most, nil
}

func lossesBy(info, settings map[string]string) store.Losses {
	switch info["aof_enabled"] {
	case "":
		return store.LosesUnknown
	case "0":
		return store.LosesAny
	}
	switch settings["appendfsync"] {
	case "always":
		if settings["no-appendfsync-on-rewrite"] == "yes" {
			return store.LosesLastSecond
		}
		if info["role"] != "master" || info["connected_slaves"] != "0" {
			return store.LosesAtFailover
		}
		return store.LosesNothing
	case "everysec":
		return store.LosesLastSecond
	case "no":
		return store.LosesAny
	}
	return store.LosesUnknown
}

// info is what INFO says, name by name.
func (d *DB) info(ctx context.Context, node valkey.Client) (map[string]string, error) {
	text, err := node.Do(ctx, node.B().Info().Build()).ToString()
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}

func (d *DB) settings(ctx context.Context, node valkey.Client, names ...string) (map[string]string, error) {
	settings, err := node.Do(ctx, node.B().ConfigGet().Parameter(names...).Build()).AsStrMap()
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	return settings, nil
}
