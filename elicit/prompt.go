package elicit

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Prompt is what a person needs to know to authorize a service: RFC 8628
// §3.3 asks for the verification URI and the user code. It holds nothing that
// could be used in the person's stead: no device code and no token.
//
// The user code must not be logged: whoever reads it before it is used can
// bind their own account to the call. Formatting leaves it out, and so does
// JSON.
type Prompt struct {
	// Service is the name of the service, as the server's author gives it.
	Service string
	// Account names the person's account that is asked for, where they have several.
	Account string
	// URL is the verification URI. It holds no user code.
	VerificationURI string `json:"-"`
	// Complete is the verification URI with the user code in it, for authors
	// who asked for that; otherwise it is empty.
	VerificationURIComplete string `json:"-"`
	// UserCode is the code to enter at URL. It is empty where somebody is told
	// only that the sign-in is under way.
	UserCode string `json:"-"`
	// Scopes is what the authorization is asked for.
	Scopes scopes.Set
	// Access says the same in words, one for each scope in their order, where the
	// author gives such words.
	Access []string
	// Held is what the person has given already, where more is needed now: what else
	// there is in Scopes is new to them. It is empty at a first sign-in.
	Held scopes.Set
	// HeldAccess says the same in words, as Access does.
	HeldAccess []string
	// Expires is when the code stops working.
	Expires time.Time
}

// Hidden returns p without the code and the links, for progress messages to
// those who wait for a prompt that others were shown.
func (p Prompt) Hidden() Prompt {
	p.VerificationURI, p.VerificationURIComplete, p.UserCode = "", "", ""
	return p
}

// Domain returns the host of the prompt's URL, which the person should
// recognise before they open it (MCP client/elicitation, "Safe URL handling").
func (p Prompt) Domain() string {
	u, err := url.Parse(p.VerificationURI)
	if err != nil {
		return ""
	}
	return u.Host
}

// String describes the prompt for logs, without the code.
func (p Prompt) String() string {
	return fmt.Sprintf("prompt for %s at %s", p.Service, p.Domain())
}

// Format writes what String does, whatever the verb: what fmt makes of a verb that is not
// meant for text would have the code in it.
func (p Prompt) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, p.String()) }

// A Wording puts a prompt into words, for the person's language or in an author's
// own terms. What it returns is used as it is if it has the prompt's user code in it,
// and otherwise, as when it returns "", the built-in English is. It is called with
//
//   - [URL]: the message beside a link that the host shows by itself;
//   - [Form]: the message of a form without fields. It names the address, but not as
//     a link, which forms must not have (MCP client/elicitation, "Safe URL handling");
//   - [Progress]: a progress message, again and again, with address and code; and with a
//     [Prompt.Hidden] one where others were shown the prompt;
//   - [Text]: the result of a call, for a model to pass on: the shorter the better, since
//     long instructions in a tool result read like an attack on it.
type Wording func(Channel, Prompt) string

// Say returns the text for the channel. A nil Wording speaks English.
func (w Wording) Say(c Channel, p Prompt) string {
	if w != nil {
		if said := w(c, p); said != "" && strings.Contains(said, p.UserCode) {
			return said
		}
	}
	switch c {
	case URL:
		return fmt.Sprintf("Sign in to %s at %s with the code %s.%s The code is valid for %s. The call continues by itself once you have approved.",
			p.what(), p.Domain(), p.UserCode, p.asksFor(), p.left())
	case Form:
		// Accepting a form closes it, and with it goes the code; in the newer era the
		// call does not go on without an answer, whatever was approved.
		return fmt.Sprintf("To sign in to %s, open %s in your browser and enter the code %s.%s The code is valid for %s. Leave this open until you have approved there, then accept, and the call continues.",
			p.what(), p.address(), p.UserCode, p.asksFor(), p.left())
	case Progress:
		if p.UserCode == "" {
			return fmt.Sprintf("Waiting for the sign-in to %s.", p.what())
		}
		return fmt.Sprintf("Sign in to %s: open %s and enter the code %s (valid for %s).%s", p.what(), p.VerificationURI, p.UserCode, p.left(), p.asksFor())
	default:
		return fmt.Sprintf("Sign-in to %s needed%s: open %s and enter the code %s (valid for %s), then call this tool again.",
			p.what(), p.forMore(), p.VerificationURI, p.UserCode, p.left())
	}
}

// what names the service, and the account if there is one to name.
func (p Prompt) what() string {
	if p.Account == "" {
		return p.Service
	}
	return fmt.Sprintf(`%s (account "%s")`, p.Service, names.Show(p.Account)) //nolint:gocritic // %q would escape what scripts need
}

// asksFor returns a sentence, with a blank before it, or nothing.
func (p Prompt) asksFor() string {
	if added, held := p.added(); added != "" {
		return " It needs more access: " + added + "; you gave " + held + "."
	}
	if access := inWords(p.Scopes, p.Access); len(access) > 0 {
		return " It asks for: " + strings.Join(access, ", ") + "."
	}
	return ""
}

// forMore is asksFor for a sentence that goes on: what is new, or nothing.
func (p Prompt) forMore() string {
	if added, held := p.added(); added != "" {
		return " for more access (" + added + "; given so far: " + held + ")"
	}
	return ""
}

// added returns what is new to a person who has given something already, and what they
// gave; nothing at a first sign-in, or where nothing is new.
func (p Prompt) added() (added, held string) {
	if p.Held.IsEmpty() {
		return "", ""
	}
	var access []string
	words := inWords(p.Scopes, p.Access)
	for scope := range p.Scopes.All() {
		if !p.Held.Covers(scopes.Of(scope)) {
			access = append(access, words[0])
		}
		words = words[1:]
	}
	return strings.Join(access, ", "), strings.Join(inWords(p.Held, p.HeldAccess), ", ")
}

// inWords returns words for the scopes of set, one for each: those that are given, or else
// the scopes themselves.
func inWords(set scopes.Set, words []string) []string {
	if len(words) == set.Len() {
		return words
	}
	return slices.Collect(set.All())
}

// address returns the URL as people type it, which is no link.
func (p Prompt) address() string {
	_, rest, _ := strings.Cut(p.VerificationURI, "://")
	return rest
}

// left returns the time that the code still works, to the nearest minute.
func (p Prompt) left() string {
	switch left := time.Until(p.Expires); {
	case left < time.Minute:
		return fmt.Sprintf("%d seconds", max(0, int(left.Seconds())))
	case left < 90*time.Second:
		return "1 minute"
	default:
		return fmt.Sprintf("%d minutes", int(left.Round(time.Minute).Minutes()))
	}
}
