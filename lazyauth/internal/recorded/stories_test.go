package recorded_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A recordedStory is what comes of a recorded host, its model and its person with this
// library.
type recordedStory struct {
	title string // where there are several
	run   int    // which conversation of the recording
	as    fakeas.Options
	lag   time.Duration // of each request until the authorization server has issued a code

	options lazyauth.Options
	habits  *habits // in place of the host's own

	person  time.Duration   // takes so long from seeing the prompt until they have approved; 0 if they never do
	insists bool            // the model calls again without waiting for the person
	further []reactionTime  // to prompts beyond those that were recorded
	again   []time.Duration // the model calls once more, each so long after the last call

	channels []string // by which the prompt comes, in their order
	seen     int      // how many prompts the person sees
	anew     int      // how many codes are asked for after one that was declined
	calls    int      // tools/call requests
	ends     []string // of the calls, as the model sees them
}

func (s *recordedStory) habitsOf(t *testing.T, c *conversation) habits {
	t.Helper()
	if s.habits != nil {
		return *s.habits
	}
	for prefix, h := range habitsOf {
		if strings.HasPrefix(c.host, prefix) {
			return h
		}
	}
	t.Fatalf("nothing is known of %q", c.host)
	return habits{}
}

const (
	declined = string(lazyauth.ReasonDeclined)
	pending  = string(lazyauth.ReasonPending)
)

// Reactions that were not recorded.
var (
	unanswered  = reactionTime{}
	consents    = reactionTime{action: "accept", after: 2 * time.Second} // before sign-in
	refusesFast = reactionTime{action: "decline"}
	cancelsFast = reactionTime{action: "cancel"}
)

// slowly is an authorization server that takes 75 s until it has issued a code: 25 s to say
// that it has no OAuth metadata, and as long for each of the other two steps.
var (
	slowly  = fakeas.Options{NoMetadata: true, OpenID: true}
	slowlag = 25 * time.Second
)

// tooPatient is what an author sets who does not know that hosts give up after a minute.
var tooPatient = lazyauth.Options{MaxWait: 10 * time.Minute, Hosts: map[string]lazyauth.Host{}}

// textual is the story of a host that has nothing but the results of its calls.
func textual(run int) recordedStory {
	return recordedStory{run: run, person: 23 * time.Second,
		channels: []string{"text"}, seen: 1, calls: 2, ends: []string{pending, ok}}
}

// textualSlowly are the stories of such a host with a slow authorization server.
var textualSlowly = []recordedStory{
	{title: "answered in time", as: slowly, lag: slowlag, person: 23 * time.Second,
		channels: []string{"text"}, seen: 1, calls: 3, ends: []string{pending, pending, ok}},
	// Nobody tells the server. What the first call is answered with comes too late; the
	// second is there by then.
	{title: "gives up", as: slowly, lag: slowlag, options: tooPatient, person: 23 * time.Second,
		channels: []string{"text"}, seen: 1, calls: 3, ends: []string{gaveUp, pending, ok}},
}

// twoCalls is the story of the programs on SDKs, which make two calls at once.
func twoCalls(run, calls int, further ...reactionTime) recordedStory {
	return recordedStory{run: run, person: 2 * time.Second, further: further,
		channels: []string{"url"}, seen: 1, calls: calls, ends: []string{ok, ok}}
}

// unattended is the story of hosts that refuse whatever they are asked, without anybody.
func unattended(run, calls int) recordedStory {
	return recordedStory{run: run, further: []reactionTime{refusesFast}, again: []time.Duration{5 * time.Second},
		channels: []string{"url", "form"}, calls: calls, ends: []string{declined, declined}}
}

var recordedStories = map[string][]recordedStory{
	"claude-p.modern-auto-cancel": {
		// Nobody is there, and it says that somebody has closed the dialogs: so the next call
		// asks again, to no avail.
		{further: []reactionTime{cancelsFast, cancelsFast}, again: []time.Duration{5 * time.Second},
			channels: []string{"url", "form", "url", "form"}, calls: 6, ends: []string{declined, declined}},
	},
	"claude-tui.modern-accept": {
		{person: 12 * time.Second, channels: []string{"url"}, seen: 1, calls: 2, ends: []string{ok}},
	},

	"cline.plain":       {textual(0)},
	"cline.timeout-60s": textualSlowly,

	"codex-app-server.accept": {
		{run: 0, person: 4 * time.Second, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
		// ReasonDeclined by a person, who then is asked nothing for a minute, and thinks better
		// of it.
		{run: 1, person: 12 * time.Second, further: []reactionTime{unanswered}, again: []time.Duration{5 * time.Second, time.Minute},
			channels: []string{"url", "url"}, seen: 2, anew: 1, calls: 3, ends: []string{declined, declined, ok}},
		unattended(2, 2),
		{run: 3, person: 4 * time.Second, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
	},
	"codex-exec.decline": {unattended(0, 2)},
	"codex-tui.http-silent-decline": {
		// Links without TLS are declined in the person's name. A form is shown.
		{as: fakeas.Options{Issuer: "http://127.0.0.1:8080"}, person: 23 * time.Second, further: []reactionTime{unanswered},
			channels: []string{"url", "form"}, seen: 1, calls: 1, ends: []string{ok}},
	},
	"codex-tui.https-accept-after-signin": {
		{person: 12 * time.Second, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
		{title: "slow person", person: 7 * time.Minute, channels: []string{"url"}, seen: 1, calls: 2, ends: []string{pending, ok}},
	},

	"copilot-p.modern-auto-decline": {
		unattended(0, 4),
		// After a minute it is asked again, to no avail.
		{run: 1, further: []reactionTime{refusesFast, refusesFast, refusesFast}, again: []time.Duration{61 * time.Second},
			channels: []string{"url", "form", "url", "form"}, calls: 6, ends: []string{declined, declined}},
	},
	"copilot-tui.legacy-accept": {
		{person: 13 * time.Second, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
	},
	"copilot-tui.modern-accept": {
		{person: 46 * time.Second, channels: []string{"url"}, seen: 1, calls: 2, ends: []string{ok}},
		// Progress keeps the host from giving the call up.
		{title: "slow person", person: 6 * time.Minute, channels: []string{"url"}, seen: 1, calls: 2, ends: []string{ok}},
	},
	"copilot-tui.modern-cancel": {
		// Dismissed; the next call asks again, at once and with the same code.
		{person: 13 * time.Second, further: []reactionTime{consents}, again: []time.Duration{5 * time.Second},
			channels: []string{"url", "url"}, seen: 2, calls: 4, ends: []string{declined, ok}},
	},
	"copilot.interrupt": {
		// The person consents, and interrupts the call. The next one finds them in the
		// browser, and does not ask again.
		{person: 23 * time.Second, further: []reactionTime{consents}, again: []time.Duration{5 * time.Second},
			channels: []string{"url"}, seen: 1, calls: 3, ends: []string{interrupted, ok}},
	},
	"copilot.modern-parallel": {
		{person: 13 * time.Second, further: []reactionTime{consents},
			channels: []string{"url"}, seen: 1, calls: 3, ends: []string{ok, ok}},
	},

	"gemini.progress": {
		{person: 23 * time.Second, channels: []string{"progress"}, seen: 1, calls: 1, ends: []string{ok}},
		// After a minute the prompt is shown as text as well, in case that nobody sees the progress.
		{title: "slow person", person: 9 * time.Minute, channels: []string{"progress", "text"}, seen: 2, calls: 2, ends: []string{pending, ok}},
		{title: "slow person, and a model that insists", person: 9 * time.Minute, insists: true,
			channels: []string{"progress", "text", "progress"}, seen: 3, calls: 2, ends: []string{pending, ok}},
	},
	"gemini.parallel": {
		{person: 23 * time.Second, channels: []string{"progress"}, seen: 1, calls: 2, ends: []string{ok, ok}},
	},

	"go-sdk.legacy-accept": {twoCalls(0, 2)},
	"go-sdk.modern-accept": {twoCalls(0, 3)},

	"inspector-cli.plain": {textual(0)},
	"inspector-tui.legacy-never-answers": {
		{person: 13 * time.Second, channels: []string{"form"}, seen: 1, calls: 1, ends: []string{ok}},
		// The form stays where it is, so that nobody is asked twice.
		{title: "slow person", person: 80 * time.Second, insists: true,
			channels: []string{"form"}, seen: 1, calls: 2, ends: []string{pending, ok}},
	},
	"inspector-web.legacy": {
		{run: 0}, // it only looks around
		{run: 1, person: 12 * time.Second, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
		{run: 2, person: 12 * time.Second, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
		{run: 3, person: 12 * time.Second, further: []reactionTime{unanswered}, again: []time.Duration{5 * time.Second},
			channels: []string{"url", "url"}, seen: 2, calls: 2, ends: []string{declined, ok}},
	},
	"inspector-web.legacy-2": {
		{person: 8 * time.Second, further: []reactionTime{unanswered}, channels: []string{"url"}, seen: 1, calls: 1, ends: []string{ok}},
	},

	"mcp-go.legacy-accept": {twoCalls(0, 2)},
	"mcp-go.modern-accept": {twoCalls(0, 3)},

	"mcporter.plain":       {textual(0), textual(1)},
	"mcporter.timeout-60s": textualSlowly,

	"opencode.progress": {
		// It shows nothing, so that its model is shown the text; which then calls again at once, and
		// waits for as long as there is progress.
		{person: 3 * time.Minute, insists: true, channels: []string{"progress", "text", "progress"}, seen: 1, calls: 2, ends: []string{pending, ok}},
	},
	"opencode.timeout-60s": {
		{title: "answered in time", as: slowly, lag: slowlag, person: 23 * time.Second,
			channels: []string{"progress", "text", "progress"}, seen: 1, calls: 2, ends: []string{pending, ok}},
		{title: "gives up", as: slowly, lag: slowlag, habits: &habits{limit: time.Minute}, options: tooPatient, person: 23 * time.Second,
			channels: []string{"progress", "text", "progress"}, seen: 1, calls: 3, ends: []string{gaveUp, pending, ok}},
	},

	"qwen.progress": {
		{person: 23 * time.Second, channels: []string{"progress"}, seen: 1, calls: 1, ends: []string{ok}},
		{title: "slow person", person: 6 * time.Minute, insists: true,
			channels: []string{"progress", "text", "progress"}, seen: 3, calls: 2, ends: []string{pending, ok}},
	},

	"ts-sdk-v1.32042":         {twoCalls(0, 2, consents)},
	"ts-sdk-v1.accept":        {twoCalls(0, 2)},
	"ts-sdk-v2.legacy-accept": {twoCalls(0, 2)},
	"ts-sdk-v2.modern-accept": {
		{run: 0}, // it only asks which era the server speaks
		twoCalls(1, 3),
	},
}

func TestRecordedHosts(t *testing.T) {
	all := recordings(t)
	for name := range recordedStories {
		if all[name] == nil {
			t.Errorf("there is no recording %s", name)
		}
	}
	for name, conversations := range all {
		played := make(map[int]bool)
		for _, s := range recordedStories[name] {
			if s.run >= len(conversations) {
				t.Errorf("%s has no conversation %d", name, s.run)
				continue
			}
			played[s.run] = true
			title := name
			if len(conversations) > 1 {
				title += fmt.Sprintf(" %d", s.run)
			}
			if s.title != "" {
				title += ", " + s.title
			}
			t.Run(title, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { s.play(t, conversations[s.run]) })
			})
		}
		if len(played) != len(conversations) {
			t.Errorf("%s has %d conversations, of which %d are played", name, len(conversations), len(played))
		}
	}
}

// Whatever time the person takes, no host has to give a call up, and in the end the call
// succeeds; whether the model waits for the person or insists.
func TestRecordedHostsWithAnyPerson(t *testing.T) {
	for name, conversations := range recordings(t) {
		for n, c := range conversations {
			if len(c.calls) == 0 || slices.ContainsFunc(c.answers, reactionTime.refuses) {
				continue // nobody wants to sign in
			}
			for _, takes := range []time.Duration{time.Second, 58 * time.Second, 131 * time.Second, 317 * time.Second} {
				for _, insists := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %d, %v, insists: %t", name, n, takes, insists), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							s := &recordedStory{person: takes, insists: insists, further: slices.Repeat([]reactionTime{consents}, 8)}
							d := play(t, c, s)
							judge(t, d.wire)
							d.w.WantAuthorizations(1)
							for _, end := range d.ends {
								if end != ok && end != pending && (end != interrupted || c.gives == nil) {
									t.Errorf("a call ended with %q", end)
								}
							}
							if last := d.ends[len(d.ends)-1]; d.seen == 0 || last != ok && last != interrupted {
								t.Errorf("the person saw %d prompts, and the calls ended with %q", d.seen, d.ends)
							}
						})
					})
				}
			}
		}
	}
}

func (s *recordedStory) play(t *testing.T, c *conversation) {
	d := play(t, c, s)
	judge(t, d.wire)
	if !slices.Equal(d.channels, s.channels) {
		t.Errorf("the prompt came by %v, want %v", d.channels, s.channels)
	}
	if d.seen != s.seen {
		t.Errorf("the person saw %d prompts, want %d", d.seen, s.seen)
	}
	if d.calls != s.calls {
		t.Errorf("%d tools/call requests, want %d", d.calls, s.calls)
	}
	if !slices.Equal(d.ends, s.ends) {
		t.Errorf("the calls ended with %q, want %q", d.ends, s.ends)
	}
	want := 1 + s.anew
	if s.calls == 0 {
		want = 0
	}
	d.w.WantAuthorizations(want)
	for _, tool := range []string{"create", "search", "whoami"} {
		if starts, ends := d.w.Starts(tool), d.w.Stops(tool); starts != d.handled[tool] || ends != starts {
			t.Errorf("the handler of %s started %d times and ended %d times, for %d calls that succeeded", tool, starts, ends, d.handled[tool])
		}
	}
}

// A laggard lets an authorization server take its time until it has issued a code.
type laggard struct {
	as  *fakeas.Server
	lag time.Duration
}

func (l *laggard) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.as.Count(fakeas.DeviceAuthorization, fakeas.OK) == 0 {
		select {
		case <-time.After(l.lag):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return l.as.Transport().RoundTrip(req)
}
