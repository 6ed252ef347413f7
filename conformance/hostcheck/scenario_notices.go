package hostcheck

import (
	"time"
)

var completion = Scenario{
	Name: "completion", Title: "Completion notices, expected and not",
	Description: "While a prompt is open the server announces that another elicitation, which nobody knows, is complete; then " +
		"it announces the right one, twice, and once more when the call has its result. None of the stray ones has an effect.",
	Protocols: legacyOnly, Transports: everywhere,
	Checks: []string{"A7", "A18"},
	Ask:    "Agree to the dialog after a few seconds.",
	script: script{
		steps: inTurn("stray", nextCall),
		play: func(f *flow) {
			if f.label == nextCall {
				f.text(foundText)
				return
			}
			playCompletion(f)
		},
		guided: true,
	},
}

func playCompletion(f *flow) {
	s := f.s
	p := s.prompt("accept", 900*time.Millisecond)
	p.limit = f.patience()
	f.complete("nobody-knows-this-one")
	if !f.wait(500 * time.Millisecond) { // so that what comes of it is not taken for what comes of the prompt
		return
	}
	finished, announced := make(chan struct{}), time.Duration(0)
	go func() {
		defer close(finished)
		if f.wait(400 * time.Millisecond) {
			announced = s.moment()
			s.guard.Lock()
			s.strayed = announced
			s.guard.Unlock()
			f.complete("nor-this-one")
		}
	}()
	a := f.ask(p)
	<-finished
	early := s.hasHook(HookShown) && a.at >= announced && (p.pressed == 0 || a.at < p.pressed)
	if !a.never {
		judgePlayed("A18", occasion{flow: f, answer: a, ok: !early})
	}
	if a.action != "accept" {
		f.fail("nobody signed in")
		return
	}
	if f.signIn(p, 300*time.Millisecond) {
		f.complete(p.id)
		f.text(foundText)
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
	Ask:    "In 2025-11-25 the first call shows two dialogs. Agree to both, and let your host retry.",
	script: script{
		steps: inTurn("needs", nextCall),
		play: func(f *flow) {
			if f.label == nextCall {
				f.text(foundText)
				return
			}
			playURLRequired(f)
		},
		guided: true,
	},
}

// urlElicitationRequired is error -32042.
const urlElicitationRequired = -32042

func playURLRequired(f *flow) {
	s := f.s
	if s.protocol == Legacy && !f.now().declared.URL {
		s.excuse("the host declares no elicitation in url mode")
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
			p.noReply, p.odd = true, s.protocol == Modern
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
	if !s.hasHook(HookShown) && !s.sleep(2*time.Second) {
		return
	}
	if s.hasHook(HookShown) && !s.await(s.ctx, f.patience(), agreed) { // it may have it since its first report alone
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
	s.await(s.ctx, 10*time.Second, func() bool { return len(s.flows) > 1 })
}
