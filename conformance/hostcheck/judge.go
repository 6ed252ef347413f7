package hostcheck

import (
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A judge records what occasions come to for one requirement.
type judge struct {
	observer *observer
	id       string
}

func (j judge) pass(events ...int)              { j.observer.find(j.id, passed, "", events...) }
func (j judge) fail(text string, events ...int) { j.observer.find(j.id, failed, text, events...) }
func (j judge) skip(text string, events ...int) { j.observer.find(j.id, needless, text, events...) }
func (j judge) note(text string, events ...int) { j.observer.find(j.id, noted, text, events...) }

// that passes or, with the text, fails.
func (j judge) that(ok bool, text string, events ...int) { j.observer.judge(j.id, ok, text, events...) }

// exceptInitialize is for what every request of the newer era has: initialize is
// none, and a host that sends it there is told so otherwise.
func exceptInitialize(request func(judge, *call)) func(judge, *call) {
	return func(j judge, c *call) {
		if c.Method != "initialize" {
			request(j, c)
		}
	}
}

// each calls f with every requirement that an observer decides, in the order of the
// catalogue.
func each(o *observer, f func(Requirement, judge)) {
	for _, r := range catalogue {
		if slices.Contains(o.decides, r.ID) {
			f(r, judge{o, r.ID})
		}
	}
}

// judgeBy has what happened judged by every requirement that has this function for it.
func judgeBy[T any](o *observer, function func(Requirement) func(judge, T), happened T) {
	each(o, func(r Requirement, j judge) {
		if f := function(r); f != nil {
			f(j, happened)
		}
	})
}

func judgeLine(s *session, l *wire.Line) {
	each(s.observer, func(r Requirement, j judge) {
		if r.line != nil {
			r.line(j, s, l)
		}
	})
}

func judgePost(o *observer, happened *wire.Line) {
	judgeBy(o, func(r Requirement) func(judge, *wire.Line) { return r.post }, happened)
}

func judgeBare(s *session, b *wire.Bare) {
	each(s.observer, func(r Requirement, j judge) {
		if r.bare != nil {
			r.bare(j, s, b)
		}
	})
}

func judgeResponse(o *observer, happened *wire.Line) {
	judgeBy(o, func(r Requirement) func(judge, *wire.Line) { return r.response }, happened)
}

func judgeRequest(o *observer, happened *call) {
	judgeBy(o, func(r Requirement) func(judge, *call) { return r.request }, happened)
}

func judgeFresh(o *observer, happened *call) {
	judgeBy(o, func(r Requirement) func(judge, *call) { return r.fresh }, happened)
}

func judgeStarted(o *observer, happened *flow) {
	judgeBy(o, func(r Requirement) func(judge, *flow) { return r.started }, happened)
}

func judgeRetry(o *observer, happened *retry) {
	judgeBy(o, func(r Requirement) func(judge, *retry) { return r.retry }, happened)
}

func judgeCancellation(o *observer, happened *cancellation) {
	judgeBy(o, func(r Requirement) func(judge, *cancellation) { return r.cancelled }, happened)
}

func judgeEnd(s *session) {
	judgeBy(s.observer, func(r Requirement) func(judge, *session) { return r.end }, s)
}

// judgePrompt judges a prompt when all is over: by the messages, and by what the
// host reported.
func judgePrompt(s *session, p *prompt) {
	each(s.observer, func(r Requirement, j judge) {
		if r.answered != nil {
			r.answered(j, s, p)
		}
	})
	each(s.observer, func(r Requirement, j judge) {
		if r.shown != nil && s.hasHook(HookShown) {
			r.shown(j, s, p)
		}
	})
	each(s.observer, func(r Requirement, j judge) {
		if r.opened != nil && p.mode == "url" && s.hasHook(HookOpened) {
			r.opened(j, s, p)
		}
	})
	each(s.observer, func(r Requirement, j judge) {
		if r.reported != nil && p.mode == "url" && s.hasHook(HookOutcome) {
			r.reported(j, s, p)
		}
	})
}

// An occasion is what came of something that a scenario did to a host, to find out
// about a requirement.
type occasion struct {
	flow   *flow
	prompt *prompt // what was asked, if anything
	answer answer
	ok     bool // it was as it should be; the prompt and its answer say more
	took   time.Duration
	event  int // in which it shows; 0 for the latest request of the flow
}

// endedByHost says whether the person refused, and the host ended the call by itself
// in place of a retry: "Servers MUST NOT assume that clients will fulfill the
// inputRequests or retry the original request."
func (o occasion) endedByHost() bool {
	shown := len(o.prompt.dialogs) > 0 || !o.flow.s.hasHook(HookShown)
	return o.flow.s.protocol == Modern && o.answer.never && o.prompt.press != "accept" && shown
}

func (o occasion) at() int {
	if o.event != 0 {
		return o.event
	}
	return o.flow.now().Event
}

// judgePlayed judges an occasion by a requirement.
func judgePlayed(id string, o occasion) {
	each(o.flow.s.observer, func(r Requirement, j judge) {
		if r.ID == id {
			r.played(j, o)
		}
	})
}
