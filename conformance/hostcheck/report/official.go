package report

import (
	"maps"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// officially names the checks as the official suite does where it makes them, too; what
// they are here is in metadata.hostcheck. A check that is several of its checks in one
// becomes all of them, unless it is violated: which of them is violated is not known then,
// and it keeps its name. Several checks that are one of its get the same name, of which
// its tools take the worst.
func officially(checks []hostcheck.Check) []hostcheck.Check {
	var out []hostcheck.Check
	for _, c := range checks {
		ids, _ := c.Metadata["official"].([]string)
		violated := c.Reached() && (c.Status == hostcheck.Failure || c.Status == hostcheck.Warning)
		if len(ids) == 0 || len(ids) > 1 && violated {
			out = append(out, c)
			continue
		}
		for _, id := range ids {
			named := c
			named.ID, named.Metadata = id, maps.Clone(c.Metadata)
			named.Metadata["hostcheck"] = c.ID
			out = append(out, named)
		}
	}
	return out
}
