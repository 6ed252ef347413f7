package signin //nolint:testpackage // the person and the script are all that there is here

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// The script calls until it has what was wanted, three times at the most, and
// leaves time for the person between two calls.
func TestScript(t *testing.T) {
	const none, some = "sign in first", "You are Ada Example"
	for _, test := range []struct {
		results []string
		calls   int
		waits   time.Duration
		words   string
	}{
		{nil, 1, 0, ""},
		{[]string{some}, 0, 0, some},
		{[]string{none}, 1, pause, ""},
		{[]string{none, some}, 0, 0, some},
		{[]string{none, none, none}, 0, 0, none},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, began := newScript(), time.Now()
			calls, words := s.Next(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), test.results)
			if len(calls) != test.calls || time.Since(began) != test.waits || !strings.HasSuffix(words, test.words) {
				t.Errorf("after %q: %d calls after %v, and %q", test.results, len(calls), time.Since(began), words)
			}
			select {
			case <-s.done:
				if test.calls > 0 {
					t.Error("it is done, and calls")
				}
			default:
				if test.calls == 0 {
					t.Error("it is not done, and says its last words")
				}
			}
		})
	}
}

// A person with no authorization server to go to, who is on their way or is not.
func onTheirWay(t *testing.T, progress bool, happens func(*person)) (went bool) {
	t.Helper()
	p := &person{progress: progress, codes: true}
	p.begin()
	happens(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil && p.timer.Stop() {
		return true
	}
	return false
}

// The person goes by what they can see: not by progress that the agent does not
// show, nor by what it refused in their name.
func TestPerson_Sees(t *testing.T) {
	prompt := &record.Prompt{Mode: "url"}
	byURL, byText := &record.Sighting{Way: "url", Prompt: prompt}, &record.Sighting{Way: "text"}
	progress := &record.Sighting{Way: "progress"}
	for name, test := range map[string]struct {
		shows   bool
		happens func(*person)
		want    bool
	}{
		"nothing":                  {false, func(*person) {}, false},
		"a prompt":                 {false, func(p *person) { p.sees(byURL) }, true},
		"progress that is shown":   {true, func(p *person) { p.sees(progress) }, true},
		"progress that is not":     {false, func(p *person) { p.sees(progress) }, false},
		"a text":                   {false, func(p *person) { p.sees(byText) }, true},
		"a prompt that is refused": {false, func(p *person) { p.sees(byURL); prompt.Answer = "decline"; p.answered(prompt) }, false},
		"refused, and then a text": {false, func(p *person) { p.sees(byURL); prompt.Answer = "cancel"; p.answered(prompt); p.sees(byText) }, true},
		"a prompt that is accepted": {false, func(p *person) {
			p.sees(byURL)
			prompt.Answer = "accept"
			p.answered(prompt)
		}, true},
	} {
		prompt.Answer = ""
		if got := onTheirWay(t, test.shows, test.happens); got != test.want {
			t.Errorf("%s: on their way %t, want %t", name, got, test.want)
		}
	}
}

// Where the server's process ends while they read, they go once it has; where they quit the program
// themselves, they go by what they have read there.
func TestPerson_WaitsForTheEnd(t *testing.T) {
	prompt := &record.Prompt{Mode: "url"}
	text, url := &record.Sighting{Way: "text", Process: 7}, &record.Sighting{Way: "url", Prompt: prompt, Process: 7}
	for name, test := range map[string]struct {
		happens func(*person)
		want    bool
	}{
		"it lives":               {func(p *person) { p.sees(text) }, false},
		"it has ended":           {func(p *person) { p.sees(text); p.over(7) }, true},
		"another one has ended":  {func(p *person) { p.sees(text); p.over(6) }, false},
		"nobody has seen a word": {func(p *person) { p.over(7) }, false},
		"they quit": {func(p *person) {
			p.leaves = true
			p.sees(url)
			prompt.Answer, prompt.After = "error", 2*time.Second
			p.answered(prompt)
			p.over(7)
		}, true},
		"it refuses by itself": {func(p *person) {
			p.leaves = true
			p.sees(url)
			prompt.Answer, prompt.After = "decline", 2*time.Millisecond
			p.answered(prompt)
			p.over(7)
		}, false},
	} {
		*prompt = record.Prompt{Mode: "url"}
		if got := onTheirWay(t, false, func(p *person) { p.waits = true; test.happens(p) }); got != test.want {
			t.Errorf("%s: on their way %t, want %t", name, got, test.want)
		}
	}
}

// A process that was killed has no line about its end in the recording.
func TestPerson_ItWasKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	server := exec.CommandContext(t.Context(), "sleep", "60")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	text := &record.Sighting{Way: "text", Process: server.Process.Pid}
	looks := func(p *person) { p.waits = true; p.sees(text); p.looksWhetherItLives() }
	if onTheirWay(t, false, looks) {
		t.Error("it lives, and they are on their way")
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	var ended map[int]time.Time
	if !onTheirWay(t, false, func(p *person) { looks(p); ended = p.record.Ended }) || ended[server.Process.Pid].IsZero() {
		t.Errorf("it was killed, and they wait; ended: %v", ended)
	}
}

// Who calls again does so when the person has decided, if there is anything to decide.
func TestPerson_Wait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &person{}
		p.begin()
		p.wait(t.Context())
		p.sight = &record.Sighting{}
		began := time.Now()
		time.AfterFunc(time.Hour, func() { close(p.decided) })
		if p.wait(t.Context()); time.Since(began) != time.Hour {
			t.Errorf("it took %v", time.Since(began))
		}
	})
}

// What becomes of a sign-in that outlives the process that began it.
func TestKept(t *testing.T) {
	start := time.Now()
	p := &person{as: &authorizationServer{Server: fakeas.New(nil)}, went: start.Add(5 * time.Second)}
	p.begin()
	p.record.Sighted = []*record.Sighting{{Way: "progress"}, {Way: "text"}}
	p.record.Calls = []*record.Call{
		{Process: 1, Ended: start, Failed: true, Reason: "pending"}, {Process: 2, Ended: start, Text: wanted}, {Process: 3, Ended: start, Text: wanted},
	}
	p.record.Ended = map[int]time.Time{1: start.Add(4 * time.Second)}
	k := p.kept("A host")
	if k.Begun() != "ended: pending" || k.Later() != "result, result" || !k.Outlived || k.Shown != 1 || k.Codes != 0 || k.Title != "A host" {
		t.Errorf("%+v", k)
	}
	for name, ended := range map[string]map[int]time.Time{"later": {1: start.Add(6 * time.Second)}, "never": nil, "another one": {2: start}} {
		p.record.Ended = ended
		if p.kept("").Outlived {
			t.Errorf("ended %s, and the sign-in has outlived it", name)
		}
	}
	p.record.Calls = []*record.Call{{Process: 1, Ended: start, Failed: true, GivenUp: true}, {Process: 1, Ended: start, Text: wanted}}
	if k := p.kept(""); k.Begun() != "ended: given up; then result" || k.Later() != "there was none" {
		t.Errorf("%s; %s", k.Begun(), k.Later())
	}
}

// What a result says of the calls, and of how the person was asked.
func TestResult(t *testing.T) {
	start := time.Now()
	p := &person{progress: false, codes: true, done: start.Add(5 * time.Second)}
	p.begin()
	refused := &record.Prompt{Mode: "url", Answer: "decline", After: 10 * time.Millisecond}
	p.record.Prompts = []*record.Prompt{refused}
	p.record.Sighted = []*record.Sighting{
		{Way: "url", Prompt: refused}, {Way: "progress"}, {Way: "text", Code: "BCDF-GHJK", At: start.Add(time.Second)}, {Way: "text"},
	}
	p.sight = p.record.Sighted[2]
	p.record.Calls = []*record.Call{
		{Began: start, Ended: start.Add(time.Second), Failed: true, Reason: "pending"},
		{Began: start.Add(4 * time.Second), Ended: start.Add(7 * time.Second), Text: "You are Ada Example."},
	}
	r := p.result("\x1b[1m│ The code is BCDF-\nGHJK │")
	if got := strings.Join(r.Ways, "; "); got != "url, refused by the agent itself; text" {
		t.Errorf("asked by %s", got)
	}
	if r.First() != "ended: pending; then result" || !r.Answered || r.Resumes != 2*time.Second || r.Learnt != time.Second || !r.Drawn {
		t.Errorf("%s: %+v", r.First(), r)
	}
	p.record.Calls = p.record.Calls[1:]
	if r := p.result(""); r.First() != "resumed" || r.Drawn {
		t.Errorf("%s: %+v", r.First(), r)
	}
}

func personWho(action string) func(context.Context, string, string, string) (string, error) {
	return func(context.Context, string, string, string) (string, error) { return action, nil }
}

// An adapter is given the calls, and a person who answers its dialogs.
func TestControl(t *testing.T) {
	s, err := agents.NewSession(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var screen strings.Builder
	s.Log, s.Server = &screen, agents.Server{Name: "notes", Command: []string{"server"}}
	s.Ask = personWho("accept")
	c := newControl(1, s, nil)
	for _, test := range []struct{ method, path, body, want string }{
		{http.MethodGet, "/task?hooks=outcome", "", `"name":"notes"`},
		{http.MethodPost, "/shown", `{"message":"Open it","url":"https://a.test/"}`, `"dialog":"dialog"`},
		{http.MethodGet, "/press?dialog=dialog", "", `"action":"accept"`},
		{http.MethodPost, "/opened", `{}`, ""},
		{http.MethodPost, "/outcome", `{"text":"You are Ada Example."}`, ""},
	} {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body)))
		if w.Code/100 != 2 || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s: status %d, %s", test.path, w.Code, w.Body)
		}
	}
	if got := screen.String(); got != "Open it\nhttps://a.test/\nYou are Ada Example.\n" {
		t.Errorf("on the screen: %q", got)
	}
}
