package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/registration"
)

// Clients are as whom the program can present itself to its authorization server, beside the
// client that it is configured with. The zero value is that one alone.
type Clients struct {
	// Passed is the id that whoever started the program has passed to it, checked; empty if none.
	Passed string
	// NotPassed is why there is none, though one was passed; nil if none was.
	NotPassed error
	// Accepts returns why an id that a host offers is not taken; nil: none is.
	Accepts func(id string) error
	// Registrar has the one that the program has registered; nil if it does not.
	Registrar *registration.Registrar
}

// needMetadata reports whether the server's metadata tells of these clients, or of one with
// this id.
func (c *Clients) needMetadata(id string) bool {
	return c.Passed != "" || c.Accepts != nil || c.Registrar != nil || IsDocument(id)
}

// A ClientChoice says as which client a person is asked.
type ClientChoice struct {
	ID     string
	Source ClientSource
	// Against is why others that come before it were not taken; nil if there is none.
	Against error
}

// A ClientSource is where a client id comes from.
type ClientSource string

// The sources, the first first.
const (
	ClientPassed     ClientSource = "environment" // who started the program
	ClientOffered    ClientSource = "host"        // the host's capabilities
	ClientConfigured ClientSource = "configured"  // the author
	ClientRegistered ClientSource = "registered"  // the authorization server (RFC 7591)
)

var (
	// ErrNoDocuments is an oauth.ErrUnsupported.
	ErrNoDocuments = fmt.Errorf("%w: the metadata does not say that a client id may be the address of a document (client_id_metadata_document_supported)", oauth.ErrUnsupported)
	// ErrNoRegistration is an oauth.ErrUnsupported.
	ErrNoRegistration = fmt.Errorf("%w: the metadata has no registration_endpoint", oauth.ErrUnsupported)
	// ErrNoClient is an oauth.ErrUnsupported: the program has no client id, and was given none.
	ErrNoClient error = unidentified("there is no client id that can be used")
)

// choose returns the client as which a person is asked: the first of those that can be had,
// which are the one that was passed to the program, the one that the host offers, the one that
// the program is configured with, and the one that it has registered. Those whose id is the
// address of a document are passed over where the server does not take such ids.
func (as *AuthorizationServer) choose(ctx context.Context, offered string) (*oauth.Client, ClientChoice, error) {
	server, err := as.client(ctx)
	if err != nil {
		return nil, ClientChoice{}, err
	}
	var choice ClientChoice
	var last error // why the last one was not taken
	against := func(source ClientSource, err error) {
		choice.Against = errors.Join(choice.Against, fmt.Errorf("client id of the %s: %w", source, err))
		last = err
	}
	if as.clients.NotPassed != nil {
		against(ClientPassed, as.clients.NotPassed)
	}
	if offered != "" {
		switch err := as.clients.accepts(offered); {
		case err == nil:
		case as.clients.Passed != "": // it would not have been taken in any case
			offered = ""
		default:
			against(ClientOffered, err)
			offered = ""
		}
	}
	for _, candidate := range []ClientChoice{
		{ID: as.clients.Passed, Source: ClientPassed}, {ID: offered, Source: ClientOffered}, {ID: as.config.Credentials.ID, Source: ClientConfigured},
	} {
		switch {
		case candidate.ID == "":
		case IsDocument(candidate.ID) && !server.Endpoints().Features.ClientIDMetadata:
			against(candidate.Source, ErrNoDocuments)
		default:
			choice.ID, choice.Source = candidate.ID, candidate.Source
			client, err := as.named(server, choice.ID)
			return client, choice, err
		}
	}
	switch registrar := as.clients.Registrar; {
	case registrar == nil && last == nil:
		return nil, choice, noClient(ErrNoClient)
	case registrar == nil:
		return nil, choice, noClient(last)
	case !server.CanRegister():
		return nil, choice, noClient(ErrNoRegistration)
	default:
		client, err := registrar.Client(ctx, server)
		if err != nil {
			return nil, choice, err
		}
		choice.ID, choice.Source = client.ClientID(), ClientRegistered
		return client, choice, nil
	}
}

func noClient(kind error) error { return &oauth.Error{Op: "client identification", Kind: kind} }

func (c *Clients) accepts(id string) error {
	if c.Accepts == nil {
		return ErrClientRefused
	}
	return c.Accepts(id)
}

// ErrClientRefused is an oauth.ErrUnsupported: the id that a host has passed on is not one that
// the author accepts.
var ErrClientRefused error = unidentified("the host's client id is not one that is accepted here")

// unidentified is an oauth.ErrUnsupported of which the reason lies here: the server was not asked,
// and the text does not speak of it.
type unidentified string

func (u unidentified) Error() string { return string(u) }
func (u unidentified) Unwrap() error { return oauth.ErrUnsupported }

// named returns the client of this id that is not the registered one.
func (as *AuthorizationServer) named(server *oauth.Client, id string) (*oauth.Client, error) {
	if id == server.ClientID() {
		return server, nil
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.other == nil || as.other.ClientID() != id {
		other, err := server.WithCredentials(oauth.Credentials{ID: id})
		if err != nil {
			return nil, err
		}
		as.other = other
	}
	return as.other, nil
}

// of returns the client that a grant was given to, which alone can refresh and revoke it. It
// may be neither the configured nor the registered one. If that has a secret, the error is
// what the server would say of it without one: nothing of the grant.
func (as *AuthorizationServer) of(ctx context.Context, g *Grant) (*oauth.Client, error) {
	server, err := as.client(ctx)
	if err != nil || g.client.id == "" || g.client.id == server.ClientID() {
		return server, err
	}
	if registrar := as.clients.Registrar; registrar != nil && server.CanRegister() {
		if client := registrar.Of(ctx, server, g.client.id); client != nil {
			return client, nil
		}
	}
	if g.client.confidential {
		return nil, &oauth.Error{Op: "client identification", Kind: oauth.ErrRefused, Code: "invalid_client", Reason: "the grant was given to a client whose secret is not known here"}
	}
	return as.named(server, g.client.id)
}

// refused notes what err says of the client, and reports whether another one will be
// registered in its place.
func (as *AuthorizationServer) refused(client *oauth.Client, err error) bool {
	return as.clients.Registrar != nil && oauth.RefusesClient(err) && as.clients.Registrar.Refused(client.ClientID())
}

// begin calls f with the client as which a person is asked, and once more if the server has
// forgotten that one, and another one was registered. unseen says that nothing of what f does
// is sure to find that out: the server is asked before.
func (as *AuthorizationServer) begin(ctx context.Context, a Asked, unseen bool, f func(*oauth.Client) (Authorization, error)) (Authorization, error) {
	for again := false; ; again = true {
		client, choice, err := as.choose(ctx, a.Client)
		if err != nil {
			return nil, err
		}
		if choice.Source == ClientRegistered && unseen && !again && as.isForgotten(ctx, client) {
			continue
		}
		if a.Chosen != nil {
			a.Chosen(choice)
		}
		authorization, err := f(client)
		if err == nil || again || !as.refused(client, err) {
			return authorization, err
		}
	}
}

// forgottenWait is how long a sign-in waits for the server's word on its client.
const forgottenWait = 10 * time.Second

// isForgotten reports whether the server says that it does not know the registered client,
// unless it is known to.
func (as *AuthorizationServer) isForgotten(ctx context.Context, client *oauth.Client) bool {
	registrar, id := as.clients.Registrar, client.ClientID()
	if registrar.IsSure(id) {
		return false
	}
	asking, cancel := context.WithTimeout(ctx, forgottenWait)
	defer cancel()
	if client.Forgotten(asking) {
		return registrar.Refused(id)
	}
	registrar.Sure(id, ctx.Err() == nil)
	return false
}

// doubts has the server asked before the next sign-in whether it knows the client: nobody came
// back from it, which may be because it has shown them an error.
func (as *AuthorizationServer) doubts(client *oauth.Client) {
	if as.clients.Registrar != nil {
		as.clients.Registrar.Sure(client.ClientID(), false)
	}
}
