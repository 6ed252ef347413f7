package hostcheck

import (
	"slices"
	"strings"
	"time"
)

// judged concludes a scenario: a result with one check for each requirement
// that it decides.
func (st *stage) judged(output string) Result {
	st.guard.Lock()
	st.closed, st.took = true, st.now()
	st.guard.Unlock()
	st.review()
	for _, conclude := range st.scenario.conclude {
		conclude(st)
	}
	return st.result(output, true)
}

// result is the scenario as it stands. While it runs, what was not seen yet is
// INFO; when it is final, that is a missing prerequisite and a FAILURE.
func (st *stage) result(output string, final bool) Result {
	st.guard.Lock()
	var checks []Check
	now, took := time.Now(), st.took
	if took == 0 {
		took = st.now()
	}
	for _, id := range st.scenario.Checks {
		r := byID(id)
		if !r.appliesTo(st.protocol, st.transport) {
			continue
		}
		c := Check{
			ID: id, Name: r.Name, Description: r.Text, Timestamp: now,
			SpecReferences: []Reference{r.in(st.protocol)},
		}
		st.decide(&c, r, final)
		checks = append(checks, c)
	}
	st.guard.Unlock()
	return Result{
		Scenario: st.scenario.Name, Title: st.scenario.Title, Protocol: st.protocol, Transport: st.transport,
		Started: st.started, Took: took, Checks: checks, Events: st.copyEvents(), HostOutput: output,
	}
}

// noHook is the one reason for which a requirement is skipped.
const noHook = "no UI hook"

// decide gives a check its status. The caller holds guard.
func (st *stage) decide(c *Check, r Requirement, final bool) {
	c.Details = map[string]any{"level": string(r.Level), "revision": r.Revision}
	found := slices.Clone(st.findings[r.ID])
	switch st.eye[r.ID] {
	case "yes":
		found = append(found, finding{mark: passed})
	case "no":
		found = append(found, finding{mark: failed, text: "the person who watched says that it is not so"})
	}
	worst := noted + 1
	for _, f := range found {
		worst = min(worst, f.mark)
	}
	switch worst {
	case failed:
		c.Status = Failure
		if r.Level == Should || r.Level == ShouldNot || r.Level == May {
			c.Status = Warning
		}
		var texts []string
		for _, f := range found {
			if f.mark == failed && !slices.Contains(texts, f.text) {
				texts = append(texts, f.text)
			}
		}
		c.ErrorMessage = texts[0]
		if len(texts) > 1 {
			c.Logs = texts
		}
	case passed:
		c.Status = Success
		c.Details["occasions"] = len(found)
	case noted:
		c.Status = Info
		for _, f := range found {
			if f.text != "" {
				c.Details["note"] = f.text
			}
		}
	default:
		st.undecided(c, r, final)
	}
}

// undecided is for a requirement of which nothing was seen.
func (st *stage) undecided(c *Check, r Requirement, final bool) {
	reason := st.blocked
	if reason == "" {
		reason = "the conversation did not get there"
	}
	switch {
	case st.lacksHook(r) && len(st.requests) > 0:
		c.Status = Skipped
		c.Details["reason"] = noHook
	case !final:
		c.Status = Info
		c.Details["note"] = "nothing to judge so far"
	default:
		c.Status = Failure
		c.ErrorMessage = "prerequisite missing: " + strings.TrimPrefix(reason, "hostcheck: ")
	}
}

// lacksHook says whether a requirement shows only in what the host does not
// report. The caller holds guard.
func (st *stage) lacksHook(r Requirement) bool {
	return slices.Contains(r.Observed, UI) && !st.hooks[hookFor(r.ID)]
}

// hookFor says what has to be reported for a requirement to be decided.
func hookFor(id string) string {
	switch id {
	case "A12", "A14", "B32", "B33":
		return HookOpened
	case "A34", "P5":
		return HookOutcome
	}
	return HookShown
}
