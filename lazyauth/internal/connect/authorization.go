package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// LinkLife is how long a link is good. Nobody stands before a sign-in page for longer.
	LinkLife = 10 * time.Minute

	// linger is how long the last page can be had after the end, by who brought something.
	linger = time.Minute
)

// A Request says what one sign-in is for.
type Request struct {
	Client authcode.Client // with a client id, and the endpoints of its server
	// Issuer names its server for the redirect URI, the same each time; empty: as its endpoints do.
	Issuer string
	// Name is a name for the client that does not change when its id does, for the redirect URI.
	Name string
	// AssumePKCE goes on where the metadata does not list S256; see authcode.Lacks.
	AssumePKCE bool
	// Person is whose call it is.
	Person Person
	// Mark notes, for so long, that what has this name is under way in this process, so that others
	// can have it answer requests for that; nil if there are none. It may wait until its context ends.
	Mark func(ctx context.Context, name string, life time.Duration) error
	// Again is set if the link is one that another process has had, which is gone: this one's page answers from now on.
	Again *Again
	// LoginHint and Prompt are OpenID Connect's. No host sees them: they are not in the link.
	LoginHint, Prompt string
}

// Again says which link it is. What browsers have begun by it at the other process does not count here: they begin anew.
type Again struct {
	Code    string // what [Authorization.Code] was
	Expires time.Time
	Turn    int // how many processes have had it before
}

// Shown is what the page says of a sign-in.
type Shown struct {
	Service string
	Account string   // the name of the account that is asked for; empty if there is one alone
	Host    string   // what the program that asks calls itself: anybody's text
	Client  string   // the client that its bearer token was issued to, if that is known: the id that an issuer has for it
	New     []string // the access that is asked for, and that the person has not given
	Held    []string // what they have given
}

// An Outcome is how a sign-in ended, for the last page.
type Outcome struct {
	Account   string // whose it is at the service, if that is known: printable text, or it is not shown
	Failed    bool   // there is no grant in the end
	ByAnother bool   // the grant came by another flow
}

// An Authorization is one sign-in under way. However it is formatted, its link does not appear. Finish must be
// called, whatever comes of it.
type Authorization struct {
	page      *Page
	request   Request
	endpoint  *url.URL
	endpoints oauth.Endpoints
	asked     scopes.Set
	path      string // the last part of the redirect URI's
	code      string // which the link has
	id        string // of the link, in tables
	expires   time.Time

	events   chan authcode.Event
	arrived  chan *submission
	here     chan struct{} // closed under mu when its person has gone on from the page
	finished chan struct{} // closed under mu by Finish

	mu        sync.Mutex // guards what follows; nothing waits under it
	shown     Shown
	brought   map[string]*submission // by attempt
	unsettled int                    // of these
	exchanges int
	over      bool // nothing is accepted any more
	granted   bool
	outcome   Outcome // once finished
	ended     time.Time
	seen      bool // its last page was
}

// Begin opens a link for a person, or opens it again, after calling want for what is asked for, for as long as that takes.
//
// Errors: [ErrEnded] of one that is no link any more; [ErrUnknown] if the person's identity is not known; [ErrBusy]; an oauth.ErrUnavailable if the table does not
// answer; what authcode.Endpoint has against the server; that of ctx.
func (p *Page) Begin(ctx context.Context, request Request, want func(context.Context) scopes.Set) (*Authorization, error) {
	endpoints := request.Client.Endpoints()
	endpoint, err := authcode.Endpoint(endpoints, request.AssumePKCE)
	if err != nil {
		return nil, err
	}
	if err := authcode.CheckParams(request.Client.AuthorizationForm()); err != nil {
		return nil, err
	}
	identity, err := p.identity(request.Person)
	if err != nil {
		p.failed(err)
		return nil, errors.Join(ErrUnknown, err)
	}
	a := &Authorization{
		page: p, request: request, endpoint: endpoint, endpoints: endpoints, asked: want(ctx), path: authcode.PathOf(cmp.Or(request.Issuer, endpoints.Issuer, endpoints.Authorization), request.Name),
		code: authcode.NewNonce(), expires: time.Now().Add(LinkLife),
		events: make(chan authcode.Event, 16), arrived: make(chan *submission, mostRefused+1),
		here: make(chan struct{}), finished: make(chan struct{}), brought: make(map[string]*submission),
	}
	turn := 0
	if again := request.Again; again != nil {
		if !isCode(again.Code, codeLength) || !time.Now().Before(again.Expires) || again.Expires.After(a.expires) {
			return nil, ErrEnded
		}
		a.code, a.expires, turn = again.Code, again.Expires, again.Turn
	}
	a.id = digest(a.code)
	if ctx.Err() != nil {
		return nil, oauth.Ended(ctx, authcode.Op)
	}
	switch err := p.table.Open(ctx, Link{ID: a.id, Person: identity, Ends: a.expires}); {
	case errors.Is(err, ErrBusy):
		return nil, ErrBusy
	case err != nil:
		return nil, noTable(err)
	}
	if err := a.mark(ctx, markOfLink(a.id, turn)); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), tableWait)
		defer cancel()
		return nil, noTable(errors.Join(err, p.table.Close(closing, a.id)))
	}
	p.mu.Lock()
	p.local[a.id] = a
	p.mu.Unlock()
	return a, nil
}

func noTable(err error) error {
	return &oauth.Error{Op: authcode.Op, Kind: oauth.ErrUnavailable, Reason: "the table of links does not answer", Detail: authcode.Detail(err)}
}

// Show says what the page is to show; before that it shows nothing of a sign-in.
func (a *Authorization) Show(s Shown) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown = s
}

// Code is what its link has, for another process to open it again.
func (a *Authorization) Code() string { return a.code }

// Link is where the person goes. It has no personal data in it, and no use for anybody else.
func (a *Authorization) Link() string { return a.page.link(a.code) }

// Link is where the person goes whose sign-in has this code.
func (p *Page) Link(code string) string { return p.link(code) }

func (p *Page) link(code string) string { return p.config.PublicURL + "?f=" + code }

// Expires is when the link stops working, and Wait with it.
func (a *Authorization) Expires() time.Time { return a.expires }

// RedirectURI is where the browser comes back to.
func (a *Authorization) RedirectURI() string { return a.page.config.PublicURL + callbackPath + a.path }

// Reached reports whether the person has gone on from the page.
func (a *Authorization) Reached() bool {
	select {
	case <-a.here:
		return true
	default:
		return false
	}
}

// Format writes no link, whatever the verb.
func (a *Authorization) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "connect.Authorization{%s, expires %s}", a.page.config.PublicURL, a.expires.Format(time.RFC3339))
}

// Finish says how the sign-in ended, and closes the link. The last page can be had for a minute by who brought
// something. Of several calls the first one's outcome is shown.
func (a *Authorization) Finish(outcome Outcome) {
	a.end()
	a.mu.Lock()
	select {
	case <-a.finished:
		a.mu.Unlock()
		return
	default:
	}
	if len(outcome.Account) > mostName || !names.Check(outcome.Account) {
		outcome.Account = ""
	}
	a.outcome, a.ended = outcome, time.Now()
	close(a.finished)
	wanted := len(a.brought) > 0
	a.mu.Unlock()
	if wanted && a.page.hasRoom() {
		time.AfterFunc(linger, a.forget)
	} else {
		a.forget()
	}
}

// hasRoom reports whether another sign-in can be remembered after its end.
func (p *Page) hasRoom() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.local) < 2*mostLinks
}

// forget forgets a sign-in, but not one that has the same link since.
func (a *Authorization) forget() {
	a.page.mu.Lock()
	defer a.page.mu.Unlock()
	if a.page.local[a.id] == a {
		delete(a.page.local, a.id)
	}
}

// tell has an event told by Wait, on its goroutine. Of more than it can keep up with, the rest is left out.
func (a *Authorization) tell(e authcode.Event) {
	select {
	case a.events <- e:
	default:
	}
}
