package fakeas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ErrNoWayBack is returned where the authorization endpoint shows a page
// that sends nobody back: the client is not known, or may not be returned to.
var ErrNoWayBack = errors.New("fakeas: the authorization endpoint sends nobody back")

// ApproveURL is a browser in which the first of [Options.People] opens an
// authorization URL and approves, without reading pages. It returns where the
// browser is sent: the client's redirect URI with the response, or with the
// error if the request is refused. Nobody follows it. Without granted scopes
// it grants what was asked for less [Options.Withhold]; with some, exactly
// those. It is a new browser each time; for one that remembers who is signed
// in see [VisitAuthorization].
func (s *Server) ApproveURL(ctx context.Context, authorizationURL string, granted ...string) (location string, err error) {
	return s.ApproveURLAs(ctx, s.opts.People[0].Subject, authorizationURL, granted...)
}

// ApproveURLAs is ApproveURL by another person, who needs no account.
func (s *Server) ApproveURLAs(ctx context.Context, subject, authorizationURL string, granted ...string) (location string, err error) {
	for _, scope := range granted {
		if !isScope(scope) {
			return "", fmt.Errorf("fakeas: approving: %q is no scope", scope)
		}
	}
	return s.visit(ctx, authorizationURL, approved, subject, granted)
}

// DenyURL is a browser in which a person opens an authorization URL and denies.
// It returns where the browser is sent.
func (s *Server) DenyURL(ctx context.Context, authorizationURL string) (location string, err error) {
	return s.visit(ctx, authorizationURL, denied, "", nil)
}

// visit opens an authorization URL and decides.
func (s *Server) visit(ctx context.Context, authorizationURL string, what decision, subject string, granted []string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizationURL, nil)
	if err != nil {
		return "", errors.New("fakeas: not a URL") // which is not repeated, as state and hint stand in it
	}
	at, base := site{issuer: true, inProcess: true}, s.opts.Issuer
	origin := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}
	switch {
	case sameOrigin(r, s.issuer):
	case s.opts.follow && isOwnHost(r):
		base = origin.String()
	default:
		return "", fmt.Errorf("fakeas: %s is another server", origin.Redacted())
	}

	x := &exchange{server: s, r: r, at: at, base: base}
	out := x.run()
	if x.entry.Operation != Authorization {
		return "", errors.New("fakeas: not the authorization endpoint")
	}
	if x.pending != nil && out.ending == answered && out.status == http.StatusOK {
		y := &exchange{server: s, r: r, at: at, base: base, pending: x.pending}
		y.entry = Entry{Time: time.Now(), Operation: Consent, ClientID: x.pending.client.ID}
		b := s.next(Consent)
		b.delay += s.opts.Latency
		out = y.perform(b, func(x *exchange) reply { return x.conclude(x.pending, what, subject, granted) })
		y.record(out.status, out.outcome)
	}
	switch {
	case out.ending == gone:
		return "", context.Cause(ctx)
	case out.ending != answered:
		return "", fmt.Errorf("fakeas: the browser got no answer: %s", out.outcome)
	case out.header.Get("Location") == "":
		return "", fmt.Errorf("%w: %s", ErrNoWayBack, out.outcome)
	}
	return out.header.Get("Location"), nil
}
