package recorded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Habits are what a host does that no single recording tells, because the probe gave it no
// reason to: they were measured (docs/hosts.md), and are the double's rules.
type habits struct {
	limit         time.Duration // after which it gives a call up; 0 if it never does
	extends       bool          // its limit begins anew with every progress message
	pauses        bool          // its limit does not run while a dialog is open
	showsProgress bool          // to the person
}

// habitsOf is by the beginning of the name that a host gives itself.
var habitsOf = map[string]habits{
	"@cline/core":          {limit: time.Minute},
	"claude-code":          {},
	"codex-mcp-client":     {limit: 5 * time.Minute, pauses: true},
	"copilot-cli":          {limit: 3 * time.Minute, extends: true, showsProgress: true},
	"gemini-cli-mcp":       {limit: 10 * time.Minute, showsProgress: true},
	"gosdk":                {},
	"inspector-cli":        {limit: time.Minute},
	"inspector-tui":        {limit: time.Minute},
	"mark3":                {},
	"mcp-inspector":        {limit: time.Minute},
	"mcporter":             {limit: time.Minute},
	"opencode":             {limit: time.Minute, extends: true},
	"qwen-cli-mcp-client-": {limit: 5 * time.Minute, extends: true, showsProgress: true},
	"sdk1":                 {limit: time.Minute},
	"sdk2":                 {limit: time.Minute},
}

// Ends of a call other than the reasons of [lazyauth.Error].
const (
	ok          = "ok"
	gaveUp      = "gave up"
	interrupted = "interrupted"
)

// A double plays the part of a recorded host, of its model and of its person.
//
// From the recording: what the host says before its first call and how it is paced; what it
// declares; its calls, their order, their time and what is in their _meta; whether and how
// fast it answers which prompt with what; what it sends when it gives up, is interrupted or
// ends; that it cancels what was answered.
//
// The double's own rules: its habits; how it answers prompts that the probe did not send
// (the story says); that a prompt which it refused faster than a person can was not shown;
// that it retries what was answered input_required at once when it has the answer, with all
// that the call had, a new id and a new progress token; that its model passes a code in a
// result on to the person, and calls again when the person says that they have finished, or
// at once if the story says so or if there is nobody who could finish anything.
type double struct {
	t      *testing.T
	w      *world.World
	c      *conversation
	habits habits
	story  *recordedStory
	began  time.Time
	out    *io.PipeWriter

	wg       sync.WaitGroup // all that it does beside its opening
	ended    chan struct{}  // when it is over
	approved chan struct{}  // when the person has approved

	mu       sync.Mutex
	wire     []spoken            // what was said, in its order
	lastID   int                 // of the host's requests
	prompted int                 // how often it was asked
	requests map[string]*request // of the host, by id
	dialogs  map[string]*dialog
	decided  bool // the person is on their way
	broken   bool // a call has been interrupted

	// What came of it.
	channels []string // by which the prompt came, in their order
	seen     int      // prompts that the person had before their eyes
	calls    int      // tools/call requests
	ends     []string // of calls, as the model sees them
	handled  map[string]int
}

// Spoken is one message on the wire.
type spoken struct {
	at   time.Duration // since the conversation began
	host bool          // who said it
	rpc
}

// A request is one of the host.
type request struct {
	id       string
	token    string
	reply    chan rpc      // has room for one
	progress chan struct{} // has room for one
	withCode bool          // its progress had the code
}

// A dialog is an elicitation that the host was asked for by a server request.
type dialog struct {
	closed    context.Context // withdrawn by the server
	completed context.Context // by a completion
	answered  bool

	closeIt, complete context.CancelFunc
}

// play makes a world for the story and plays it to its end.
func play(t *testing.T, c *conversation, s *recordedStory) *double {
	t.Helper()
	late := new(laggard)
	set := world.Setup{AS: s.as, Options: s.options, Tools: func(w *world.World) { addProbeTools(w, c) }}
	if s.lag > 0 {
		set.Options.Transport = late
	}
	w := world.New(t, set)
	late.as, late.lag = w.AS, s.lag
	d := &double{
		t: t, w: w, c: c, story: s, habits: s.habitsOf(t, c), began: time.Now(),
		ended: make(chan struct{}), approved: make(chan struct{}),
		requests: make(map[string]*request), dialogs: make(map[string]*dialog), handled: make(map[string]int),
	}
	in, theirs := io.Pipe()
	ours, out := io.Pipe()
	d.out = out
	session, err := w.Server.Connect(context.Background(), &mcp.LoggingTransport{
		Transport: &mcp.IOTransport{Reader: ours, Writer: theirs}, Writer: &w.Wire,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { d.listen(in) })
	d.run()
	out.Close() // as hosts do: the end of input
	in.Close()
	reading.Wait()
	session.Wait()
	return d
}

// addProbeTools registers tools like those of the server that was recorded. They share one
// need, as theirs did. A host whose first try of the newer era was refused meets a server
// that does not speak it.
func addProbeTools(w *world.World, c *conversation) {
	if c.refused {
		w.Server = mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, &mcp.ServerOptions{SupportedProtocolVersions: []string{world.Legacy}})
	}
	type query struct {
		Query string `json:"query,omitempty"`
	}
	for _, name := range []string{"create", "search", "whoami"} {
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: name}, scopes.Of("profile"), world.Counted(w, name,
			func(ctx context.Context, _ *mcp.CallToolRequest, _ query) (*mcp.CallToolResult, world.Answer, error) {
				return w.Get(ctx, "/me")
			}))
	}
}

// run is all that the host says.
func (d *double) run() {
	defer d.wg.Wait()
	defer close(d.ended)
	if !d.open() {
		return
	}
	if n := len(d.w.AS.Journal()); n > 0 {
		d.t.Errorf("the authorization server had %d requests before the first call", n)
	}
	var calls sync.WaitGroup
	for _, call := range d.c.calls {
		calls.Go(func() {
			d.sleepUntil(call.at)
			d.model(call.rpc, call.id)
		})
	}
	calls.Wait()
	for _, again := range d.story.again {
		world.Later(again)
		d.model(d.c.calls[0].rpc, 0)
	}
	// Whatever is still to come must not disturb anybody.
	world.Later(2 * time.Minute)
	for _, line := range d.c.farewell {
		d.send(line.raw)
	}
	world.Later(time.Second)
}

func (d *double) sleepUntil(at time.Duration) { world.Later(at - time.Since(d.began)) }

// open says what the host says before its first call.
func (d *double) open() bool {
	for _, line := range d.c.opening {
		for _, id := range line.answered {
			answer, ok := d.await(d.requestOf(id))
			if !ok {
				d.t.Errorf("request %s of the opening was not answered", id)
				return false
			}
			if r := answer.Result; r != nil && r.ProtocolVersion != "" && r.ProtocolVersion != d.version() {
				d.t.Errorf("the server speaks %s, and the host has asked for %s", r.ProtocolVersion, d.version())
			}
			if e := answer.Error; e != nil && (e.Code != mcp.CodeUnsupportedProtocolVersion || !d.c.refused) {
				d.t.Errorf("request %s of the opening got error %d", id, e.Code)
			}
		}
		d.sleepUntil(line.at)
		if line.ID != nil {
			d.expect(string(line.ID), line.token())
		}
		d.send(line.raw)
	}
	for _, call := range d.c.calls {
		d.lastID = max(d.lastID, call.id)
	}
	return true
}

// version is what the host asks for in its handshake.
func (d *double) version() string {
	for _, line := range d.c.opening {
		if line.Method == "initialize" {
			return line.Params.ProtocolVersion
		}
	}
	return world.Modern
}

// await waits for the answer to a request of the opening, and puts it back.
func (d *double) await(l *request) (rpc, bool) {
	select {
	case m := <-l.reply:
		l.reply <- m
		return m, true
	case <-time.After(time.Minute):
		return rpc{}, false
	}
}

func (d *double) requestOf(id string) *request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests[id]
}

// expect notes that the host makes a request.
func (d *double) expect(id, token string) *request {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &request{id: id, token: token, reply: make(chan rpc, 1), progress: make(chan struct{}, 1)}
	d.requests[id] = l
	if n, err := strconv.Atoi(id); err == nil {
		d.lastID = max(d.lastID, n)
	}
	return l
}

// send writes a message.
func (d *double) send(raw []byte) {
	m, err := readMessage(raw)
	if err != nil {
		d.t.Errorf("the double's own message: %v", err)
	}
	d.mu.Lock()
	d.wire = append(d.wire, spoken{time.Since(d.began), true, m})
	if m.Method == "tools/call" {
		d.calls++
	}
	d.mu.Unlock()
	if _, err := d.out.Write(append(slices.Clone(raw), '\n')); err != nil {
		d.t.Errorf("the server does not listen any more: %v", err)
	}
}

func (d *double) say(v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		d.t.Error(err)
	}
	d.send(raw)
}

// listen reads what the server says until it says no more.
func (d *double) listen(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, err := readMessage(lines.Bytes())
		if err != nil {
			d.t.Errorf("not a message: %q: %v", lines.Bytes(), err)
			continue
		}
		d.read(m)
	}
}

func (d *double) read(m rpc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wire = append(d.wire, spoken{time.Since(d.began), false, m})
	switch m.Method {
	case "":
		if l := d.requests[string(m.ID)]; l != nil && len(l.reply) == 0 {
			l.reply <- m
		}
	case "notifications/progress":
		d.readProgress(m)
	case "elicitation/create":
		d.elicited(m)
	case "notifications/elicitation/complete":
		if dialog := d.dialogs[m.Params.ElicitationID]; dialog != nil {
			dialog.complete()
		}
	case "notifications/cancelled":
		if dialog := d.dialogs[string(m.Params.RequestID)]; dialog != nil {
			dialog.closeIt()
		}
	}
}

// readProgress takes a progress message to the request that it belongs to. d.mu is held.
func (d *double) readProgress(m rpc) {
	for _, l := range d.requests {
		if l.token == "" || l.token != inJSON(m.Params.ProgressToken) {
			continue
		}
		select {
		case l.progress <- struct{}{}:
		default:
		}
		if !l.withCode && world.UserCode.MatchString(m.Params.Message) {
			l.withCode = true
			d.channels = append(d.channels, "progress")
			if d.habits.showsProgress {
				d.sees(m.Params.Message, "", true)
			}
		}
	}
}

// elicited is what the host does when a server request asks it to show a prompt. d.mu is
// held.
func (d *double) elicited(m rpc) {
	react := d.prompt(m.Params.elicitationFields)
	shown := new(dialog)
	shown.closed, shown.closeIt = context.WithCancel(context.Background())
	shown.completed, shown.complete = context.WithCancel(context.Background())
	d.dialogs[string(m.ID)] = shown
	if id := m.Params.ElicitationID; id != "" {
		d.dialogs[id] = shown
	}
	if react.action == "" {
		return
	}
	d.wg.Go(func() {
		if react.late {
			select {
			case <-shown.completed.Done():
			case <-d.ended:
				return
			}
			world.Later(react.after)
		} else {
			select {
			case <-time.After(react.after):
			case <-shown.closed.Done(): // nobody can answer it any more
				return
			case <-d.ended:
				return
			}
		}
		d.mu.Lock()
		shown.answered = true
		d.mu.Unlock()
		d.say(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": said{react.action}})
	})
}

// prompt takes a prompt by elicitation and returns how the host will answer: as it was
// recorded, and when the recording has no more answers, as the story says. d.mu is held.
func (d *double) prompt(p elicitationFields) reactionTime {
	d.channels = append(d.channels, p.Mode)
	react, n := reactionTime{}, d.prompted
	d.prompted++
	switch further := n - len(d.c.answers); {
	case further < 0:
		react = d.c.answers[n]
	case further < len(d.story.further):
		react = d.story.further[further]
	default:
		d.t.Errorf("the host was asked %d times, which nobody expected", d.prompted)
	}
	if !react.byItself() {
		d.sees(p.Message, p.URL, !react.refuses())
	}
	return react
}
