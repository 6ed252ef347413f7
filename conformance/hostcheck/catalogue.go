package hostcheck

import (
	"slices"
	"strings"
)

// site is where the specification is published.
const site = "https://modelcontextprotocol.io"

// profilePage is where the lazy-auth profile is written down.
const profilePage = "https://github.com/lazyauth/mcp-lazyauth/blob/main/docs/hostcheck.md#the-lazy-auth-profile"

// catalogue is everything that a host must, should or may do, whether a scenario
// decides it or not. Where several are judged at the same moment, it is in this
// order.
var catalogue []Requirement

// The requirements mention what judges them, and that mentions the catalogue.
func init() {
	catalogue = slices.Concat(wires, sessional, identity, declaring, beginning, showing, navigation, consent, forms, limits, retrying, mirrors, patience, cancelling, notices, robustness, authorization)
}

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

// section refers to a heading of a page of the specification, as in
// "client/elicitation#capabilities".
func section(revision, page string) Reference {
	return Reference{ID: "MCP " + revision + " " + page, URL: site + "/specification/" + revision + "/" + page}
}

// in returns the requirement's reference for a run in one protocol over one
// transport: most of what the older revision says of elicitation stands in the newer
// one under the same heading. What the newer one has first is not in the older one.
func (r Requirement) in(protocol, transport string) Reference {
	if transport == HTTP && r.overHTTP != (Reference{}) {
		return r.overHTTP
	}
	if r.Revision != Legacy || protocol == Legacy {
		return r.Section
	}
	if r.newer != (Reference{}) {
		return r.newer
	}
	return Reference{
		ID:  strings.ReplaceAll(r.Section.ID, r.Revision, protocol),
		URL: strings.ReplaceAll(r.Section.URL, "/"+r.Revision+"/", "/"+protocol+"/"),
	}
}

// appliesTo says whether the requirement binds in that protocol and transport.
func (r Requirement) appliesTo(protocol, transport string) bool {
	return slices.Contains(r.eras, protocol) && (r.transport == "" || r.transport == transport)
}

// source is where the requirement comes from.
func (r Requirement) source() *Source {
	switch {
	case r.Revision == profile:
		return &Source{ExtensionID: ProfileID}
	case !slices.Contains(r.eras, Modern):
		return &Source{IntroducedIn: Legacy, RemovedIn: Modern}
	}
	return &Source{IntroducedIn: r.eras[0]}
}

// profile is the revision of what this project asks beyond the specification.
const profile = "profile"

// profileSection refers to the lazy-auth profile.
func profileSection(id string) Reference {
	return Reference{ID: "lazy-auth profile " + id, URL: profilePage}
}

// The sets of observations that occur.
var (
	onWire       = []Observation{Wire}
	inUI         = []Observation{UI}
	wireAndUI    = []Observation{Wire, UI}
	uiAndCanary  = []Observation{UI, Canary}
	atCanary     = []Observation{Canary}
	wireAndVisit = []Observation{Wire, Canary}
)
