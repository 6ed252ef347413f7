// Package refhost is a host that meets every requirement of the conformance
// suite, and that can be told to miss one, or to be out of the ordinary in a way
// that no requirement is about.
//
// It has a client of its own, by hand, and not that of the SDK: a host that is
// to be wrong in exactly one way has to be in control of every byte, and the
// SDK's client (v1.8.0) would miss some of the checks itself. It never sends
// progress tokens by itself nor lets progress prolong a call, leaves
// restarting a dead server and re-issuing a request whose stream broke to its
// caller, waits without end for the completion notice after error -32042, and
// takes a context for what a call time-out is.
package refhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A Launch is what the host needs of the suite.
type Launch struct {
	Task    hostcheck.Task
	Control string // the control endpoint
	// Server starts the stdio server; closing what it returns ends it.
	Server func(ctx context.Context) (io.ReadWriteCloser, error)
	// Dial replaces the network; nil means the machine's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Habit is in what the host is out of the ordinary, without being wrong.
	Habit Habit
}

// host is one run.
type host struct {
	launch Launch
	fault  Fault
	habit  Habit
	web    *http.Client // for MCP
	desk   *http.Client // for the control endpoint, and for pages
	begun  context.Context
	crash  context.CancelCauseFunc // ends everything with an error
	dialog chan struct{}           // room for dialogs on the screen

	mu       sync.Mutex
	peer     *client // nil until connected, and after the server died
	peers    []*client
	late     sync.WaitGroup // for what is opened late
	open     int            // dialogs that are open
	turned   chan struct{}
	finished map[string]chan struct{} // by elicitation: closed by the completion notice
	closing  chan struct{}            // closed and replaced: every open dialog goes away (a fault)
	refused  int                      // how many prompts the person refused
	stash    stash
}

// stash is what faulty hosts carry from one call to another.
type stash struct {
	responses map[string]response
	state     *string
	agreed    map[string]bool // by host: the person agreed to go there
	cached    map[string]outcome
	dawdled   bool
}

// An outcome is what a call comes to.
type outcome struct {
	text   string
	failed bool
}

// Run does the task, and returns when it is done or ctx ends.
func Run(ctx context.Context, launch Launch, fault Fault) error {
	transport := &http.Transport{DialContext: launch.Dial, DisableCompression: true}
	defer transport.CloseIdleConnections()
	ctx, crash := context.WithCancelCause(ctx)
	defer crash(nil)
	h := &host{
		crash:  crash,
		launch: launch, fault: fault, habit: launch.Habit, begun: ctx,
		web: &http.Client{Transport: transport}, desk: &http.Client{Transport: transport},
		dialog: make(chan struct{}, 2), turned: make(chan struct{}), closing: make(chan struct{}),
		finished: make(map[string]chan struct{}),
	}
	if fault == AllDialogsAtOnce {
		h.dialog = make(chan struct{}, 1000)
	}
	if err := h.announce(ctx); err != nil {
		return err
	}
	defer h.hangUp()
	defer h.late.Wait()
	for _, step := range h.launch.Task.Steps {
		if err := h.step(ctx, step); errors.Is(err, errQuits) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// step makes calls side by side.
func (h *host) step(ctx context.Context, calls []hostcheck.Call) error {
	if len(calls) > 1 {
		// So that they do not connect twice.
		if _, err := h.connected(ctx); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Go(func() {
			out := h.call(ctx, c)
			h.report(ctx, c.ID, out)
		})
		if h.habit == OneCallAtATime {
			wg.Wait()
		}
	}
	wg.Wait()
	if h.fault == ServerForEachCall {
		h.endServer()
	}
	return context.Cause(ctx)
}

// call is one call as the model makes it.
func (h *host) call(ctx context.Context, c hostcheck.Call) outcome {
	key := string(mustJSON([]any{c.Tool, c.Arguments, c.Resource, c.Prompt}))
	if h.fault == CachesCalls {
		if out, ok := h.cached(key); ok {
			return out
		}
	}
	out, refused := h.attempt(ctx, c)
	if h.fault == RepeatsDeclined && refused {
		out, _ = h.attempt(ctx, c)
	}
	if h.fault == CachesCalls {
		h.mu.Lock()
		if h.stash.cached == nil {
			h.stash.cached = make(map[string]outcome)
		}
		h.stash.cached[key] = out
		h.mu.Unlock()
	}
	if h.fault == HidesErrors && out.failed {
		out.text = "the tool failed"
	}
	return out
}

func (h *host) cached(key string) (outcome, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out, ok := h.stash.cached[key]
	return out, ok
}

// attempt makes the call until there is a result. It says whether a person
// refused on the way.
func (h *host) attempt(ctx context.Context, c hostcheck.Call) (outcome, bool) {
	p, err := h.connected(ctx)
	if err != nil {
		return failure(err), false
	}
	switch h.fault {
	case CrashesAtOnce:
		h.crash(errors.New("segmentation fault"))
		return failure(context.Cause(ctx)), false
	case Hangs:
		<-ctx.Done()
		return failure(context.Cause(ctx)), false
	case EndsMidCall:
		if c.ID == "second" {
			time.AfterFunc(time.Millisecond, func() { h.crash(errQuits) })
		}
	}
	if p.modern {
		return h.rounds(ctx, p, c)
	}
	refusedBefore := h.refusals()
	for range 3 {
		r, err := p.request(ctx, "tools/call", h.params(c), c)
		if err != nil && p.dead() && ctx.Err() == nil && sessionLost(err) {
			if p, err = h.connected(ctx); err == nil {
				continue // in the new session
			}
		}
		if err != nil {
			return failure(err), false
		}
		if again, out := h.required(ctx, c.ID, r); !again {
			return out, h.refusals() > refusedBefore
		}
	}
	return outcome{"the server keeps asking for a sign-in", true}, false
}

// sessionLost says whether a request came to nothing since its session had ended.
func sessionLost(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.status == http.StatusNotFound
}

// method is that of a request of the task.
func method(c hostcheck.Call) string {
	switch {
	case c.Resource != "":
		return "resources/read"
	case c.Prompt != "":
		return "prompts/get"
	}
	return "tools/call"
}

// params are those of such a request.
func (h *host) params(c hostcheck.Call) map[string]any {
	switch {
	case c.Resource != "":
		return map[string]any{"uri": c.Resource}
	case c.Prompt != "":
		return map[string]any{"name": c.Prompt, "arguments": c.Arguments}
	}
	return map[string]any{"name": c.Tool, "arguments": c.Arguments}
}

// required handles error -32042 of the older era. It says whether to retry.
func (h *host) required(ctx context.Context, call string, r message) (bool, outcome) {
	if r.Error == nil || r.Error.Code != -32042 {
		return false, h.read(r)
	}
	var data struct {
		Elicitations []elicitation `json:"elicitations"`
	}
	_ = json.Unmarshal(r.Error.Data, &data)
	if h.fault == LeaksURL && len(data.Elicitations) > 0 {
		h.report(ctx, call, outcome{"sign in at " + data.Elicitations[0].URL, true})
	}
	if h.fault == RetriesUnasked {
		return true, outcome{}
	}
	var wg sync.WaitGroup
	answers := make([]string, len(data.Elicitations))
	for i, e := range data.Elicitations {
		wait := h.await(e.ID)
		wg.Go(func() {
			if answers[i], _ = h.present(ctx, e); answers[i] == "accept" && h.fault != RetriesAtConsent {
				select {
				case <-wait:
				case <-time.After(30 * time.Second):
				case <-ctx.Done():
				}
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a != "accept" {
			return false, outcome{"the sign-in was refused", true}
		}
	}
	return h.habit != NeverRetries, outcome{"a sign-in is needed", true}
}

// read makes an outcome of a response.
func (h *host) read(r message) outcome {
	if r.Error != nil {
		text := r.Error.Message
		if h.fault == LeaksURL {
			text += " " + string(r.Error.Data)
		}
		return outcome{text, true}
	}
	var result struct {
		ResultType *string `json:"resultType"`
		IsError    bool    `json:"isError"`
		Content    []text  `json:"content"`
		Contents   []text  `json:"contents"` // of a resource
		Messages   []struct {
			Content text `json:"content"`
		} `json:"messages"` // of a prompt
	}
	if err := json.Unmarshal(r.Result, &result); err != nil {
		return failure(err)
	}
	if result.ResultType != nil && *result.ResultType != "complete" && h.fault != UsesUnknownTypes {
		return outcome{fmt.Sprintf("the server sent a result of the unknown type %q", *result.ResultType), true}
	}
	if result.ResultType == nil && h.modern() && h.fault == NeedsResultType {
		return outcome{"the server sent a result without a type", true}
	}
	out := outcome{failed: result.IsError}
	for _, m := range result.Messages {
		result.Content = append(result.Content, m.Content)
	}
	for _, c := range append(result.Content, result.Contents...) {
		out.text += c.Text
	}
	return out
}

// A text is a part of a result.
type text struct {
	Text string `json:"text"`
}

func (h *host) modern() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peer != nil && h.peer.modern
}

func failure(err error) outcome { return outcome{err.Error(), true} }

// await returns what is closed when an elicitation is complete.
func (h *host) await(id string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch, ok := h.finished[id]
	if !ok {
		ch = make(chan struct{})
		h.finished[id] = ch
	}
	return ch
}

// complete takes a completion notice. Those nobody waits for mean nothing.
func (h *host) complete(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch, ok := h.finished[id]
	if !ok {
		switch h.fault {
		case AnyNoticeCloses:
			close(h.closing)
			h.closing = make(chan struct{})
		case FailsOnStray:
			h.peer.fail(errStray)
		case CrashesOnStray:
			h.crash(errStray)
		}
		return
	}
	select {
	case <-ch:
	default:
		close(ch)
	}
}

// refusals counts what the person refused so far.
func (h *host) refusals() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refused
}

// connected returns the client, connecting first if there is none.
func (h *host) connected(ctx context.Context) (*client, error) {
	h.mu.Lock()
	p := h.peer
	h.mu.Unlock()
	if p != nil && !p.dead() {
		return p, nil
	}
	if p != nil && h.fault == LeavesServerDead {
		if _, process := p.link.(*stdioLink); process {
			return nil, errDead
		}
	}
	p, err := h.connect(ctx)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peers = append(h.peers, p)
	if _, overHTTP := p.link.(*httpLink); !overHTTP || p.modern || h.habit != SessionPerCall {
		h.peer = p
	}
	return p, nil
}

// endServer ends the server process of the newer era after a call, as no host should.
func (h *host) endServer() {
	h.mu.Lock()
	p := h.peer
	h.mu.Unlock()
	if p == nil || !p.modern {
		return
	}
	if _, process := p.link.(*stdioLink); process {
		p.close()
	}
}

func (h *host) hangUp() {
	h.mu.Lock()
	peers := h.peers
	h.mu.Unlock()
	for _, p := range peers {
		p.close()
	}
}

var errQuits = errors.New("the host has enough")

var errStray = errors.New("a notice about an elicitation that is not known")

var errDead = errors.New("the server died")

// mustJSON encodes what can be encoded.
func mustJSON(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic("refhost: " + err.Error())
	}
	return out
}
