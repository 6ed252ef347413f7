package hostcheck

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// staging is one scenario in one protocol over one transport.
type staging struct {
	scenario            Scenario
	protocol, transport string
}

// decidable are the IDs of the requirements that scenarios decide.
func decidable() []string {
	var ids []string
	for _, r := range Requirements() {
		if r.Reason == "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// complete checks a configuration, fills in its defaults, and says what is to
// be staged.
func (c Config) complete() (Config, []staging, error) {
	if len(c.Host) == 0 && c.Play == nil {
		return c, nil, errors.New("hostcheck: no host to run")
	}
	var err error
	if c.Protocols, err = chosen("protocol", c.Protocols, Legacy, Modern); err != nil {
		return c, nil, err
	}
	if c.Transports, err = chosen("transport", c.Transports, Stdio, HTTP); err != nil {
		return c, nil, err
	}
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.Name
	}
	if c.Scenarios, err = chosen("scenario", c.Scenarios, names...); err != nil {
		return c, nil, err
	}
	if c.Checks != nil {
		if c.Checks, err = chosen("requirement", c.Checks, decidable()...); err != nil {
			return c, nil, err
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.Parallel <= 0 {
		// Scenarios mostly wait; a host and its server take two processes.
		c.Parallel = min(4*runtime.NumCPU(), 16)
		if c.Play != nil {
			c.Parallel = 1
		}
	}
	if len(c.Stub) == 0 && c.Play == nil && slices.Contains(c.Transports, Stdio) {
		self, err := os.Executable()
		if err != nil {
			return c, nil, fmt.Errorf("hostcheck: %w", err)
		}
		c.Stub = []string{self, "stub"}
	}
	var todo []staging
	for _, s := range scenarios {
		for _, protocol := range c.Protocols {
			for _, transport := range c.Transports {
				one := staging{s, protocol, transport}
				if slices.Contains(c.Scenarios, s.Name) && slices.Contains(s.Protocols, protocol) &&
					slices.Contains(s.Transports, transport) && one.decides(c.Checks) {
					todo = append(todo, one)
				}
			}
		}
	}
	if len(todo) == 0 {
		return c, nil, errors.New("hostcheck: none of these scenarios exists for that protocol and transport, and decides that")
	}
	for _, one := range todo {
		if err := c.tryTemplate(one); err != nil {
			return c, nil, err
		}
	}
	return c, todo, nil
}

// decides says whether a scenario decides one of the requirements, as it is staged;
// nil is all that there are.
func (one staging) decides(ids []string) bool {
	return ids == nil || slices.ContainsFunc(ids, func(id string) bool {
		if !byID(id).appliesTo(one.protocol, one.transport) {
			return false
		}
		has := func(s Scenario) bool { return slices.Contains(s.Checks, id) }
		return has(one.scenario) || byID(id).Everywhere && !slices.ContainsFunc(scenarios, has)
	})
}

// chosen checks names against those there are; none means all.
func chosen(what string, names []string, all ...string) ([]string, error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("hostcheck: there is no %s %q", what, n)
		}
	}
	return names, nil
}
