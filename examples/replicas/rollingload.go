package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// A load is people who sign in and call, one after the other and side by side, until it ends. Their hosts forgive nothing: a
// call that is answered with an error, or not at all, is lost, and so is the prompt that its person has approved.
type load struct {
	round  *round
	people chan string
	last   chan struct{} // closed when nothing begins any more
	going  sync.WaitGroup

	mu    sync.Mutex
	tally rollingTally
}

// A rollingTally is what hosts and people have seen.
type rollingTally struct {
	signIns, prompts, calls int
	lost                    int // calls of which a prompt was approved, and that did not come through
	failed                  int // other calls that did not
	invalid                 int // answers with the code -32602
	fetched                 int // results of handlers in their middle whose host had hung up
	failures                map[string]int
}

// newcomers and regulars are how many people sign in at a time, and call at a time having done so.
const (
	newcomers = 4
	regulars  = 3
)

func newLoad(r *round, people []string) *load {
	l := &load{round: r, people: make(chan string, len(people)), last: make(chan struct{}), tally: rollingTally{failures: map[string]int{}}}
	for _, user := range people {
		l.people <- user
	}
	return l
}

func (l *load) begin(ctx context.Context) {
	for n := range newcomers {
		l.going.Go(func() {
			for n := n; ; n++ {
				user, ok := l.next(ctx)
				if !ok {
					return
				}
				l.signsIn(ctx, user, manners(n%int(mannersEnd)))
				l.calls(ctx, user, "once more")
			}
		})
	}
	for range regulars {
		l.going.Go(func() {
			user, ok := l.next(ctx)
			if !ok {
				return
			}
			l.signsIn(ctx, user, waits)
			for n := 0; l.goesOn(ctx); n++ { // the token is refreshed now and then
				text := fmt.Sprint("again ", n)
				if n%5 == 0 {
					text = slowly + text
				}
				l.calls(ctx, user, text)
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// end lets nothing begin any more, and waits for what has.
func (l *load) end() {
	close(l.last)
	l.going.Wait()
}

func (l *load) goesOn(ctx context.Context) bool {
	select {
	case <-l.last:
		return false
	case <-ctx.Done(): // each call would fail at once
		return false
	default:
		return true
	}
}

// next returns who signs in next, as long as the load goes on and there is somebody.
func (l *load) next(ctx context.Context) (user string, ok bool) {
	if !l.goesOn(ctx) {
		return "", false
	}
	select {
	case user := <-l.people:
		return user, true
	default:
		return "", false
	}
}

// manners are those of a host whose person has been shown the prompt.
type manners int

const (
	waits      manners = iota // it presents the state at once, and waits
	comesLater                // it presents it once the person is back from the browser
	hangsUp                   // it loses its connection while the handler runs, and presents the state once more
	mannersEnd
)

// hesitation is how long people take, at most.
const hesitation = time.Second

// signsIn has a person make their first call.
func (l *load) signsIn(ctx context.Context, user string, m manners) {
	text := user + " first"
	if m == hangsUp {
		if isFolder(l.round.processes.base.Store) { // there is no forwarding to who runs it
			m = waits
		} else {
			text = slowly + text
		}
	}
	h := &host{at: l.round.processes.public + server.ModernPath, token: user}
	who := &person{name: user, server: l.round.server}
	a, err := h.send(ctx, text, "", "")
	l.count(func(t *rollingTally) { t.calls++; t.signIns++ })
	if err != nil || a.state == "" {
		l.failed(false, "a first request", a, err)
		l.count(func(t *rollingTally) { t.signIns-- })
		return
	}
	l.count(func(t *rollingTally) { t.prompts++ })
	approved, prompt := make(chan error, 1), a
	go func() {
		time.Sleep(upTo(hesitation))
		approved <- who.approves(ctx, prompt)
	}()
	if m != waits {
		if err := <-approved; err != nil {
			l.failed(true, "approving", answer{}, err)
			return
		}
	}
	state, began := a.state, time.Now()
	if m == hangsUp {
		a, err = l.hangsUp(ctx, h, text, state)
	} else {
		a, err = h.send(ctx, text, state, "accept")
	}
	if m == waits {
		if err := <-approved; err != nil {
			l.failed(true, "approving", answer{}, err)
			return
		}
	}
	switch {
	case err != nil || a.failed:
		l.failed(true, "a retry", a, err)
	case a.state != "":
		l.count(func(t *rollingTally) { t.prompts++ })
		what := "asked again by the same prompt"
		if a.shown() != prompt.shown() {
			what = "asked again by another prompt"
		}
		what += fmt.Sprintf(" after %.1f s: %s", time.Since(began).Seconds(), l.round.server.tells(user, prompt.shown(), a.shown()))
		l.failed(true, what, a, nil)
	}
}

// hangsUp presents a state, loses the connection once the handler is in its middle, and presents it again.
func (l *load) hangsUp(ctx context.Context, h *host, text, state string) (answer, error) {
	type result struct {
		answer answer
		err    error
	}
	first, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan result, 1)
	other := host{at: h.at, token: h.token, id: h.id + 1000}
	go func() {
		a, err := other.send(first, text, state, "accept")
		got <- result{a, err}
	}()
	for !l.round.server.began(text) {
		select {
		case r := <-got:
			return r.answer, r.err
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	<-got // that it was cut off
	l.count(func(t *rollingTally) { t.fetched++ })
	return h.send(ctx, text, state, "accept")
}

// calls makes one call of somebody who has signed in.
func (l *load) calls(ctx context.Context, user, text string) {
	h := &host{at: l.round.processes.public + server.ModernPath, token: user}
	l.count(func(t *rollingTally) { t.calls++ })
	switch a, err := h.send(ctx, text+" of "+user, "", ""); {
	case err != nil || a.failed:
		l.failed(false, "a call", a, err)
	case a.state != "":
		l.count(func(t *rollingTally) { t.prompts++ })
		l.failed(false, "a call, whose person is asked again,", a, nil)
	}
}

func (l *load) count(change func(*rollingTally)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.tally)
}

func (l *load) failed(prompted bool, what string, a answer, err error) {
	why := what + ": " + a.reason + " " + a.text
	if err != nil {
		why = what + ": " + err.Error()
	}
	l.count(func(t *rollingTally) {
		t.failures[why]++
		switch {
		case errors.Is(err, errProtocol) && strings.Contains(why, "-32602"):
			t.invalid++
		case prompted:
			t.lost++
		default:
			t.failed++
		}
	})
}

// slowly is in front of notes that take the API a while.
const slowly = "slowly: "

const handlerTime = time.Second

// takesItsTime holds a slow note up.
func (j *journal) takesItsTime(text string) {
	if strings.HasPrefix(text, slowly) {
		j.begun.Store(text, true)
		time.Sleep(handlerTime)
	}
}

// began reports whether a handler is, or was, about to create a slow note.
func (j *journal) began(text string) bool {
	_, ok := j.begun.Load(text)
	return ok
}
