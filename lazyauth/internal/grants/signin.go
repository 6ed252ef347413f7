package grants

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
)

// Why a flight is prompted by another way: no browser has come back by this one, or the host did
// not show the prompt of this one to anybody.
var (
	ErrUnreached = errors.New("lazyauth: no browser has come back to this program")
	ErrUnshown   = errors.New("lazyauth: the host does not show the link, though it declares that it shows links")
)

// A pilot is told what happens to a sign-in.
type pilot interface {
	// show is told of each authorization that has begun, by one goroutine at a time: its
	// prompt is the one that is shown from then on.
	show(b begun)
	// unwanted is told of a token that comes although the person has refused.
	unwanted(token *oauth.Token)
	polled(e device.PollEvent)
	redirected(e authcode.Event)
	// came is told what came of it, once, of a sign-in that was started.
	came(r result)
}

// A signIn goes a flight's ways: the first one that is possible, and, if that seems to lead
// nowhere, the next one beside it. Whichever brings a token first ends the others. It knows
// nothing of whose it is, or for whom.
type signIn struct {
	pilot pilot
	asked *Asked // nil once the last way has begun, as ways is: there are thousands of sign-ins that wait

	mu      sync.Mutex
	ways    []Way // that are left, the best first
	against []objection
	all     []begun       // the last one's prompt is shown
	unshown bool          // nobody has seen the prompt that the present one takes the place of
	turning chan struct{} // is closed when it is known whether there is another prompt; nil if none is being had
	running int           // authorizations that are waited for, or being begun beside those
	end     *result       // what they have come to so far; nil: nothing yet

	// Of start, and nil before that.
	ctx    context.Context
	cancel context.CancelFunc // ends what is left
}

// A begun authorization is one by this way.
type begun struct {
	Authorization
	way Way
}

// An objection is why a way is not gone, or was not gone before others.
type objection struct {
	way Way
	err error
}

// newSignIn returns a sign-in by the best of these ways for who is asked: those that
// nothing speaks against come first. What speaks against a way is no reason not to go it
// where no other is left.
func newSignIn(ways []Way, asked Asked, p pilot) *signIn {
	s := &signIn{pilot: p, asked: &asked}
	var unlikely []Way
	for _, way := range ways {
		err := way.Suits(asked.Who, asked.Link)
		if err != nil {
			s.against = append(s.against, objection{way, err})
		}
		switch {
		case err == nil:
			s.ways = append(s.ways, way)
		case !errors.Is(err, ErrNotPossible):
			unlikely = append(unlikely, way)
		}
	}
	s.ways = append(s.ways, unlikely...)
	return s
}

// begin begins the next authorization, by the first way that is possible.
func (s *signIn) begin(ctx context.Context) (begun, error) {
	for {
		way, asked := s.next()
		if way == nil {
			return begun{}, s.failed()
		}
		a, err := way.Begin(ctx, *asked)
		if err == nil {
			b := begun{a, way}
			s.mu.Lock()
			if s.all = append(s.all, b); len(s.ways) == 0 {
				s.ways, s.asked = nil, nil
			}
			s.mu.Unlock()
			s.pilot.show(b)
			return b, nil
		}
		if ctx.Err() != nil || isOfAll(err) {
			return begun{}, err
		}
		s.object(way, err)
	}
}

// isOfAll reports whether err would meet every other way as well: what is discovered does for one of them, and so do the
// place of the flight, and a grant that is there.
func isOfAll(err error) bool {
	e, ok := errors.AsType[*oauth.Error](err)
	return ok && e.Op == "discovery" || errors.Is(err, errManyElsewhere) || errors.Is(err, pending.ErrElsewhere)
}

// next takes the best way that is left, with what it is begun for; nil if there is none.
func (s *signIn) next() (Way, *Asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ways) == 0 {
		return nil, nil
	}
	way := s.ways[0]
	s.ways = s.ways[1:]
	return way, s.asked
}

func (s *signIn) object(way Way, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.against = append(s.against, objection{way, err})
}

// failed is why no way is left.
func (s *signIn) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.against) == 1 {
		return s.against[0].err
	}
	return join(s.against)
}

// objections are why other ways were not gone, or not before this one, for traces; nil if
// there is nothing to be said.
func (s *signIn) objections(taken Way) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(s.against), func(o objection) bool { return o.way.Flow() == taken.Flow() })
	if len(others) == 0 {
		return nil
	}
	return join(others)
}

// join returns one error for these.
func join(all []objection) error {
	var texts []string
	for _, o := range all {
		texts = append(texts, o.way.Flow()+" flow: "+o.err.Error())
	}
	return objected{strings.Join(texts, "; "), all[len(all)-1].err}
}

// objected is the error that objections make, of the kind of the last one.
type objected struct {
	text string
	last error
}

func (o objected) Error() string { return o.text }

func (o objected) Unwrap() error { return o.last }

// another has the next way gone beside the present one, if there is a way left, and if no
// browser is known to have come back by the present one. It returns a channel that is closed
// when it is known what came of that, if the sign-in lasts so long; nil if things stay as
// they are. It may be called by any goroutine, once there is a prompt. why is ErrUnreached or
// ErrUnshown.
func (s *signIn) another(why error) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turning == nil {
		isOver := s.ctx != nil && s.running == 0
		if isOver || len(s.ways) == 0 || len(s.all) == 0 || s.all[len(s.all)-1].Reached() {
			return nil
		}
		s.turning = make(chan struct{})
		s.against = append(s.against, objection{s.all[len(s.all)-1].way, why})
		s.unshown = errors.Is(why, ErrUnshown)
		s.turn()
	}
	return s.turning
}

// takesAPlace reports whether the person has seen the prompt of another way before this one, of which the link
// works on this machine alone.
func (s *signIn) takesAPlace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) > 1 && !s.unshown && !s.all[0].Prompt().Anywhere
}

// turned says that another way was taken, or that none could be.
func (s *signIn) turned() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turning != nil {
		close(s.turning)
		s.turning = nil
	}
}

// start waits for the authorization that begin has returned, and for those that are begun beside it. It returns at once. The
// pilot is told when all have ended: with the token of the one that brings one first, or with why none did. What a person refuses
// by one way, they refuse by all; and what is shown has ended for all.
func (s *signIn) start(ctx context.Context, first begun) {
	s.mu.Lock()
	cancel := func() {}
	if len(s.ways) > 0 || s.turning != nil { // there may be others
		ctx, cancel = context.WithCancel(ctx)
	}
	s.ctx, s.cancel, s.running = ctx, cancel, 1
	if s.turning != nil { // it was asked for as soon as there was a prompt
		s.turn()
	}
	s.mu.Unlock()
	s.follow(first)
}

// follow waits for an authorization, which is one of those that run.
func (s *signIn) follow(b begun) {
	b.Start(s.ctx, Heard{s.pilot.polled, s.pilot.redirected}, func(token *oauth.Token, err error) {
		s.came(result{b.way, token != nil && b.Passed(), token, err})
	})
}

// turn has another authorization begun, once the first one is waited for; s.mu is held.
func (s *signIn) turn() {
	if s.ctx == nil {
		return
	}
	s.running++
	go func() { // ends with ctx, and is waited for
		var b begun
		guard.Then("a sign-in", func() (err error) {
			b, err = s.begin(s.ctx)
			return err
		}, func(err error) { s.beside(b, err) })
	}()
}

// beside goes on with another authorization that has begun, or has not.
func (s *signIn) beside(b begun, err error) {
	if err == nil || s.ctx.Err() == nil { // otherwise all is over in a moment
		s.turned()
	}
	switch {
	case err == nil:
		s.follow(b)
	case guard.IsMishap(err), errors.Is(err, pending.ErrElsewhere): // which ends the first one as well
		s.came(result{err: err})
	default:
		s.came(result{})
	}
}

// came takes account of what one of those that run has come to.
func (s *signIn) came(r result) {
	s.mu.Lock()
	s.running--
	var unwanted *oauth.Token
	was, isEnd := cmp.Or(s.end, new(result)), false
	switch {
	case was.token != nil:
		// The second of two tokens is left to expire: where one browser session has one
		// grant, to revoke it ends the first one as well.
	case errors.Is(was.err, oauth.ErrDenied):
		unwanted = r.token
	case r.way == nil && r.err == nil, r.token == nil && was.err != nil && s.ctx.Err() != nil:
	default:
		s.end = &r
		isEnd = r.token != nil || errors.Is(r.err, oauth.ErrDenied) || errors.Is(r.err, pending.ErrElsewhere) || s.isDead(r.way)
	}
	isLast, end := s.running == 0, cmp.Or(s.end, was)
	s.mu.Unlock()
	if unwanted != nil {
		s.pilot.unwanted(unwanted)
	}
	if isEnd || isLast {
		s.cancel()
	}
	if isLast {
		s.pilot.came(*end)
	}
}

// isDead reports whether what ended by this way is the second prompt, which is shown in the place of the
// first, and nobody is on their way by that: who is asked now would be shown what has ended. s.mu is held.
func (s *signIn) isDead(way Way) bool {
	last := len(s.all) - 1
	return last > 0 && way != nil && s.all[last].way.Flow() == way.Flow() && !slices.ContainsFunc(s.all[:last], func(b begun) bool { return b.Reached() })
}

// A result is what came of one authorization.
type result struct {
	way    Way  // nil if none was begun
	passed bool // see Authorization.Passed
	token  *oauth.Token
	err    error
}

// ends says what became of the sign-in to each authorization, for as long as somebody may still
// look at that, at most until ctx ends. spawn runs what that takes.
func (s *signIn) ends(ctx context.Context, o Outcome, spawn func(func())) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.all {
		spawn(func() { b.End(ctx, o) })
	}
}
