package fakeas

import (
	"net/url"
	"slices"
	"strings"
)

// missing returns the name of a parameter that [Options.Demand] asks for and a
// request does not have; empty if there is none.
func (o *settings) missing(op Operation, params url.Values) string {
	for _, wanted := range o.Demand[op] {
		name, value, exact := strings.Cut(wanted, "=")
		if params.Get(name) == "" || exact && !slices.Contains(params[name], value) {
			return name
		}
	}
	return ""
}

// demands reports whether a parameter is asked for.
func (o *settings) demands(op Operation, name string) bool {
	return slices.ContainsFunc(o.Demand[op], func(wanted string) bool {
		asked, _, _ := strings.Cut(wanted, "=")
		return asked == name
	})
}

// codeForMissing is the error for a missing parameter (RFC 8707 §2 has one of
// its own).
func codeForMissing(name string) string {
	if name == "resource" {
		return "invalid_target"
	}
	return "invalid_request"
}
