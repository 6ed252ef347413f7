package pending

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/ending"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// Watch waits for a sign-in whose page is another process's. done is called once, on a goroutine of its own: with
// nil if this process's page is to answer from now on; or else with what the sign-in has come to, as [Authorization.Start]
// says it, with [ErrLapsed], or with why ctx ended.
func (p *Page) Watch(ctx context.Context, done func(error)) {
	p.asked.Schedule.Add(ctx, time.Now().Add(lookAtPage), &pageWatch{page: p, ctx: ctx, done: done, every: lookAtPage})
}

// Hold looks whether a sign-in is this process's still, until ctx ends. If it is not, lost is called, on a goroutine of its
// own: with [ErrElsewhere] if it has ended, with [ErrTaken], or with [ErrReplaced] if another one has begun; but with these two not
// while hasCode reports that a person's code is being exchanged, who is done if that succeeds.
func (p *Page) Hold(ctx context.Context, hasCode func() bool, lost func(error)) {
	if p.unkept || p.unsure {
		return
	}
	p.asked.Schedule.Add(ctx, time.Now().Add(lookAtOwn), &pageWatch{page: p, ctx: ctx, done: lost, every: lookAtOwn, mine: true, hasCode: hasCode})
}

// A pageWatch is a job of a schedule.
type pageWatch struct {
	page    *Page
	ctx     context.Context
	done    func(error)
	every   time.Duration
	mine    bool
	hasCode func() bool // if it is mine
	failing bool
	looks   int
}

// looksForGrant is how many looks at a page that answers there are for one at whether the grant is there: who has brought it says
// so, unless it could not.
const looksForGrant = 5

// Run implements [schedule.Job].
func (w *pageWatch) Run() (again time.Time) {
	isOver, result := false, error(nil)
	guard.Then("a sign-in", func() error {
		isOver, result = w.look()
		return nil
	}, func(err error) { // also if what was asked has ended the goroutine
		if err != nil {
			isOver, result = true, err
		}
		if isOver {
			go w.done(result) // whose goroutine it is
		} else {
			again = time.Now().Add(w.every)
		}
	})
	return again
}

// read reads the record.
func (p *Page) read(ctx context.Context) (*record, error) {
	text, err := p.flights.records.Load(ctx, p.asked.Key)
	p.flights.heard(err)
	if err != nil {
		return nil, err
	}
	return decode(text)
}

// look looks at the record, and reports whether the waiting is over.
func (w *pageWatch) look() (isOver bool, result error) {
	p := w.page
	ctx, release := ending.During(w.ctx)
	defer release()
	if ctx.Err() != nil {
		return true, oauth.Ended(ctx, pageOp)
	}
	var r *record
	err := p.flights.silent()
	if err == nil {
		r, err = p.read(ctx)
	}
	if ctx.Err() != nil { // which is no failure of the store
		return true, oauth.Ended(ctx, pageOp)
	}
	now, link := time.Now(), p.Link()
	was := w.failing
	w.failing = err != nil
	switch {
	case err != nil && !was: // it is told once until it does not fail
		p.asked.Failed(err)
	case err != nil:
	case r.Page == nil && w.mine && !p.isBrought(ctx): // who knows of no pages has written it; what was ended is seen when the token comes
	case r.Page == nil && !w.mine && r.encode() != nil && !p.isBrought(ctx): // likewise
		if !p.answers(ctx, &link) {
			return true, ErrReplaced
		}
	case r.Page == nil:
		return true, ErrElsewhere
	case w.mine && (r.Page.Code != link.Code || r.Page.By != p.asked.Me) && w.hasCode(): // and looks again
	case r.Page.Code != link.Code:
		return true, ErrReplaced
	case w.mine && r.Page.By != p.asked.Me:
		p.saw(r.Page, false)
		return true, ErrTaken
	case w.mine:
	case r.Page.Over != nil:
		return true, r.Page.Over.errOf(pageOp)
	default:
		p.saw(r.Page, false)
		w.looks++
		answers := p.answers(ctx, r.Page)
		switch {
		case (!answers || w.looks%looksForGrant == 0) && p.isBrought(ctx):
			_ = p.change(ctx, true, func(r *record) { r.Page = nil })
			return true, ErrElsewhere
		case !r.Page.isOpen(now), answers:
		case r.Page.Turn+1 >= p.asked.Turns: // whoever waits asks anew
			return true, ErrReplaced
		case p.takeOver(ctx):
			return true, nil
		}
	}
	if !now.Before(link.Expires) && (!w.mine || !w.hasCode()) {
		return true, ErrLapsed
	}
	return false, nil
}
