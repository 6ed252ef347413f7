package pending

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/records"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// lookAtPage is how often who waits for another process's page looks at the record, and lookAtOwn how often
	// the process does whose page it is.
	lookAtPage = 2 * time.Second
	lookAtOwn  = 10 * time.Second
	maxLink    = 64

	pageOp = "authorization" // in errors
)

// What waiting for a link can come to besides.
var (
	// ErrLapsed: it has ended by its time.
	ErrLapsed = errors.New("lazyauth: the link has expired")
	// ErrTaken: another process's page answers for it now.
	ErrTaken = errors.New("lazyauth: another process answers for the link")
)

// A Link is a sign-in by a page of this program, as the store has it. It is plain data, with a secret: the code.
type Link struct {
	Code    string     `json:"code"` // what its address has
	Scopes  scopes.Set `json:"scopes"`
	Expires time.Time  `json:"expires"`
	By      string     `json:"by,omitempty"` // the process whose pages answer; empty: none, and whoever comes takes it over
	Turn    int        `json:"turn,omitempty"`
	Place   string     `json:"place,omitempty"` // as record's

	Asker asker `json:"asker,omitzero"`
	Over  *over `json:"over,omitempty"`
}

func (l *Link) isSound() bool {
	return l.Code != "" && len(l.Code) <= maxLink && len(l.By) <= maxText && len(l.Place) <= maxText && l.Turn >= 0 && (l.Over == nil || l.Over.err() != nil)
}

// isOpen reports whether somebody can still go to it.
func (l *Link) isOpen(now time.Time) bool {
	return l.Over == nil && now.Add(leastLeft).Before(l.Expires)
}

// An AskedPage says what a sign-in by a page is for.
type AskedPage struct {
	Key    string        // of the record
	Server *oauth.Client // who asks
	Me     string        // names this process among those whose pages answer
	Turns  int           // how many processes a link can be answered by, one after the other
	// Answers reports whether the pages of a process still answer, or this one's.
	Answers func(ctx context.Context, process string) (bool, error)
	// Joins is told that a sign-in under way is for these scopes, and reports whether that will do.
	Joins func(scopes.Set) bool
	// Brought is [Asked]'s.
	Brought func(ctx context.Context, since time.Time) (bool, error)
	// Failed is told of a store that fails.
	Failed func(error)
	// Schedule has the record looked at.
	Schedule *schedule.Schedule
}

// A Page is a sign-in by a page, which one process has at a time and others wait for. Its methods are safe for
// concurrent use.
type Page struct {
	flights *Flights
	asked   AskedPage

	mu     sync.Mutex
	link   Link
	mine   bool
	since  time.Time // since it is this process's, or is waited for
	unkept bool      // the store does not have it
	unsure bool      // nor perhaps: it says that it failed
}

// Link returns what the store has, as it was last seen.
func (p *Page) Link() Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// IsMine reports whether this process's page answers.
func (p *Page) IsMine() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mine
}

// IsKept reports whether other processes may go on with it.
func (p *Page) IsKept() bool { return !p.unkept }

func (p *Page) saw(l *Link, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link = *l; mine && !p.mine {
		p.since = time.Now()
	}
	p.mine = mine
}

// isBrought reports whether the store has a grant that came since then.
func (p *Page) isBrought(ctx context.Context) bool {
	p.mu.Lock()
	since := p.since
	p.mu.Unlock()
	if p.asked.Brought == nil {
		return false
	}
	brought, err := p.asked.Brought(ctx, since)
	return err == nil && brought
}

// FindPage returns the sign-in that is under way, if there is one that will do: another process's, or, if that
// answers no more, one that is this process's from now on. It returns nil if there is none. A store that fails is told,
// and has none.
func (f *Flights) FindPage(ctx context.Context, a AskedPage) *Page {
	if f.isOff() {
		return nil
	}
	text, err := f.load(ctx, a.Key)
	if err != nil {
		a.Failed(err)
		return nil
	}
	r, err := decode(text)
	if err != nil || r.Page == nil || !r.Page.isOpen(time.Now()) || r.Page.Asker != askerOf(a.Server) || !a.Joins(r.Page.Scopes) {
		return nil
	}
	p := &Page{flights: f, asked: a, link: *r.Page, since: time.Now()}
	if !p.answers(ctx, r.Page) && !p.takeOver(ctx) {
		return nil
	}
	return p
}

// answers reports whether the pages of another process answer for a link, as far as that can be told.
func (p *Page) answers(ctx context.Context, l *Link) bool {
	if l.By == "" || l.By == p.asked.Me {
		return false
	}
	answers, err := p.asked.Answers(ctx, l.By)
	if err != nil {
		p.asked.Failed(err)
	}
	return err != nil || answers
}

// takeOver has this process answer in the place of the one that was seen last. It reports false if it was too late, or if
// nobody could be forwarded to this process either. It does not end with ctx in the middle: a link that is this process's and
// that it knows nothing of would be nobody's.
func (p *Page) takeOver(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingWait)
	defer cancel()
	if reached, err := p.asked.Answers(ctx, p.asked.Me); err != nil || !reached {
		return false
	}
	was := p.Link()
	var taken *Link
	_, err := p.flights.records.Quickly(ctx, p.asked.Key, func(text []byte) records.Decision {
		taken = nil
		r, err := decode(text)
		if err != nil || r.Page == nil || r.Page.Code != was.Code || r.Page.By != was.By || r.Page.Turn+1 >= p.asked.Turns || !r.Page.isOpen(time.Now()) {
			return records.Decision{}
		}
		next := *r.Page
		next.By = p.asked.Me
		next.Turn++
		r.Page, taken = &next, &next
		return records.Put(r.encode())
	})
	if err != nil {
		p.asked.Failed(err)
	}
	if taken == nil || err != nil && !p.has(ctx, taken) {
		return false
	}
	p.saw(taken, true)
	return true
}

// has reports whether the record has this link, of which the store says that it failed to write it: the answer may have been lost,
// and the link's turn is this process's then, which there are few of.
func (p *Page) has(ctx context.Context, l *Link) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingWait)
	defer cancel()
	r, err := p.read(ctx)
	return err == nil && r.Page != nil && r.Page.Code == l.Code && r.Page.By == l.By && r.Page.Turn == l.Turn
}

// KeepPage has other processes find a link of this one's, which has this place of a [Share], if any. It returns the sign-in of another process instead, if
// that was first. Beside one that is for something else, and its person's to finish, this process is for itself, and also
// if the store fails, which is told.
func (f *Flights) KeepPage(ctx context.Context, a AskedPage, code string, asked scopes.Set, expires time.Time, place string) *Page {
	link := Link{Code: code, Scopes: asked, Expires: expires.Round(0), By: a.Me, Asker: askerOf(a.Server), Place: place}
	p := &Page{flights: f, asked: a, mine: true, since: time.Now(), link: link}
	if p.unkept = f.isOff(); p.unkept {
		return p
	}
	var other *Link
	_, err := f.records.Within(beginWait).Update(ctx, a.Key, func(text []byte) records.Decision {
		other = nil
		r, err := decode(text)
		switch {
		case errors.Is(err, errForeign):
			p.unkept = true
			return records.Decision{}
		case err != nil:
			r = &record{Version: recordVersion}
		case r.Page != nil && r.Page.By != a.Me && r.Page.isOpen(time.Now()) && p.answers(ctx, r.Page):
			if p.unkept = r.Page.Asker != p.link.Asker || !a.Joins(r.Page.Scopes); !p.unkept {
				other = r.Page
			}
			return records.Decision{}
		}
		link := p.link
		r.Page = &link
		return records.Put(r.encode())
	})
	switch {
	case err != nil:
		a.Failed(err)
		p.unsure = true
	case other != nil:
		p.saw(other, false)
	}
	return p
}

// End says what became of a sign-in whose page was this process's: others have its grant, or learn why there is none, or one
// of them goes on. What there is to be learnt stays for a minute, if ctx lasts so long. A store that fails is told again for as long: others
// would wait for a page that has ended.
func (p *Page) End(ctx context.Context, o Outcome) {
	if p.unkept || !p.IsMine() {
		return
	}
	hasLapsed := errors.Is(o.Err, ErrLapsed)
	says := func(r *record) {
		switch next := *r.Page; {
		case hasLapsed: // which it says by its time
		case o.Closed, o.Unwanted:
			r.leavePage()
		case o.Err == nil, !isKind(o.Err):
			r.Page = nil
		default:
			next.Over = overWith(o.Err, time.Now())
			r.Page = &next
		}
	}
	for began := time.Now(); p.change(ctx, o.Err == nil, says) != nil; {
		if time.Since(began) > CoolDown || !oauth.Sleep(ctx, lookAtOwn) {
			return
		}
	}
	if isTold := hasLapsed || isKind(o.Err) && !o.Closed && !o.Unwanted; isTold && oauth.Sleep(ctx, CoolDown) {
		_ = p.change(ctx, false, func(r *record) { r.Page = nil })
	}
}

// Leave has another process answer for the link, which this one has taken over and cannot answer for.
func (p *Page) Leave(ctx context.Context) { _ = p.change(ctx, false, (*record).leavePage) }

func (r *record) leavePage() {
	next := *r.Page
	next.By = ""
	r.Page = &next
}

// change changes the record, if its page is this process's, and was not left and taken over again meanwhile, or whosever it is now. It tells of a store that fails, and returns why.
func (p *Page) change(ctx context.Context, whosever bool, f func(*record)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingWait)
	defer cancel()
	link := p.Link()
	_, err := p.flights.records.Quickly(ctx, p.asked.Key, func(text []byte) records.Decision {
		r, err := decode(text)
		if err != nil || r.Page == nil || r.Page.Code != link.Code || (r.Page.By != p.asked.Me || r.Page.Turn != link.Turn) && !whosever {
			return records.Decision{}
		}
		f(r)
		return decided(r)
	})
	if err != nil {
		p.asked.Failed(err)
	}
	return err
}
