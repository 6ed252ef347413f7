package lazyauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect/browser"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
)

// maxPolls is how many polls of a service's device flows are under way at a time; the others wait for their turn.
const maxPolls = 32

// OpenBrowser opens a link in the user's browser on this machine, for [Options].OpenBrowser and
// for programs that sign in at a terminal. Other users of the machine cannot read the link: it
// stands in a file of this user's, which is removed when ctx ends and after a minute, and in no
// program's arguments. On Linux and the BSDs it uses xdg-open, on macOS open, on Windows what
// opens files of that kind. It returns when that has ended or has run for some seconds; that
// anything is shown is not known. Its error says that nothing on this machine opens links, or
// that the file could not be written.
func OpenBrowser(ctx context.Context, link string) error { return browser.Open(ctx, link) }

// A Flow is one of OAuth's, by which a person can be asked to sign in: see [Service].Flows.
type Flow string

// The flows.
const (
	// FlowDevice is the device flow (RFC 8628): the person enters a code at the authorization
	// server, in any browser, on any machine. Who is sent somebody else's code, and enters it,
	// gives away their own access.
	FlowDevice Flow = "device"
	// FlowRedirect is the authorization code flow with PKCE (RFC 8252, RFC 7636): a browser
	// on this machine is sent to the authorization server, and comes back to a listener of this
	// program on loopback, which is there for one sign-in. It is for servers that run on their
	// user's machine. Callers over HTTP are sent to a page of the server's own, and come back to that:
	// see [Service].ConnectPage, without which they cannot use it.
	FlowRedirect Flow = "redirect"
)

// allows reports whether a flow is among those of the service.
func (s *Service) allows(f Flow) bool {
	return slices.Contains(s.flows(), f)
}

// flows returns Flows, or what nil means.
func (s *Service) flows() []Flow {
	if s.Flows == nil {
		return []Flow{FlowDevice}
	}
	return s.Flows
}

// validateFlows checks what is about flows.
func (s *Service) validateFlows() error {
	var seen []Flow
	for _, f := range s.flows() {
		switch {
		case f != FlowDevice && f != FlowRedirect:
			return fmt.Errorf("lazyauth: Service.Flows has %+q, which is no flow: name FlowRedirect, FlowDevice, or both", string(f))
		case slices.Contains(seen, f):
			return fmt.Errorf("lazyauth: Service.Flows has %q twice", string(f))
		}
		seen = append(seen, f)
	}
	redirects := s.allows(FlowRedirect)
	switch {
	case len(seen) == 0:
		return errors.New("lazyauth: Service.Flows is empty: leave it nil for the device flow, or name the flows that are allowed")
	case !redirects && s.RedirectURI != "":
		return errors.New("lazyauth: Service.RedirectURI is set, and Service.Flows has no FlowRedirect")
	case !redirects && s.ConnectPage != nil:
		return errors.New("lazyauth: Service.ConnectPage is set, and Service.Flows has no FlowRedirect")
	case s.ConnectPage != nil && s.RedirectURI != "":
		return errors.New("lazyauth: Service has both a ConnectPage, to which browsers come back, and a RedirectURI on this machine: set one of them")
	case !redirects && s.InsecureAssumePKCE:
		return errors.New("lazyauth: Service.InsecureAssumePKCE is set, and Service.Flows has no FlowRedirect")
	case s.Issuer != "":
		return nil
	}
	var missing []string
	for _, e := range []struct {
		field, url string
		needed     bool
	}{
		{"Endpoint.AuthURL", s.Endpoint.AuthURL, redirects},
		{"Endpoint.DeviceAuthURL", s.Endpoint.DeviceAuthURL, s.allows(FlowDevice)},
		{"Endpoint.TokenURL", s.Endpoint.TokenURL, true},
	} {
		if e.needed && e.url == "" {
			missing = append(missing, e.field)
		}
	}
	noPKCE := redirects && !s.InsecureAssumePKCE
	switch {
	case missing != nil && noPKCE:
		return fmt.Errorf("lazyauth: Service needs an Issuer, or else %s, and InsecureAssumePKCE for FlowRedirect if the authorization server's documentation says that it has PKCE", strings.Join(missing, " and "))
	case missing != nil:
		return fmt.Errorf("lazyauth: Service needs an Issuer, or else %s", strings.Join(missing, " and "))
	case noPKCE:
		return errors.New("lazyauth: Service.Flows has FlowRedirect, and without an Issuer nothing says that the authorization server has PKCE: set Issuer, or InsecureAssumePKCE if its documentation says so")
	}
	return nil
}

// ways returns how people sign in, at what is found of the authorization server by this
// transport: the server and the ways that are allowed, the best first.
func (s *Service) ways(transport http.RoundTripper, o *Options, told observer, shared *sharedFlights) (*grants.AuthorizationServer, []grants.Way, error) {
	noBrowser := o.noBrowser
	if noBrowser == nil {
		noBrowser = func() string { return strings.Join(browser.Against(browser.Here()), "; ") }
	}
	if err := s.checkConnectPage(o); err != nil {
		return nil, nil, err
	}
	polls := schedule.New(maxPolls)
	redirects := &grants.RedirectFlow{
		Config: redirect.Config{
			Name: s.program(), Service: s.Name, RedirectURI: s.RedirectURI, InsecureAssumePKCE: s.InsecureAssumePKCE, Listen: o.listen,
		},
		Open: o.OpenBrowser, NoBrowser: noBrowser, Hint: o.hint(told),
	}
	if s.ConnectPage != nil {
		redirects.Page, redirects.Issuer = s.ConnectPage.page, cmp.Or(s.Issuer, s.Endpoint.AuthURL)
		redirects.Mark = markOf(o.replicas)
		redirects.Shared = shared.pages(o.replicas, polls)
	}
	var wants []func(oauth.Endpoints) error
	for _, f := range s.flows() {
		if f == FlowRedirect {
			if err := redirects.Config.Check(); err != nil {
				return nil, nil, wrongAddress("RedirectURI", s.RedirectURI, strings.TrimPrefix(err.Error(), "redirect: "), aRedirectURI)
			}
			if err := authcode.CheckParams(s.Params); err != nil {
				return nil, nil, fmt.Errorf("lazyauth: Service.Params: %w", err)
			}
			wants = append(wants, redirects.Offered)
		} else {
			wants = append(wants, device.Offered)
		}
	}
	if len(o.Unattended) > 0 {
		wants = append(wants, hasTokenEndpoint)
	}
	server, err := grants.NewAuthorizationServer(s.oauth(transport), s.clients(o, told), s.InsecureSkipIssuerCheck, wants...)
	if err != nil {
		return nil, nil, fmt.Errorf("lazyauth: Service: %w", err)
	}
	redirects.Server = server
	var ways []grants.Way
	for _, f := range s.flows() {
		if f == FlowRedirect {
			ways = append(ways, redirects)
		} else {
			ways = append(ways, grants.DeviceFlow{
				Server: server, Options: device.Options{UseComplete: s.InsecureCodeInLink}, LocalOnly: o.VerifyUser == nil,
				Schedule: polls, Flights: shared.flights, Key: shared.key, Failed: told.storeFailed,
			})
		}
	}
	return server, shared.remembers(ways), nil
}
