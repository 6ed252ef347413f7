package hostcheck

import "slices"

// otherEra says why a conversation did not begin, if the host spoke the protocol of
// the other era, and whether that may be all that it speaks. Empty if it did begin.
func (s *session) otherEra() (why string, alone bool) {
	s.guard.Lock()
	defer s.guard.Unlock()
	strange := slices.ContainsFunc(s.requests, func(c *call) bool { return c.Method == "initialize" || s.protocol == Legacy })
	switch {
	case !strange || s.protocol == Legacy && len(s.peers) > 0:
		return "", false
	case s.protocol == Legacy:
		return "the host does not initialize, and this server speaks " + Legacy, true
	}
	return "the host initializes, and this server speaks " + Modern, !s.spoke()
}

// spoke says whether the host said anything in the protocol of the session. The
// caller holds guard, or nothing runs any more.
func (s *session) spoke() bool {
	if s.protocol == Legacy {
		return len(s.peers) > 0
	}
	return slices.ContainsFunc(s.requests, func(c *call) bool { return c.Method != "initialize" && len(c.Meta) > 0 })
}

// noteEra blocks a session that the host could not take part in, or excuses it.
func (s *session) noteEra() (excuse string) {
	why, alone := s.otherEra()
	switch {
	case why == "":
	case alone:
		s.excuse(why)
		return why
	default:
		s.block(why)
	}
	return ""
}

// reconcile looks at all runs together. A host that speaks one protocol alone, or
// comes over one transport alone, is not blamed for the other one; a host that
// speaks both, and did not in one run, is.
func reconcile(results []Result) {
	speaks, comes := make(map[string]bool), make(map[string]bool)
	for _, r := range results {
		speaks[r.Protocol] = speaks[r.Protocol] || r.spoke
		comes[r.Transport] = comes[r.Transport] || r.reached
	}
	for i := range results {
		r := &results[i]
		if r.excuse != "" && speaks[r.Protocol] {
			r.recant()
		}
		if !comes[r.Transport] && len(comes) > 1 && (comes[Stdio] || comes[HTTP]) {
			r.excuseAll("the host never comes over " + r.Transport + ": it seems not to have it")
		}
	}
}

// recant takes back that the checks of a run were skipped since the host does not
// speak the protocol.
func (r *Result) recant() {
	for i := range r.Checks {
		c := &r.Checks[i]
		if c.Status != Skipped || c.Details["reason"] != r.excuse {
			continue
		}
		q := byID(c.ID)
		if q.elsewhere != "" {
			delete(c.Details, "reason")
			c.Status, c.ErrorMessage = q.Level.violated(), q.elsewhere
			continue
		}
		undecided(c, q.Level, true, r.excuse)
	}
}

// excuseAll skips what was not reached.
func (r *Result) excuseAll(why string) {
	r.Checks = slices.DeleteFunc(r.Checks, func(c Check) bool { return byID(c.ID).Everywhere && c.ID == TaskID })
	for i := range r.Checks {
		if c := &r.Checks[i]; !c.Reached() {
			c.ErrorMessage = ""
			delete(c.Details, "untestable")
			skip(c, why)
		}
	}
}
