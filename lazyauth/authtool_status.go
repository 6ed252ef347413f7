package lazyauth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// grantStatus is what auth tools say of somebody's access.
type grantStatus struct {
	Service    string   `json:"service" jsonschema:"what the access is to"`
	SignedIn   bool     `json:"signed_in" jsonschema:"tools can use it without asking the user"`
	Account    string   `json:"account,omitempty" jsonschema:"which of the user's accounts, where calls name one"`
	As         string   `json:"as,omitempty" jsonschema:"by what name the service knows who signed in"`
	Scopes     []string `json:"held_scopes" jsonschema:"what was granted, of what this server knows"`
	Expires    string   `json:"expires,omitempty" jsonschema:"when the access ends; absent if that is not known"`
	Renewable  bool     `json:"renewable" jsonschema:"it is renewed without asking the user"`
	Unattended bool     `json:"unattended" jsonschema:"this server gets it for its caller by itself, and nobody signs in"`
	ByOperator bool     `json:"by_operator" jsonschema:"it comes from this server's operator, and nobody signs in"`
}

// statusOutput is the structured content of what status returns.
type statusOutput struct {
	grantStatus
	Pending  bool          `json:"pending" jsonschema:"the user was asked, and has not finished"`
	Accounts []grantStatus `json:"accounts,omitempty" jsonschema:"the user's accounts, where calls name one"`
}

func (t *authTools) statusTool() *mcp.Tool {
	closed := false
	return &mcp.Tool{
		Name:         t.options.Status,
		Title:        "Sign-in to " + t.auth.service.Name,
		Description:  fmt.Sprintf("Tell whether the user is signed in to %s, as whom, and what they have granted. Asks nobody and changes nothing.", t.auth.service.Name),
		InputSchema:  object(nil),
		OutputSchema: outputSchema[statusOutput](),
		Annotations:  &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed},
	}
}

// status implements the tool.
func (t *authTools) status(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	p, s, err := t.auth.person(ctx, req)
	if err != nil {
		return errorResult(req, err), nil
	}
	g, err := p.Look(ctx)
	if err != nil {
		return errorResult(req, t.unread(ctx, p, err)), nil
	}
	own := t.statusOf(p.Who(), g)
	if s != nil && !own.SignedIn { // that of this very bearer token, which may be good for less than another
		own = t.statusOf(p.Who(), s.person.Grant())
		own.SignedIn, own.Unattended = true, true // the first call gets it
	}
	out := statusOutput{grantStatus: own, Pending: p.IsBeingAsked()}
	text := []string{t.inWords(out)}
	if t.auth.argument != "" {
		if out.Accounts, err = t.accounts(ctx, p.Who()); err != nil {
			return errorResult(req, err), nil
		}
		for _, other := range out.Accounts {
			if other.Account != own.Account {
				text = append(text, "Another account: "+other.sentence())
			}
		}
	}
	return structured(strings.Join(text, " "), out), nil
}

// accounts returns what access the person has, with each of their accounts: what they signed in to.
func (t *authTools) accounts(ctx context.Context, who grants.Principal) ([]grantStatus, error) {
	all, err := t.auth.Accounts(ctx)
	if err != nil {
		return nil, t.unread(ctx, t.auth.personOf(Principal(who)), err)
	}
	var out []grantStatus
	for _, other := range all {
		if other.Issuer != who.Issuer || other.Subject != who.Subject {
			continue
		}
		p := t.auth.personOf(other)
		g, err := p.Look(ctx)
		if err != nil {
			return nil, t.unread(ctx, p, err)
		}
		out = append(out, t.statusOf(grants.Principal(other), g))
	}
	return out, nil
}

// unread is the error of a status that cannot be had. Where a store is, and what is wrong with
// it, is for the operator.
func (t *authTools) unread(ctx context.Context, p *asking.Person, err error) error {
	e := t.auth.explain(err, nil, nil, nil)
	if _, ours := e.(*Error); ours { //nolint:errorlint // as explain returns it
		return e
	}
	t.auth.observer.StoreFailed(ctx, p.Owner, err)
	return told(fmt.Sprintf("The store that keeps this server's access to %s cannot be read; the server's log says more.", t.auth.service.Name))
}

// statusOf returns what is known of a grant, which may be nil. What a server wrote is left out but
// for the name of who signed in.
func (t *authTools) statusOf(who grants.Principal, g *grants.Grant) grantStatus {
	s := grantStatus{Service: t.auth.service.Name, Account: who.Account, Scopes: []string{}}
	if g == nil {
		return s
	}
	s.SignedIn, s.As, s.Scopes = lasts(g), g.Identity().Name, namesOf(g.Known())
	s.Renewable, s.ByOperator, s.Unattended = g.Renewable(), g.Operators(), g.Source() != ""
	if expiry := g.Token().Expiry; !expiry.IsZero() {
		s.Expires = expiry.UTC().Format(time.RFC3339)
	}
	return s
}

// inWords is what the model reads.
func (t *authTools) inWords(s statusOutput) string {
	switch {
	case s.ByOperator, s.SignedIn:
		return s.sentence()
	case s.Pending:
		return fmt.Sprintf("%s The user was asked, and has not finished yet: %s", s.sentence(), t.callAgain())
	case t.options.has(t.options.Login):
		return fmt.Sprintf("%s Call %s to ask the user, or a tool that needs it.", s.sentence(), t.options.Login)
	default:
		return s.sentence() + " Tools that need it ask the user when they are called."
	}
}

func (t *authTools) callAgain() string {
	if t.options.has(t.options.Login) {
		return fmt.Sprintf("call %s to wait for that.", t.options.Login)
	}
	return "a call of a tool that needs it waits for that."
}

// sentence says how it stands.
func (s grantStatus) sentence() string {
	switch {
	case s.Unattended:
		return fmt.Sprintf("This server gets access to %s for its caller by itself, and nobody needs to sign in.", s.Service)
	case s.ByOperator:
		return fmt.Sprintf("This server's operator has configured a token for %s, and nobody needs to sign in.", s.Service)
	case !s.SignedIn && s.As != "":
		return fmt.Sprintf("The sign-in to %s%s has ended.", s.Service, s.by())
	case !s.SignedIn:
		return fmt.Sprintf("Not signed in to %s%s.", s.Service, quoted(", account ", s.Account))
	}
	return fmt.Sprintf("Signed in to %s%s.%s%s", s.Service, s.by(), s.granted(), s.until())
}

// by says who signed in, and with which account.
func (s grantStatus) by() string { return quoted(" as ", s.As) + quoted(", account ", s.Account) }

// granted is a sentence, with a blank before it.
func (s grantStatus) granted() string {
	if len(s.Scopes) == 0 {
		return ""
	}
	return fmt.Sprintf(" Granted: %s.", strings.Join(s.Scopes, ", "))
}

func (s grantStatus) until() string {
	switch {
	case s.Renewable:
		return " It is renewed without asking."
	case s.Expires != "":
		return fmt.Sprintf(" It ends at %s.", s.Expires)
	}
	return ""
}
