package redirect

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// A Link is who opens the link of a sign-in.
type Link int

const (
	// Shown is for a link that a host shows to a person: the authorization server's https
	// address, with a pushed request in it if the server takes one, since hosts refuse http. It
	// tells nothing of the person (MCP client/elicitation, "Safe URL handling").
	Shown Link = iota
	// Opened is for a link that this program opens in a browser itself, gives to a person at
	// its own terminal, or has passed on as text: the start page on loopback. It alone keeps
	// somebody else's code out, and it is short, so that it stays in one piece where others are
	// wrapped, cut, or copied by a model.
	Opened
)

// A Kind is what a link came to be.
type Kind string

// The kinds of links; see the package comment for what each protects from.
const (
	Start  Kind = "start"  // the start page
	Pushed Kind = "pushed" // a pushed request (RFC 9126)
	Plain  Kind = "plain"  // the authorization request itself
)

// A Request says what one sign-in is to be.
type Request struct {
	Link Link

	// LoginHint names the account that is to sign in, and Prompt is none, login, consent or
	// select_account, or several (OpenID Connect Core §3.1.2.1). Both are left out of a plain link,
	// which whoever shows it can read.
	LoginHint, Prompt string
}

var prompts = []string{"none", "login", "consent", "select_account", "create"}

// Check says what is wrong with the request, if anything. It quotes nothing.
func (r Request) Check() error {
	for word := range strings.FieldsSeq(r.Prompt) {
		if !slices.Contains(prompts, word) {
			return errors.New("redirect: Prompt has a word that is none of OpenID Connect's")
		}
	}
	switch {
	case r.Link != Shown && r.Link != Opened:
		return errors.New("redirect: unknown Link")
	case len(r.LoginHint) > 256 || !names.Check(r.LoginHint):
		return errors.New("redirect: LoginHint is not at most 256 bytes of printable text")
	}
	return nil
}

// An attempt is one authorization request, and what its answer has to bring.
type attempt struct {
	state    string
	verifier string
	cookie   string // of the browser that began it; empty if the link was shown
	retired  bool   // another one was begun in its place
}

// form returns the parameters of an attempt's authorization request.
func (a *Authorization) form(at *attempt, personal bool) url.Values {
	request := authcode.Request{RedirectURI: a.uri, State: at.state, Verifier: at.verifier, Asked: a.asked}
	if personal {
		request.LoginHint, request.Prompt = a.request.LoginHint, a.request.Prompt
	}
	return request.Form(a.flow.config.Client)
}

// address returns the authorization endpoint with these parameters beside its own.
func (f *Flow) address(form url.Values) string { return authcode.Address(f.endpoint, form) }

// leastRequired is the shortest life of a pushed request that is shown because requests must be pushed:
// less is less than what is usual (RFC 9126 §2.2), and nobody has read the prompt by then.
const leastRequired = 5 * time.Second

// endsTooSoon is the error for a pushed request that nobody could open.
func endsTooSoon() error {
	return &oauth.Error{Op: authcode.Op, Kind: oauth.ErrInvalid, Reason: "the pushed request ends too soon to be opened by anybody"}
}

// push pushes an attempt's request, and returns the address that stands for it, and when it ends,
// which is not yet.
func (a *Authorization) push(ctx context.Context, at *attempt) (string, time.Time, error) {
	pushed, err := a.flow.config.Client.Push(ctx, a.form(at, true))
	if err != nil {
		return "", time.Time{}, err
	}
	if !pushed.Expires.After(time.Now()) {
		return "", time.Time{}, endsTooSoon()
	}
	return a.flow.address(authcode.By(a.flow.config.Client, pushed)), pushed.Expires, nil
}

// setLink makes the link, and the attempt that a shown one is for. A push that is optional
// and fails leaves the plain link: what is wrong, if it is more than that, the server will say.
func (a *Authorization) setLink(ctx context.Context) error {
	config := &a.flow.config
	a.expires = time.Now().Add(config.Life)
	a.until = a.expires
	if a.request.Link == Opened {
		a.kind, a.link = Start, a.startLink()
		return nil
	}
	at := &attempt{state: authcode.NewSecret(), verifier: authcode.NewSecret()}
	a.attempts = append(a.attempts, at)
	if a.flow.endpoints.PushedAuthorization != "" {
		link, expires, err := a.push(ctx, at)
		required, least := a.flow.endpoints.Features.PushedOnly, config.LeastPushed
		if required {
			least = leastRequired
		}
		switch {
		case err == nil && time.Until(expires) >= least:
			a.kind, a.link = Pushed, link
			if expires.Before(a.expires) {
				a.until = minTime(a.until, expires.Add(signing))
				a.expires = expires
			}
			return nil
		case err == nil && required:
			return endsTooSoon()
		case err != nil && (required || ctx.Err() != nil || oauth.RefusesClient(err)): // a plain link would come to the same
			return err
		case err != nil:
			a.tell(authcode.Event{What: authcode.PushFailed, Detail: authcode.Detail(err)})
		default:
			// It is good for the server that nobody uses this one.
			*at = attempt{state: authcode.NewSecret(), verifier: authcode.NewSecret()}
			a.tell(authcode.Event{What: authcode.PushFailed, Detail: "the pushed request ends too soon to be shown, after " + time.Until(expires).Round(time.Second).String()})
		}
	}
	a.kind, a.link = Plain, a.flow.address(a.form(at, false))
	return nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
