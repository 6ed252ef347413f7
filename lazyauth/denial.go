package lazyauth

import (
	"errors"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// MetaDenial is the key in a result's _meta of the envelope that [Options].ExperimentalDenials
// adds: an object with "reason", "remediation" and, on a prompt, "remediationHints". Experimental:
// it follows SEP-2643 (Structured Authorization Denials), a draft, as it was reviewed in
// September 2026.
const MetaDenial = "io.modelcontextprotocol/authorization"

// What an envelope says of how the denial can be remedied.
const (
	remedyAvailable   = "available"   // the result says how
	remedyUnavailable = "unavailable" // it cannot, by this caller
	remedyUndisclosed = "undisclosed" // the envelope does not say; the text does
)

// envelope returns an envelope with these hints.
func envelope(remediation string, hints ...string) map[string]any {
	e := map[string]any{"reason": "insufficient_authorization", "remediation": remediation}
	if len(hints) > 0 {
		var list []any
		for _, hint := range hints {
			list = append(list, map[string]any{"type": hint})
		}
		e["remediationHints"] = list
	}
	return e
}

// remediation is what the envelope of a failed result says, empty if there is none. A failed result
// is never "available": to the draft that is a result with a hint by which the client itself gets
// another credential, and here the credentials are the server's.
func (r Reason) remediation() string {
	switch r {
	case ReasonExceeded, ReasonUnsupported, ReasonAnonymous, ReasonBarred:
		return remedyUnavailable
	case ReasonPending, ReasonDeclined, ReasonDenied, ReasonExpired, ReasonNarrowed,
		ReasonUnverified, ReasonUnavailable, ReasonBusy, ReasonAbandoned:
		return remedyUndisclosed
	case ReasonUndetermined: // is about the arguments
	}
	return ""
}

// denial returns err as that of a call whose handler has not begun, and never will. The
// envelope is a promise that nothing was done, and so no other error has it.
func denial(i *Interceptor, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !i.options.ExperimentalDenials {
		return err
	}
	denied := *e
	denied.denies = true
	return &denied
}

// denialOf is denial for the error of a request that has not reached a call: the call that a
// retry is for may have begun.
func denialOf(i *Interceptor, req *mcp.CallToolRequest, err error) error {
	if req.Params.RequestState != "" {
		return err
	}
	return denial(i, err)
}

// denies adds the envelope to a prompt for a call whose handler has not begun.
func denies(i *Interceptor, prompt *mcp.CallToolResult) {
	if !i.options.ExperimentalDenials {
		return
	}
	if prompt.Meta == nil {
		prompt.Meta = make(mcp.Meta)
	}
	prompt.Meta[MetaDenial] = envelope(remedyAvailable, "url")
}
