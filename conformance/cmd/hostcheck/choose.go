package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A selection is what to check: the flags that run and serve have in common.
type selection struct {
	protocol, transport string
	scenarios           []string
	checks              []string // nil for all
}

// add adds the flags. What they are at first is their default.
func (s *selection) add(set *flag.FlagSet, several bool) {
	alternatives := func(a, b string) string {
		if several {
			return a + ", " + b + " or " + both
		}
		return a + " or " + b
	}
	set.StringVar(&s.protocol, "protocol", s.protocol, "`revision` to check: "+alternatives(hostcheck.Legacy, hostcheck.Modern))
	set.StringVar(&s.transport, "transport", s.transport, "`transport` to check: "+alternatives(hostcheck.Stdio, hostcheck.HTTP))
	set.Func("scenario", "`name` of a scenario to run; may be given more than once (default: all)", func(name string) error {
		var names []string
		for _, known := range hostcheck.Scenarios() {
			names = append(names, known.Name)
		}
		if !slices.Contains(names, name) {
			return fmt.Errorf("there is no such scenario; there are %s", strings.Join(names, ", "))
		}
		if !slices.Contains(s.scenarios, name) {
			s.scenarios = append(s.scenarios, name)
		}
		return nil
	})
	if several {
		set.Func("check", "the `id` of a requirement to judge, such as A7, or several, with commas;\n"+
			"may be given more than once. What decides them is run (default: all)", s.addChecks)
	}
}

// addChecks adds the requirements of a list.
func (s *selection) addChecks(list string) error {
	for id := range strings.SplitSeq(list, ",") {
		id = strings.ToUpper(strings.TrimSpace(id))
		at := slices.IndexFunc(hostcheck.Requirements(), func(r hostcheck.Requirement) bool { return r.ID == id })
		switch {
		case at < 0:
			return fmt.Errorf("there is no requirement %q; \"hostcheck list\" has them all", id)
		case hostcheck.Requirements()[at].Reason != "":
			return fmt.Errorf("no scenario decides %s: %s", id, hostcheck.Requirements()[at].Reason)
		case !slices.Contains(s.checks, id):
			s.checks = append(s.checks, id)
		}
	}
	return nil
}

// both stands for all protocols or transports.
const both = "both"

// config is the selection for the suite.
func (s *selection) config(several bool) (hostcheck.Config, error) {
	c := hostcheck.Config{Scenarios: s.scenarios, Checks: s.checks}
	var err error
	if c.Protocols, err = choose("protocol", s.protocol, several, hostcheck.Legacy, hostcheck.Modern); err != nil {
		return c, err
	}
	if c.Transports, err = choose("transport", s.transport, several, hostcheck.Stdio, hostcheck.HTTP); err != nil {
		return c, err
	}
	for _, scenario := range hostcheck.Scenarios() {
		chosen := len(s.scenarios) == 0 || slices.Contains(s.scenarios, scenario.Name)
		if chosen && meet(scenario.Protocols, c.Protocols) && meet(scenario.Transports, c.Transports) {
			return c, nil
		}
	}
	return c, errors.New("nothing to run: of the scenarios that were named none exists in that protocol and transport; " +
		"see \"hostcheck list\"")
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func choose(what, value string, several bool, all ...string) ([]string, error) {
	switch {
	case several && value == both:
		return all, nil
	case slices.Contains(all, value):
		return []string{value}, nil
	}
	allowed := strings.Join(all, ", ")
	if several {
		allowed += ", " + both
	}
	return nil, fmt.Errorf("--%s %q: it is one of %s", what, value, allowed)
}

// seconds is a duration flag that says what it wants.
type seconds struct{ time.Duration }

func (s *seconds) Set(value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return errors.New("a duration is a number with a unit, as in 45s or 2m")
	}
	s.Duration = d
	return nil
}
