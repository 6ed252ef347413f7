package lazyauth

import (
	"errors"
	"maps"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// errorResult returns err as the result of req, for where the SDK does not.
func errorResult(req *mcp.CallToolRequest, err error) *mcp.CallToolResult {
	result := new(mcp.CallToolResult)
	if asking.Modern(req.Params.Meta) {
		result = complete()
	}
	result.SetError(err)
	markReason(result)
	return result
}

// markReason completes a failed result whose error is, or wraps, an [*Error]: its
// reason goes into _meta, and its text, or the prompt if the host can show it in
// no other way, takes the place of what was there.
func markReason(result mcp.Result) {
	r, ok := result.(*mcp.CallToolResult)
	if !ok || r == nil {
		return
	}
	if e, ok := errors.AsType[*Error](r.GetError()); ok {
		text := e.resultText() // without what a handler or an HTTP client wrapped around it
		if own, ok := errors.AsType[*reworded](r.GetError()); ok {
			text = own.text + " " + text
		}
		r.Content = []mcp.Content{&mcp.TextContent{Text: text}}
		r.Meta = e.meta(r.Meta)
	}
}

// resultText is what the model reads in a result: the text, or the prompt in its place or
// after it, if the host can show that in no other way.
func (e *Error) resultText() string {
	switch {
	case e.prompt == nil:
		return e.Error()
	case e.Reason == ReasonPending:
		return e.wording.Say(elicit.Text, *e.prompt)
	default:
		return e.Error() + " " + e.wording.Say(elicit.Text, *e.prompt)
	}
}

// meta is what a result's _meta says of the error, beside what it says already.
func (e *Error) meta(other mcp.Meta) mcp.Meta {
	meta := mcp.Meta{MetaReason: string(e.Reason)}
	if e.Required != nil {
		meta[MetaRequired], meta[MetaHeld] = e.Required.String(), e.Held.String()
	}
	if remediation := e.Reason.remediation(); e.denies && remediation != "" {
		meta[MetaDenial] = envelope(remediation)
	}
	maps.Copy(meta, other)
	return meta
}

// A reworded error is what a handler made of an [*Error] whose prompt belongs into the
// call's result: a text of its own, without the error.
type reworded struct {
	text string // the handler's
	lost *Error
}

func (r *reworded) Error() string { return r.text }

func (r *reworded) Unwrap() error { return r.lost }

// into returns what a handler returned that was given e, with e's prompt in it if it failed.
// It may have returned that error, wrapped or as a text of its own, or a failed result:
// the model has to get link and code all the same, or the person never does. What succeeded
// without the grant is left alone. A nil e changes nothing.
func (e *Error) into(result *mcp.CallToolResult, err error) (*mcp.CallToolResult, error) {
	switch {
	case e == nil:
	case err != nil:
		return result, e.reworded(err)
	case result != nil && result.IsError:
		copied := *result // the handler may return one for all calls
		if own := result.GetError(); own != nil {
			copied.SetError(e.reworded(own))
		} else {
			copied.Content = append(slices.Clip(copied.Content), &mcp.TextContent{Text: e.resultText()})
			copied.Meta = e.meta(copied.Meta)
		}
		result = &copied
	}
	return result, err
}

// withoutPrompt returns e for a host that can show the prompt in a better way than by its
// model. What an author lets models have after a decline stays.
func (e *Error) withoutPrompt() *Error {
	if e == nil || e.Reason != ReasonPending {
		return e
	}
	copied := *e
	copied.prompt = nil
	return &copied
}

// promptErrorIn returns the error in what a handler returned whose prompt goes with it, or nil.
func promptErrorIn(result *mcp.CallToolResult, err error) *Error {
	if err == nil && result != nil {
		err = result.GetError()
	}
	if e, ok := errors.AsType[*Error](err); ok && e.prompt != nil {
		return e
	}
	return nil
}

// reworded returns err as it is if it has the prompt of an [*Error], and otherwise with
// that of e.
func (e *Error) reworded(err error) error {
	if found, ok := errors.AsType[*Error](err); ok && found.prompt != nil {
		return err
	}
	return &reworded{text: err.Error(), lost: e}
}
