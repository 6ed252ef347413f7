package hostcheck

import (
	"time"
)

var consenting = Scenario{
	Name: "consent", Title: "A person agrees to sign in",
	Description: "A call needs a sign-in. The host shows who asks and where the URL leads, opens it only when the person has " +
		"agreed, out of its own sight, and says accept at that moment. The sign-in takes longer; the call waits for it. " +
		"The page behind the URL records who comes.",
	Protocols: both, Transports: everywhere,
	Checks: []string{
		"A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15", "A17", "A22", "A35", "B5",
		"P3", "P4", "P5", "P6", "P10", "P18",
	},
	Ask: "Look at the dialog for a few seconds, agree, open the page, and wait for the result.",
	script: script{
		steps: inTurn("sign-in"),
		play: func(f *flow) {
			p := f.s.prompt("accept", 1500*time.Millisecond)
			p.limit = f.patience()
			if a := f.ask(p); a.action != "accept" {
				f.fail("nobody signed in: " + a.said())
				return
			}
			if f.signIn(p, 1500*time.Millisecond) {
				f.text("3 notes found, now that you are signed in")
			}
		},
		guided: true,
	},
}

// glimpsed waits until a host that reports what it shows has shown a prompt, which on a
// busy machine takes longer than the server waits for an answer.
func (s *session) glimpsed(p *prompt) {
	if s.hasHook(HookShown) {
		s.await(s.ctx, 20*time.Second, func() bool { return len(p.dialogs) > 0 || p.got != nil })
	}
}

// patience is how long an answer may take that is not the point.
func (f *flow) patience() time.Duration { return f.allow(20 * time.Second) }

// allow is how long something may take that takes a script no longer than d: a person
// has more time.
func (f *flow) allow(d time.Duration) time.Duration {
	if f.s.guided {
		return 10 * time.Minute
	}
	return d
}

var refusing = Scenario{
	Name: "refusal", Title: "A person agrees once, then declines, and dismisses",
	Description: "The first prompt is agreed to. The second one, which leads to the same site, is declined, and the third one " +
		"dismissed. The host shows each of them, says which, opens nothing more, gives the model the error, and does not try " +
		"again by itself.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A7", "A8", "A11", "A12", "A34", "P3", "P4", "P9"},
	Ask:    "Agree to the first dialog, decline the second one, and dismiss the third one: press Escape, or close it.",
	script: script{
		steps: inTurn("agreed", "declined", "cancelled"),
		play: func(f *flow) {
			press := map[string]string{"agreed": "accept", "cancelled": "cancel"}[f.label]
			if press == "" {
				press = "decline"
			}
			p := f.question(press, 1200*time.Millisecond)
			p.limit = f.patience()
			if len(f.s.labelled(f.label)) > 1 {
				f.fail("nobody signed in: the prompt got " + press)
				return
			}
			a := f.ask(p)
			switch {
			case f.s.protocol == Modern && a.never: // the host is free to end the call by itself
			case a.action == "accept" && press == "accept":
				f.text(foundText)
			default:
				f.fail("nobody signed in: the prompt got " + a.said())
			}
		},
		guided: true,
	},
}

var unanswered = Scenario{
	Name: "unanswered", Title: "Nobody answers",
	Description: "The person looks away. For as long as the server waits, the host makes up no answer, opens nothing, and " +
		"does not look at the page either.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A11", "A12", "P3", "P4"},
	Ask:    "Leave the dialog alone for ten seconds, until the step is over.",
	script: script{
		steps: inTurn("left-alone"),
		play: func(f *flow) {
			p := f.question("", 0)
			if p.limit = 3 * time.Second; f.s.guided {
				p.limit = 10 * time.Second
			}
			if a := f.ask(p); !a.never {
				f.fail("nobody signed in: the prompt got " + a.said())
				return
			}
			f.s.glimpsed(p)
			if f.s.protocol == Legacy {
				f.notify("notifications/cancelled", map[string]any{"requestId": elicitID + p.id, "reason": "it took too long"})
				f.fail("nobody signed in, and time is up")
			}
		},
		guided: true,
	},
}

var oddURLs = Scenario{
	Name: "odd-urls", Title: "URLs that a host should not trust",
	Description: "Three prompts: with an address in Punycode, with a javascript: URL, and with a URL that a shell would run. " +
		"The host warns of the first, and opens neither of the others in a way that does harm. It may refuse them.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A16", "P15", "P16"},
	Ask:    "Decline the first dialog, and agree to the other two, if you are asked at all: what they open does no harm.",
	script: script{
		steps:  inTurn("punycode", "script", "shell"),
		play:   playOddURL,
		guided: true,
	},
}

func playOddURL(f *flow) {
	p := f.s.prompt("accept", 300*time.Millisecond)
	p.odd, p.limit = true, f.patience()
	switch f.label {
	case "punycode":
		p.url, p.press = "http://xn--ntbook-dya.example/sign-in?p="+p.id, "decline"
	case "script":
		p.url = "javascript:fetch('" + f.s.canary + "/script')"
	case "shell":
		p.url += "&next=$(curl${IFS}" + f.s.canary + "/shell);exit&" + "`id`"
	}
	if a := f.ask(p); f.s.protocol == Modern && a.never {
		return
	}
	f.fail("nobody signed in")
}

var burst = Scenario{
	Name: "burst", Title: "Twenty-five prompts at once",
	Description: "A server that has gone wrong sends 25 prompts within one call. The person is not flooded: the host shows " +
		"them a few at a time, or refuses most.",
	Protocols: legacyOnly, Transports: everywhere,
	Checks: []string{"A23"},
	Ask:    "See how many dialogs come at once. Dismiss them.",
	script: script{
		steps: inTurn("burst"),
		play: func(f *flow) {
			answers := make(chan answer)
			const n = 25
			for range n {
				p := f.s.prompt("cancel", 300*time.Millisecond)
				p.odd, p.limit = true, f.patience()
				go func() { answers <- f.elicit(p) }()
			}
			for range n {
				<-answers
			}
			f.fail("nobody signed in")
		},
		guided: true,
	},
}
