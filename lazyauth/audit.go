package lazyauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An Audit is told who got access, who lost it, and by whom: for a record that is only appended to,
// apart from the [Trace], which is for those who look for faults.
type Audit struct {
	// Record is called with one entry after the other, in their order, on a goroutine of its own. It
	// may block; while it does, at most 1024 entries wait, and the next that is told says how many
	// were lost. A panic is caught, and the entry is not told again. [Interceptor.Close] waits five
	// seconds for it.
	Record func(context.Context, AuditEntry)
	// HashKey, if it is not empty, has entries name no person: Person is an HMAC-SHA-256 under this key
	// instead, and Account is empty. Who has no key cannot find out by trying names who it is.
	HashKey []byte
}

// An AuditEvent is what an entry is about.
type AuditEvent string

// The events.
const (
	AuditGranted   AuditEvent = "granted"    // a person has signed in
	AuditSteppedUp AuditEvent = "stepped_up" // … for more than they had granted
	AuditRefused   AuditEvent = "refused"    // Options.VerifyUser did not take a sign-in for the caller's own
	AuditEnded     AuditEvent = "ended"      // a grant has ended
	AuditBarred    AuditEvent = "barred"
	AuditLifted    AuditEvent = "lifted"
	AuditErased    AuditEvent = "erased"
	AuditExported  AuditEvent = "exported"
)

// An AuditActor is who has caused an event.
type AuditActor string

// The actors.
const (
	ByPerson              AuditActor = "person"
	ByOperator            AuditActor = "operator"
	ByAuthorizationServer AuditActor = "authorization_server" // by refusing the refresh token
	ByServer              AuditActor = "server"               // this program: by Options.VerifyUser, or because the person's grants were ended during the sign-in
)

// An AuditEntry is one entry. It has no secret.
type AuditEntry struct {
	Time     time.Time
	Event    AuditEvent
	Service  string
	Person   string // issuer and subject, quoted; "local user"; or a hash, see Audit.HashKey
	Account  string
	Identity Identity // who signed in at the service, if that is known; empty with a HashKey
	Scopes   scopes.Set
	Tool     string // whose call led to it, if one did
	By       AuditActor
	Operator string // of ByOperator
	// ID is the same in the entries of one grant, from its sign-in to its end; of other events it is
	// new, and of grants that were stored by earlier versions empty.
	ID string
	// Lost is how many entries before this one could not be told.
	Lost int
}

// An ender is who ends grants.
type ender struct {
	by       AuditActor
	operator string
}

// maxAudits is how many entries wait.
const maxAudits = 1024

// An auditor tells an Audit. Nil tells nobody.
type auditor struct {
	service string
	audit   Audit

	mu      sync.Mutex
	queue   []queuedAudit
	lost    int
	over    [256]string   // the grants whose end was told last; an end can be seen by two
	newest  int           // of them
	running chan struct{} // is closed when the queue is empty; nil while it is
	once    sync.Once
}

type queuedAudit struct {
	ctx   context.Context
	entry AuditEntry
}

func newAuditor(service string, audit *Audit) *auditor {
	if audit == nil || audit.Record == nil {
		return nil
	}
	a := &auditor{service: service, audit: *audit}
	a.audit.HashKey = append([]byte(nil), audit.HashKey...)
	return a
}

// String keeps the key out of everything.
func (a *auditor) String() string { return "lazyauth.Audit" }

// GoString keeps the key out of %#v.
func (a *auditor) GoString() string { return a.String() }

// tell has an entry told about somebody. It returns at once.
func (a *auditor) tell(ctx context.Context, who grants.Principal, e AuditEntry) {
	if a == nil {
		return
	}
	e.Time, e.Service = time.Now(), a.service
	if len(a.audit.HashKey) > 0 {
		mac := hmac.New(sha256.New, a.audit.HashKey)
		mac.Write([]byte(who.Person().Key()))
		e.Person, e.Identity = hex.EncodeToString(mac.Sum(nil)), Identity{}
	} else {
		e.Person, e.Account = auditName(who), who.Account
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= maxAudits {
		a.lost++
		return
	}
	e.Lost, a.lost = a.lost, 0
	a.queue = append(a.queue, queuedAudit{context.WithoutCancel(ctx), e})
	if a.running == nil {
		a.running = make(chan struct{})
		go a.run(a.running) // ends with the queue; Close waits for it
	}
}

// run tells what is in the queue.
func (a *auditor) run(done chan struct{}) {
	defer close(done)
	for {
		a.mu.Lock()
		if len(a.queue) == 0 {
			a.queue, a.running = nil, nil
			a.mu.Unlock()
			return
		}
		next := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		returned := make(chan error, 1)
		go func() { // which Record may end
			err := guard.ErrExited
			defer func() { returned <- err }()
			err = guard.Call("Audit.Record", func() error {
				a.audit.Record(next.ctx, next.entry)
				return nil
			})
		}()
		if err := <-returned; err != nil {
			a.once.Do(func() { slog.Default().Error("lazyauth: Options.Audit failed", "cause", err.Error()) })
		}
	}
}

// auditName names a person so that nothing in it can be read in two ways.
func auditName(who grants.Principal) string {
	if who.IsLocal() {
		return "local user"
	}
	return strconv.QuoteToASCII(who.Subject) + " of " + strconv.QuoteToASCII(who.Issuer)
}

// close waits until all is told, for at most this long.
func (a *auditor) close(wait time.Duration) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	running := a.running
	a.mu.Unlock()
	if running == nil {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-running:
		return nil
	case <-timer.C:
		return errors.New("lazyauth: Options.Audit has not taken all entries")
	}
}

// about tells of what an operator did to a person.
func (a *auditor) about(ctx context.Context, event AuditEvent, person Principal, by ender) {
	person.Account = ""
	a.tell(ctx, grants.Principal(person), AuditEntry{Event: event, By: by.by, Operator: by.operator, ID: rand.Text()})
}

// ended tells of the end of what had this status, unless that was told.
func (a *auditor) ended(ctx context.Context, s Status, by ender) {
	if a == nil || !a.isFirst(s.ID) {
		return
	}
	a.tell(ctx, grants.Principal(s.Principal), AuditEntry{
		Event: AuditEnded, Identity: s.Identity, Scopes: s.Scopes, By: by.by, Operator: by.operator, ID: s.ID,
	})
}

// isFirst notes the end of a grant, and reports whether it is news.
func (a *auditor) isFirst(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id == "" {
		return true
	}
	if slices.Contains(a.over[:], id) {
		return false
	}
	a.newest = (a.newest + 1) % len(a.over)
	a.over[a.newest] = id
	return true
}

// endedMeanwhile tells of the end of a grant that came while somebody ended what the person had, or barred them: that
// one may not have seen it.
func (a *auditor) endedMeanwhile(ctx context.Context, who grants.Principal, g *grants.Grant, why error) {
	by := ender{by: ByServer}
	if barred, ok := errors.AsType[*bars.Barred](why); ok {
		by = ender{ByOperator, barred.By}
	}
	a.ended(ctx, Status{Principal: Principal(who), Identity: Identity(g.Identity()), Scopes: g.Scopes(), ID: g.ID()}, by)
}

// flight tells of a flight that has come to its end.
func (a *auditor) flight(f *grants.Flight) {
	e := AuditEntry{Event: AuditGranted, By: ByPerson, Tool: f.Tool(), Scopes: f.Want()}
	switch g, adopted, err := f.Result(); {
	case errors.Is(err, grants.ErrUnverified) && !isBarred(err):
		e.Event, e.By, e.ID = AuditRefused, ByServer, rand.Text()
	case err != nil, !adopted, grants.IsElsewhere(f): // the other process tells it
		return
	default:
		e.Identity, e.Scopes, e.ID = Identity(g.Identity()), g.Scopes(), g.ID()
		if grants.IsStepUp(f) {
			e.Event = AuditSteppedUp
		}
	}
	a.tell(f.Context(), f.Owner().Who(), e)
}
