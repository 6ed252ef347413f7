package hostcheck

import (
	"fmt"
	"time"
)

var completion = Scenario{
	Name: "completion", Title: "Completion notices, expected and not",
	Description: "While a prompt is open the server announces that another elicitation, which nobody knows, is complete; then " +
		"it announces the right one, twice, and once more when the call has its result. None of the stray ones has an effect.",
	Protocols: legacyOnly, Transports: everywhere,
	Checks: []string{"A7", "A18"},
	Ask:    "Ask your host to call notes_search with call set to stray, agree after a few seconds, then ask for call set to next.",
	script: script{
		steps: inTurn("stray", nextCall),
		play: func(f *flow) {
			if f.label == nextCall {
				f.text("3 notes found")
				return
			}
			playCompletion(f)
		},
		conclude: []func(*session){func(s *session) {
			stray := s.labelled("stray")
			if len(stray) == 0 || len(stray[0].s.prompts) == 0 {
				return
			}
			_, ok := s.goesOn()
			s.judge("A18", ok, "the host did not go on after a completion notice that it should ignore", stray[0].now().Event)
		}},
		guided: true,
	},
}

func playCompletion(f *flow) {
	s := f.s
	f.complete("nobody-knows-this-one")
	p := s.prompt("accept", 900*time.Millisecond)
	p.limit = f.patience()
	finished, announced := make(chan struct{}), time.Duration(0)
	go func() {
		defer close(finished)
		if f.wait(400 * time.Millisecond) {
			announced = s.Now()
			f.complete("nor-this-one")
		}
	}()
	a := f.ask(p)
	<-finished
	early := s.hasHook(HookShown) && a.at >= announced && (p.pressed == 0 || a.at < p.pressed)
	if !a.never {
		s.judge("A18", !early, fmt.Sprintf("a notice about another elicitation made the host answer with %q", a.said()), a.line.Event)
	}
	if a.action != "accept" {
		f.fail("nobody signed in")
		return
	}
	if f.signIn(p, 300*time.Millisecond) {
		f.complete(p.id)
		f.text("3 notes found")
		s.announce("notifications/elicitation/complete", map[string]any{"elicitationId": p.id})
	}
}

// announce sends a notification that belongs to no request: on a server's
// standard output, or on a stream that the host opened for that, if there is one.
func (s *session) announce(method string, params map[string]any) {
	channels := s.Streams()
	s.guard.Lock()
	if s.transport == Stdio && len(s.requests) > 0 {
		channels = append(channels, s.requests[len(s.requests)-1].back)
	}
	s.guard.Unlock()
	for _, c := range channels {
		if c.Send(notice(method, params)) == nil {
			return
		}
	}
}

var urlRequired = Scenario{
	Name: "url-required", Title: "Error -32042",
	Description: "In the older era a call fails with error -32042, which names two elicitations: the host shows both, and " +
		"retries when they are complete. In the newer era the error no longer exists, and is one like any other.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A19", "A20", "A21", "P5", "P12"},
	Ask: "Ask your host to call notes_search with call set to needs. In the older protocol it shows two dialogs; agree to both " +
		"and let it retry. Then ask for call set to next.",
	script: script{
		steps: inTurn("needs", nextCall),
		play: func(f *flow) {
			if f.label == nextCall {
				f.text("3 notes found")
				return
			}
			playURLRequired(f)
		},
		conclude: []func(*session){concludeURLRequired},
		guided:   true,
	},
}

// urlElicitationRequired is error -32042.
const urlElicitationRequired = -32042

func playURLRequired(f *flow) {
	s := f.s
	if s.protocol == Legacy && !f.now().declared.URL {
		s.block("the host declares no elicitation in url mode, so that it cannot be asked")
		f.fail("the host cannot be asked")
		return
	}
	calls := s.labelled(f.label)
	first := calls[0] == f
	if first {
		s.prompt("accept", 500*time.Millisecond)
		s.prompt("accept", 800*time.Millisecond)
	}
	s.guard.Lock()
	prompts := s.prompts[:2:2]
	finished := true
	list := make([]any, 0, 2)
	for _, p := range prompts {
		if first {
			s.issue(f, p)
		}
		finished = finished && p.signedIn != 0
		list = append(list, p.params(Legacy))
	}
	s.guard.Unlock()
	if finished {
		f.text("3 notes found, as you have signed in")
		return
	}
	f.rpcError(urlElicitationRequired, "This needs a sign-in.", map[string]any{"elicitations": list})
	if !first || s.protocol == Modern {
		return
	}
	// The person agrees to both, and signs in at both pages. Without a hook
	// nobody knows when; two seconds have to do.
	agreed := func() bool { return prompts[0].pressed != 0 && prompts[1].pressed != 0 }
	if s.hasHook(HookShown) && !s.await(s.ctx, 8*time.Second, agreed) || !s.hasHook(HookShown) && !s.sleep(2*time.Second) {
		return
	}
	if !s.sleep(500 * time.Millisecond) {
		return
	}
	s.guard.Lock()
	for _, p := range prompts {
		p.signedIn = s.Now()
	}
	s.guard.Unlock()
	for _, p := range prompts {
		s.announce("notifications/elicitation/complete", map[string]any{"elicitationId": p.id})
	}
	// Until the retry, or until it is clear that there will be none.
	s.await(s.ctx, 2*time.Second, func() bool { return len(s.flows) > 1 })
}

func concludeURLRequired(s *session) {
	calls := s.labelled("needs")
	if len(calls) == 0 || len(s.prompts) < 2 {
		return
	}
	if s.protocol == Modern {
		s.judge("P12", len(calls) <= 2, fmt.Sprintf("the call was made %d times", len(calls)), calls[len(calls)-1].rounds[0].Event)
		return
	}
	var retry *flow
	if len(calls) > 1 {
		retry = calls[1]
	}
	if retry != nil && s.prompts[0].signedIn != 0 && retry.rounds[0].At >= s.prompts[0].signedIn {
		s.find("A19", passed, "", retry.rounds[0].Event)
	} else {
		s.find("A19", noted, "the host does not retry when the elicitation is complete")
	}
	if !s.hasHook(HookShown) {
		return
	}
	for _, p := range s.prompts {
		switch {
		case len(p.dialogs) == 0:
			s.find("A21", failed, "an elicitation of error -32042 was not shown", calls[0].now().Event)
		case retry != nil && (p.pressed == 0 || retry.rounds[0].At < p.pressed):
			s.find("A21", failed, "the call was retried before the person had agreed", retry.rounds[0].Event)
		case retry == nil:
			s.find("A21", failed, "the call was not retried", calls[0].now().Event)
		default:
			s.find("A21", passed, "", p.dialogs[0].event, retry.rounds[0].Event)
		}
		for _, d := range p.dialogs {
			controls := map[string]bool{}
			for _, c := range d.Controls {
				controls[c] = true
			}
			s.judge("A20", controls["retry"] && controls["cancel"], fmt.Sprintf("meanwhile the person can do %v with the call", d.Controls), d.event)
		}
	}
}
