package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/terminal"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// login signs in ahead of time. Address and code go to standard error, so that they
// do not end up where the output is sent; the result goes to standard output.
func login(ctx context.Context, cfg *config, auth *lazyauth.Interceptor) int {
	if cfg.token != nil {
		fmt.Fprintf(cfg.stdout, "Nobody needs to sign in to %s: the token in %s takes precedence. Unset it to sign in.\n", serviceName, cfg.tokenEnv)
		return done
	}
	who := lazyauth.Principal{Account: cfg.account}
	before, err := auth.Status(ctx, who)
	switch {
	case ctx.Err() != nil:
		return cfg.interrupted("nothing was done")
	case err != nil && !errors.Is(err, lazyauth.ErrNoGrant): // nobody should sign in for what cannot be kept
		cfg.say("%s", cfg.explain(err))
		return failed
	}
	asked := false
	stop := func() {}
	signingIn, over := context.WithCancel(ctx)
	defer over()
	err = auth.Authorize(ctx, who, inEverySignIn.Union(cfg.scopes), func(_ context.Context, p elicit.Prompt) error {
		asked, cfg.byLink = true, p.UserCode == ""
		stop()
		stop = cfg.prompt(signingIn, p)
		return nil
	})
	stop()
	if ctx.Err() != nil {
		return interruptedLogin(ctx, cfg, auth, who, before)
	}
	if err != nil {
		cfg.say("%s", cfg.failure(err))
		return failed
	}
	if cfg.unkept != nil { // and with this process it would be lost
		cfg.say("the sign-in cannot be kept: %s", cfg.explain(cfg.unkept))
		_ = auth.Revoke(ctx, who) // nobody will use it
		return failed
	}
	now, err := auth.Status(ctx, who)
	if err != nil {
		cfg.say("somebody logged out at the same moment")
		return failed
	}
	if !asked {
		fmt.Fprintf(cfg.stdout, "Already signed in: nothing to do.\n")
	}
	cfg.describe(now)
	if before != nil && before.Identity.Name != "" && before.Identity != now.Identity {
		fmt.Fprintf(cfg.stdout, "   It was %s before. If that is not meant: log out, and sign in again.\n", printable(known(before.Identity)))
	}
	return done
}

// prompt shows what the person needs, and the time they have until stop is called. A link
// it opens, in a browser for which it is there until ctx ends.
func (c *config) prompt(ctx context.Context, p elicit.Prompt) (stop func()) {
	screen := terminal.New(c.stderr, c.getenv)
	if p.UserCode == "" {
		c.promptWithLink(screen, p, c.openBrowser(ctx, p.VerificationURI))
	} else {
		c.promptWithCode(screen, p)
	}
	return screen.CountDown(p.Expires, "Ctrl-C gives up")
}

// promptWithCode has the person enter a code in any browser. The QR code is that of the
// plain address: one with the code in it would spare the person the comparison that
// protects them (RFC 8628 §5.4).
func (c *config) promptWithCode(screen *terminal.Terminal, p elicit.Prompt) {
	fmt.Fprintf(screen, "%s\n\n", terminal.Wrap(fmt.Sprintf("To sign in to %s, open the page and enter the code.", forAccount(c.account)), 0))
	fmt.Fprintf(screen, "   page  %s\n", printable(p.VerificationURI))
	fmt.Fprintf(screen, "   code  %s\n", printable(p.UserCode))
	fmt.Fprintf(screen, "   for   %s\n", access(p))
	if c.noQR || !screen.QR(p.VerificationURI) {
		fmt.Fprintln(screen)
	}
}

// promptWithLink has the person go on in the browser of this machine, where the link was
// opened, unless notOpened says why not. The link stands alone on its line, as it is long; a QR
// code of it would be of no use, since it leads another machine nowhere.
func (c *config) promptWithLink(screen *terminal.Terminal, p elicit.Prompt, notOpened error) {
	say := fmt.Sprintf("The sign-in to %s was opened in your browser. If nothing opened, open this link in a browser on this machine:", forAccount(c.account))
	if notOpened != nil {
		say = fmt.Sprintf("To sign in to %s, open this link in a browser on this machine:", forAccount(c.account))
	}
	fmt.Fprintf(screen, "%s\n\n", terminal.Wrap(say, 0))
	fmt.Fprintf(screen, "   %s\n\n", screen.Bold(printable(p.VerificationURI)))
	fmt.Fprintf(screen, "   for   %s\n", access(p))
	if notOpened != nil {
		why := strings.TrimPrefix(printable(notOpened.Error()), "browser: ")
		fmt.Fprintf(screen, "   note  %s\n", terminal.Wrap("it was not opened for you: "+why, 9))
	}
	if slices.Contains(c.flows, lazyauth.FlowDevice) {
		fmt.Fprintf(screen, "   or    %s\n", terminal.Wrap("press Ctrl-C, and give -device for a code that can be entered on any machine", 9))
	}
	fmt.Fprintln(screen)
}

// access is what a prompt asks for.
func access(p elicit.Prompt) string {
	return terminal.Wrap(strings.ReplaceAll(p.Scopes.String(), " ", ", "), 9)
}

// interruptedLogin waits for what is under way, and says what became of it: the person
// may have approved in the very moment.
func interruptedLogin(ctx context.Context, cfg *config, auth *lazyauth.Interceptor, who lazyauth.Principal, before *lazyauth.Status) int {
	_ = auth.Close()
	now, err := auth.Status(context.WithoutCancel(ctx), who)
	if err == nil && (before == nil || !now.Expires.Equal(before.Expires) || now.Scopes != before.Scopes) {
		return cfg.interrupted("the sign-in was complete already, and is stored")
	}
	return cfg.interrupted("nothing was stored")
}

// interrupted says what Ctrl-C came to.
func (c *config) interrupted(what string) int {
	c.say("interrupted; %s", what)
	return interrupted
}

// offersNone says that the authorization server has no flow that is allowed.
func (c *config) offersNone() string {
	redirects, devices := slices.Contains(c.flows, lazyauth.FlowRedirect), slices.Contains(c.flows, lazyauth.FlowDevice)
	switch {
	case redirects && devices:
		return "offers neither a redirect with PKCE nor device authorization"
	case redirects:
		return "does not offer a redirect with PKCE"
	default:
		return "does not offer device authorization"
	}
}

// failure says to a person at a terminal why a sign-in failed. What *lazyauth.Error
// says itself is for a model.
func (c *config) failure(err error) string {
	e, ok := errors.AsType[*lazyauth.Error](err)
	if !ok {
		return err.Error()
	}
	because := ""
	if e.Cause != nil {
		because = e.Cause.Error()
		for _, library := range []string{"lazyauth: ", "oauth: ", "redirect flow: ", "redirect: "} { // who says so is of no use here
			because = strings.TrimPrefix(because, library)
		}
		because = ": " + printable(because)
	}
	switch e.Reason {
	case lazyauth.ReasonDenied:
		return "the sign-in was declined; nothing was stored"
	case lazyauth.ReasonExpired:
		what := "code"
		if c.byLink {
			what = "link"
		}
		return "the " + what + " expired before the sign-in was finished; nothing was stored"
	case lazyauth.ReasonNarrowed:
		return fmt.Sprintf("less was granted than asked for, without %s; see status for what there is", e.Missing)
	case lazyauth.ReasonUnsupported:
		return fmt.Sprintf("the authorization server %s to the client %q%s", c.offersNone(), c.clientID, because)
	default:
		if listen, ok := errors.AsType[*net.OpError](err); ok && listen.Op == "listen" {
			return fmt.Sprintf("signing in is not possible now%s. Close what uses that port; it may be a sign-in that another program has begun", because)
		}
		return fmt.Sprintf("signing in is not possible now%s. See whether the authorization server at %s can be reached, and knows the client %q",
			because, cmp.Or(c.issuer, c.deviceURL), c.clientID)
	}
}
