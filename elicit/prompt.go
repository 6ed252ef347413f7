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

// A Prompt is what a person needs to know to authorize a service: a link, and in the device
// flow (RFC 8628 §3.3) a user code to be entered there. It holds nothing that could be used
// in the person's stead: no device code and no token.
//
// Neither code nor link must be logged: whoever reads them before they are used can try to
// bind their own account to the call. Formatting leaves them out, and so does JSON.
type Prompt struct {
	// Service is the name of the service, as the server's author gives it.
	Service string
	// Account names the person's account that is asked for, where they have several.
	Account string
	// VerificationURI is where the person goes. In the device flow it is the verification
	// URI, and holds no user code. In the redirect flow it is the authorization request
	// (RFC 6749 §4.1.1), or a page of this program that leads there; unless it works Anywhere, it works
	// only in a browser on this machine, and the request is long.
	VerificationURI string `json:"-"`
	// VerificationURIComplete is the verification URI with the user code in it, for authors
	// who asked for that; otherwise it is empty.
	VerificationURIComplete string `json:"-"`
	// UserCode is the code to enter at VerificationURI. It is empty in the redirect flow.
	UserCode string `json:"-"`
	// Anywhere says of a link without a code that it works in any browser: it is a page of this program's own, at
	// its public address.
	Anywhere bool
	// Opened says that this program has opened the link in a browser by itself.
	Opened bool
	// Instead says that the prompt takes the place of one whose link works only on this
	// machine, where no browser came back: this one works in any browser.
	Instead bool
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
	// Expires is when code and link stop working.
	Expires time.Time
}

// Hidden returns p without the code and the links, for progress messages to
// those who wait for a prompt that others were shown. Nothing else has neither.
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
// own terms. What it returns is used as it is if it has the prompt's user code in it, or, of a
// prompt without one, in progress messages and text, the link; otherwise, as when it returns
// "", the built-in English is. It is called with
//
//   - [URL]: the message beside a link that the host shows by itself;
//   - [Form]: the message of a form without fields. It names the address, but not as
//     a link, which forms must not have (MCP client/elicitation, "Safe URL handling").
//     Prompts without a code, whose link nobody can type, are shown in no form;
//   - [Progress]: a progress message, again and again, with address and code, or the link;
//     with a [Prompt.Hidden] one where others were shown the prompt; and with one that was
//     Opened, which needs neither;
//   - [Text]: the result of a call, for a model to pass on: the shorter the better, since
//     long instructions in a tool result read like an attack on it.
type Wording func(Channel, Prompt) string

// Say returns the text for the channel. A nil Wording speaks English.
func (w Wording) Say(c Channel, p Prompt) string {
	if w != nil {
		if said := w(c, p); said != "" && strings.Contains(said, p.mustHave(c)) {
			return said
		}
	}
	if p.UserCode == "" {
		return p.sayLink(c)
	}
	switch c {
	case URL:
		return fmt.Sprintf("Sign in to %s at %s with the code %s%s.%s The code is valid for %s. The call continues by itself once you have approved.",
			p.what(), p.Domain(), p.UserCode, p.anywhere(), p.asksFor(), p.left())
	case Form:
		// Accepting a form closes it, and with it goes the code; in the newer era the
		// call does not go on without an answer, whatever was approved.
		return fmt.Sprintf("To sign in to %s, open %s in your browser and enter the code %s%s.%s The code is valid for %s. Leave this open until you have approved there, then accept, and the call continues.",
			p.what(), p.address(), p.UserCode, p.anywhere(), p.asksFor(), p.left())
	case Progress:
		// The first line is all that Gemini CLI 0.61 shows, which in a terminal of 80 columns are
		// 72 characters: it has what the person cannot do without.
		return fmt.Sprintf("Enter the code %s at %s to sign in to %s%s (valid for %s).%s", p.UserCode, p.VerificationURI, p.what(), p.anywhere(), p.left(), p.asksFor())
	default:
		return fmt.Sprintf("Sign-in to %s needed%s: open %s and enter the code %s%s (valid for %s), then call this tool again.",
			p.what(), p.forMore(), p.VerificationURI, p.UserCode, p.anywhere(), p.left())
	}
}

// mustHave is what a text for the channel is of no use without.
func (p Prompt) mustHave(c Channel) string {
	if p.UserCode == "" && (c == Text || c == Progress && !p.Opened) {
		return p.VerificationURI // which a hidden one has not
	}
	return p.UserCode
}

// sayLink is what a prompt without a code says in English. In a text the link stands alone on a
// line: it may be long, and what follows it would be taken for a part of it. A progress message
// begins with it, as one with a code does with that.
func (p Prompt) sayLink(c Channel) string {
	switch {
	case c == Progress && p.Opened:
		return fmt.Sprintf("A browser window was opened to sign in to %s.%s The call continues by itself once you have approved.", p.what(), p.asksFor())
	case p.VerificationURI == "":
		return fmt.Sprintf("Waiting for the sign-in to %s.", p.what())
	case c == Progress:
		return fmt.Sprintf("Open %s to sign in to %s%s (valid for %s).%s", p.VerificationURI, p.what(), p.here(", "), p.left(), p.asksFor())
	case c == Text && p.Opened:
		return fmt.Sprintf("Sign-in to %s needed%s: a browser window was opened for it. When the user has signed in there, call this tool again. If there is no such window, they can open this link in a browser on the machine where this server runs (valid for %s):\n%s",
			p.what(), p.forMore(), p.left(), p.VerificationURI)
	case c == Text:
		return fmt.Sprintf("Sign-in to %s needed%s: open the link below%s (valid for %s), then call this tool again.\n%s",
			p.what(), p.forMore(), p.here(" "), p.left(), p.VerificationURI)
	default:
		return fmt.Sprintf("Sign in to %s at %s.%s The link is valid for %s%s. The call continues by itself once you have approved.",
			p.what(), p.Domain(), p.asksFor(), p.left(), p.here(", "))
	}
}

// here says of a link which browser it works in, if not in any.
func (p Prompt) here(before string) string {
	if p.Anywhere {
		return ""
	}
	return before + "in a browser on the machine where this server runs"
}

// anywhere says that a code works in any browser, to somebody who was shown a link before that
// does not.
func (p Prompt) anywhere() string {
	if p.Instead {
		return " (in any browser: the link before works only on the machine where this server runs)"
	}
	return ""
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
