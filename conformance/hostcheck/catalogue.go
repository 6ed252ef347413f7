package hostcheck

import (
	"slices"
	"strings"
)

// site is where the specification is published.
const site = "https://modelcontextprotocol.io"

// profilePage is where the lazy-auth profile is written down.
const profilePage = "https://github.com/lazyauth/mcp-lazyauth/blob/main/docs/hostcheck.md#the-lazy-auth-profile"

// catalogue is everything that a host must, should or may do, whether a
// scenario decides it or not.
var catalogue = slices.Concat(legacyRequirements, modernRequirements, profileRequirements)

// byID finds a requirement; the zero Requirement if there is none.
func byID(id string) Requirement {
	for _, r := range catalogue {
		if r.ID == id {
			return r
		}
	}
	return Requirement{}
}

// Coverage counts the requirements that show on the wire, and those of them
// that a scenario decides.
func Coverage() (implemented, observable int) {
	for _, r := range catalogue {
		if !slices.Contains(r.Observed, Wire) {
			continue
		}
		observable++
		if r.Reason == "" {
			implemented++
		}
	}
	return implemented, observable
}

// ofRevision says which revision the requirements are of.
func ofRevision(revision string, rs []Requirement) []Requirement {
	for i := range rs {
		rs[i].Revision = revision
	}
	return rs
}

// section refers to a heading of a page of the specification, as in
// "client/elicitation#capabilities".
func section(revision, page string) Reference {
	return Reference{ID: "MCP " + revision + " " + page, URL: site + "/specification/" + revision + "/" + page}
}

// in returns the requirement's reference for a run in one protocol: most of
// what the older revision says of elicitation stands in the newer one under
// the same heading.
func (r Requirement) in(protocol string) Reference {
	if r.Revision == "profile" || protocol == r.Revision {
		return r.Section
	}
	return Reference{
		ID:  strings.ReplaceAll(r.Section.ID, r.Revision, protocol),
		URL: strings.ReplaceAll(r.Section.URL, "/"+r.Revision+"/", "/"+protocol+"/"),
	}
}

// appliesTo says whether the requirement binds in that protocol and transport.
func (r Requirement) appliesTo(protocol, transport string) bool {
	if t, ok := only[r.ID]; ok && t != transport {
		return false
	}
	switch r.Revision {
	case Legacy:
		return protocol == Legacy || slices.Contains(carriedOver, r.ID)
	case Modern:
		return protocol == Modern || slices.Contains(bothEras, r.ID)
	}
	switch r.ID {
	case "P8", "P12", "P13": // about round trips
		return protocol == Modern
	case "P11": // a call is under way while the person reads
		return protocol == Legacy
	}
	return true
}

// carriedOver are the requirements of the older revision that stand in the
// newer one unchanged.
var carriedOver = []string{
	"A3", "A4", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A17", "A22", "A34",
}

// bothEras are the requirements of the newer revision that are decided in the
// older one as well: how to find out which one a server speaks, and rules about
// URLs that are published for both.
var bothEras = []string{"B21", "B32", "B33"}

// only are the requirements that bind on one transport.
var only = map[string]string{
	"A30": HTTP, "A31": HTTP, "A32": HTTP,
	"B17": HTTP, "B18": Stdio, "B21": Stdio, "B22": Stdio,
	"B23": HTTP, "B24": HTTP, "B25": HTTP, "B26": HTTP,
}

// The three sets of observations that occur.
var (
	onWire       = []Observation{Wire}
	inUI         = []Observation{UI}
	wireAndUI    = []Observation{Wire, UI}
	uiAndCanary  = []Observation{UI, Canary}
	atCanary     = []Observation{Canary}
	wireAndVisit = []Observation{Wire, Canary}
)
