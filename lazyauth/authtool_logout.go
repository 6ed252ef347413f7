package lazyauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// logoutOutput is the structured content of what logout returns.
type logoutOutput struct {
	Service string `json:"service" jsonschema:"what the access was to"`
	Account string `json:"account,omitempty" jsonschema:"which of the user's accounts, where calls name one"`
	As      string `json:"as,omitempty" jsonschema:"by what name the service knows who was signed in"`
	Was     bool   `json:"was_signed_in" jsonschema:"false: there was nothing to do"`
	Revoked bool   `json:"revoked" jsonschema:"the authorization server has said that it ended the access; otherwise it may be good elsewhere until it expires"`
}

func (t *authTools) logoutTool() *mcp.Tool {
	destructive := true
	return &mcp.Tool{
		Name:  t.options.Logout,
		Title: "Log out of " + t.auth.service.Name,
		Description: fmt.Sprintf("Log the user out of %s: what they granted this server is forgotten, and its authorization server is told to end it, which may end the access of other programs, too."+
			" Call it only if the user wants that. Nobody is asked.", t.auth.service.Name),
		InputSchema:  object(nil),
		OutputSchema: outputSchema[logoutOutput](),
		Annotations:  &mcp.ToolAnnotations{DestructiveHint: &destructive, IdempotentHint: true},
	}
}

// logout implements the tool.
func (t *authTools) logout(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	auth := t.auth
	p, s, err := auth.person(ctx, req)
	if err != nil {
		return errorResult(req, err), nil
	}
	g, unread := p.Look(ctx)
	before := t.statusOf(p.Who(), g)
	if before.ByOperator {
		return errorResult(req, told(fmt.Sprintf("This server's operator has configured a token for %s, which nobody can log out of here.", before.Service))), nil
	}
	if s != nil && g == nil && unread == nil {
		return errorResult(req, told(fmt.Sprintf("This server gets access to %s for its caller by itself: there is no sign-in to log out of.", before.Service))), nil
	}
	err = auth.Revoke(ctx, Principal(p.Who())) // also where it cannot be read
	if err != nil {
		auth.observer.failed(ctx, p.Who(), req.Params.Name, ReasonUnavailable, err)
	}
	left, failed := p.Look(context.WithoutCancel(ctx))
	if failed != nil && err == nil {
		auth.observer.StoreFailed(ctx, p.Owner, failed)
	}
	if left != nil || failed != nil { // which is for the operator; the model reads what it means
		return errorResult(req, told(fmt.Sprintf("The user was logged out of %s, but their access could not be taken out of the store, and may be used again when this server is started anew; the server's log says more.", before.Service))), nil //nolint:nilerr // a result of the tool, for the model
	}
	out := logoutOutput{Service: before.Service, Account: before.Account, As: before.As, Was: g != nil || unread != nil, Revoked: g != nil && err == nil}
	return structured(out.text(err), out), nil
}

// text is what the model reads.
func (o logoutOutput) text(err error) string {
	whose := grantStatus{Account: o.Account, As: o.As}.by()
	switch {
	case !o.Was:
		return fmt.Sprintf("Not signed in to %s%s: there was nothing to do.", o.Service, whose)
	case err == nil:
		return fmt.Sprintf("Logged out of %s%s. What the user had granted was forgotten here, and its authorization server has ended it.", o.Service, whose)
	case errors.Is(err, ErrNotRevoked):
		return fmt.Sprintf("Logged out of %s%s: what the user had granted was forgotten here. Its authorization server did not say that it ended it, so that it may be good until it expires; the user can end it in their settings at %[1]s.", o.Service, whose)
	default:
		return fmt.Sprintf("Logged out of %s%s: what the user had granted was forgotten here. Something went wrong beside that; the server's log says more.", o.Service, whose)
	}
}
