package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// stepsInBubble is how many steps each bubble of the run takes.
	stepsInBubble = 250
	// runSeed names an environment variable that has the seed of the first bubble, for
	// other runs than the usual one and for one that failed.
	runSeed = "LAZYAUTH_RUN_SEED"
	// runBubbles names one that has the number of bubbles: .ci/run has 100,000 steps taken.
	runBubbles = "LAZYAUTH_RUN_BUBBLES"
)

// Suspended calls over one stateless endpoint, under hosts that do whatever they like:
// random orders of first requests and retries, with states that are good, old, of another
// call, another user, or altered; answers that come early, late and twice; capabilities
// that change from request to request; disconnections; and people who approve, deny, lose
// their tokens and change their minds, while time passes.
//
// What holds after each step, and at the end, is in judge, settle and end.
func TestSuspended_Run(t *testing.T) {
	first, err := strconv.ParseUint(os.Getenv(runSeed), 10, 64)
	if err != nil {
		first = 1
	}
	bubbles, err := strconv.ParseUint(os.Getenv(runBubbles), 10, 64)
	switch {
	case err == nil:
	case testing.Short() || raceDetector:
		bubbles = 8
	default:
		bubbles = 40
	}
	for seed := first; seed < first+bubbles; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRun(t, seed)
				defer func() {
					if t.Failed() {
						t.Logf("to see it again: %s=%d %s=1 go test -run TestSuspended_Run ./lazyauth\nthe last steps:\n%s",
							runSeed, seed, runBubbles, strings.Join(r.steps[max(0, len(r.steps)-40):], "\n"))
					}
				}()
				for range stepsInBubble {
					if r.step(); t.Failed() {
						break
					}
				}
				r.end()
			})
		})
	}
}

// A run is one bubble's.
type run struct {
	t   *testing.T
	w   *world.World
	e   *world.Endpoint
	rnd *rand.Rand

	life   time.Duration // of a code
	closed bool
	steps  []string // in words

	calls   []*runCall
	open    []*runRequest
	prompts map[string]*runPrompt // the last, by user and code
	elicits map[string]bool       // progress tokens of requests whose host shows prompts

	mu     sync.Mutex
	starts map[string]int // of handlers, by call and round
}

// A runCall is a call as its handler must see it: once. A round that a handler makes of
// its own leads to another.
type runCall struct {
	user, tool, text string
	round            bool
	states           []runState

	final   *world.Reply // what it came to, once a request was told
	settled bool         // everything had come to rest since then
	next    *runCall
}

type runState struct {
	text   string
	prompt *runPrompt // nil: of the handler's own round
	at     time.Time  // that it is at least as young as
}

// A runPrompt is one that a request was answered with.
type runPrompt struct {
	at      time.Time
	refused bool // its host said so, whenever
}

// A runRequest is one that waits for its answer.
type runRequest struct {
	call   *runCall
	caps   string
	bogus  bool // its state is not good for it
	fresh  bool // its state certainly is
	sent   time.Time
	cancel context.CancelFunc
	reply  <-chan runReply
}

// A runReply is what a request was told, and when.
type runReply struct {
	world.Reply
	at time.Time
}

func newRun(t *testing.T, seed uint64) *run {
	r := &run{t: t, rnd: rand.New(rand.NewPCG(seed, 8)), prompts: make(map[string]*runPrompt), elicits: make(map[string]bool), starts: make(map[string]int)}
	r.life = pick(r.rnd, time.Minute, 3*time.Minute, 10*time.Minute)
	r.w = world.New(t, world.Setup{
		AS: fakeas.Options{CodeLifetime: r.life, TokenLifetime: pick(r.rnd, 0, 40*time.Second, 2*time.Minute), NoRefresh: r.rnd.IntN(2) == 0},
		Options: lazyauth.Options{
			VerifyUser: world.Anybody,
			MaxCalls:   pick(r.rnd, 0, 0, 48), // of which each user has a sixteenth
			MaxWait:    pick(r.rnd, 0, 10*time.Second),
			MaxScopes:  scopes.Of("notes:read", "notes:write"),
		},
		Tools: r.addTools,
	})
	r.e = r.w.Endpoint()
	return r
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

type runArgs struct {
	Text string `json:"text"`
}

// addTools registers a tool for each way in, and for each thing that a handler can do: each
// returns its argument, and notes that it started.
func (r *run) addTools(w *world.World) {
	works := map[string]func(context.Context, string) error{
		"token": func(ctx context.Context, _ string) error { // read it
			_, err := lazyauth.TokenSource(ctx).Token()
			return err
		},
		"climb": func(ctx context.Context, _ string) error { // need more in the middle, and again
			if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
				return err
			}
			return lazyauth.Require(ctx, scopes.Of("notes:read", "notes:write"))
		},
		"ask": func(ctx context.Context, _ string) error { // ask the API, which may want more
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.AS.API()+"/notes", nil)
			if err != nil {
				return err
			}
			_, _, err = world.ReadAnswer(lazyauth.Client(ctx).Do(req))
			return err
		},
		"slow": func(ctx context.Context, text string) error { // work for a while
			select {
			case <-time.After(time.Duration(len(text)%3) * 17 * time.Second):
				return lazyauth.Require(ctx, scopes.Of("notes:read"))
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
	typed := func(name string) mcp.ToolHandlerFor[runArgs, any] {
		return func(ctx context.Context, _ *mcp.CallToolRequest, in runArgs) (*mcp.CallToolResult, any, error) {
			defer r.started(in.Text)()
			if err := works[name](ctx, in.Text); err != nil {
				return nil, nil, fmt.Errorf("working: %w", err)
			}
			return textResult(in.Text), nil, nil
		}
	}
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "token"}, scopes.Of("profile"), typed("token"))
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "climb"}, scopes.Of("profile"), typed("climb"))
	mcp.AddTool(w.Server, &mcp.Tool{Name: "ask"}, typed("ask")) // intercepted
	mcp.AddTool(w.Server, &mcp.Tool{Name: "slow"}, typed("slow"))
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "confirm"}, scopes.Of("profile"),
		func(_ context.Context, req *mcp.CallToolRequest, in runArgs) (*mcp.CallToolResult, any, error) {
			defer r.started(in.Text + " " + req.Params.RequestState)()
			if req.Params.RequestState != "" {
				return textResult(in.Text), nil, nil
			}
			return &mcp.CallToolResult{
				InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}, RequestState: "round 2",
			}, nil, nil
		})
	w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"ask": scopes.Of("profile")}, Unlisted: scopes.Of("profile", "notes:read")})
}

func textResult(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// started notes that a handler starts, and returns what notes that it ends.
func (r *run) started(call string) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts[call]++
	return r.w.Begins("all")
}

var runUsers = []string{"ada", "eve", "bob"}

// step does one thing at random, and mostly lets it come to rest.
func (r *run) step() {
	switch n := r.rnd.IntN(100); {
	case n < 22 || len(r.calls) == 0:
		c := &runCall{user: pick(r.rnd, runUsers...), tool: pick(r.rnd, "token", "climb", "ask", "slow", "confirm"), text: fmt.Sprint("call ", len(r.calls))}
		r.calls = append(r.calls, c)
		r.send(c, world.Request{}, false, false)
	case n < 66:
		r.retry()
	case n < 71:
		r.disconnect()
	case n < 80:
		r.decide()
	case n < 83:
		r.loseTokens()
	case n < 85:
		who := pick(r.rnd, runUsers...)
		r.say("%s wants to be asked after all", who)
		r.w.Auth.ForgetDecline(lazyauth.Principal{Subject: who})
	default:
		d := pick(r.rnd, 5*time.Millisecond, 900*time.Millisecond, 1100*time.Millisecond, 3*time.Second, 6*time.Second, 31*time.Second, 56*time.Second, 4*time.Minute)
		r.say("%v pass", d)
		world.Later(d)
	}
	if r.rnd.IntN(4) > 0 { // else the next step comes at the same moment
		r.settle()
	}
}

func (r *run) say(format string, args ...any) {
	r.steps = append(r.steps, fmt.Sprintf("%7.2fs ", time.Since(runEpoch).Seconds())+fmt.Sprintf(format, args...))
}

// runEpoch is when bubbles begin.
var runEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// send makes a request of a call.
func (r *run) send(c *runCall, q world.Request, bogus, fresh bool) {
	if q.User == "" {
		q.User = c.user
	}
	if q.Tool == "" {
		q.Tool = c.tool
	}
	if q.Text == "" {
		q.Text = c.text
	}
	q.Caps = pick(r.rnd, world.URLAndForm, world.URLAndForm, world.URLAlone, world.FormAlone, `{}`, "")
	if r.rnd.IntN(3) == 0 {
		q.Token = fmt.Sprint("token-", len(r.steps))
		r.elicits[q.Token] = q.Caps != ""
	}
	state := "none"
	if q.State != "" {
		state = q.State[:8]
	}
	r.say("%s calls %s (%s), elicitation %q, progress %q, state %s, answer %q, bogus: %t", q.User, q.Tool, q.Text, q.Caps, q.Token, state, q.Action+q.Sure, bogus)
	ctx, cancel := context.WithCancel(context.Background())
	in, out := r.e.Send(ctx, q), make(chan runReply, 1)
	go func() {
		defer close(out)
		if got, ok := <-in; ok {
			out <- runReply{got, time.Now()}
		}
	}()
	r.open = append(r.open, &runRequest{call: c, caps: q.Caps, bogus: bogus, fresh: fresh, sent: time.Now(), cancel: cancel, reply: out})
}

// retry makes a request with a state: mostly a recent one of a recent call, and sometimes
// one that is not good for it.
func (r *run) retry() {
	var known []*runCall
	for _, c := range r.calls {
		for ; c != nil; c = c.next {
			if len(c.states) > 0 {
				known = append(known, c)
			}
		}
	}
	if len(known) == 0 {
		return
	}
	c := known[len(known)-1-min(r.rnd.IntN(len(known)), r.rnd.IntN(len(known)), r.rnd.IntN(len(known)))]
	s := c.states[len(c.states)-1-min(r.rnd.IntN(len(c.states)), r.rnd.IntN(len(c.states)))]
	q := world.Request{State: s.text, Action: pick(r.rnd, "", "accept", "accept", "decline", "cancel", "perhaps")}
	if c.round || r.rnd.IntN(10) == 0 {
		q.Sure = pick(r.rnd, "accept", "decline")
	}
	if r.rnd.IntN(8) == 0 {
		switch r.rnd.IntN(4) {
		case 0:
			q.User = runUsers[(slices.Index(runUsers, c.user)+1)%len(runUsers)]
		case 1:
			q.Tool = map[string]string{"token": "climb", "climb": "ask", "ask": "confirm", "confirm": "slow", "slow": "token"}[c.tool]
		case 2:
			q.Text = c.text + "!"
		case 3:
			q.State = flip(q.State)
		}
		r.send(c, q, true, false)
		return
	}
	if s.prompt != nil && (q.Action == "decline" || q.Action == "cancel") {
		s.prompt.refused = true
	}
	r.send(c, q, false, time.Since(s.at) < 30*time.Second)
}

func (r *run) disconnect() {
	if len(r.open) == 0 {
		return
	}
	n := r.rnd.IntN(len(r.open))
	r.say("the request of %s for %s breaks off", r.open[n].call.user, r.open[n].call.text)
	r.open[n].cancel()
	r.open = slices.Delete(r.open, n, n+1)
}

// decide is what a person does at the authorization server.
func (r *run) decide() {
	waiting := r.w.AS.Waiting()
	if len(waiting) == 0 {
		return
	}
	code := pick(r.rnd, waiting...).UserCode
	var err error
	switch r.rnd.IntN(6) {
	case 0:
		r.say("a code is denied")
		err = r.w.AS.Deny(code)
	case 1:
		r.say("a code is approved for less")
		err = r.w.AS.Approve(code, "profile")
	default:
		r.say("a code is approved")
		err = r.w.AS.Approve(code)
	}
	if err != nil {
		r.t.Error(err)
	}
}

func (r *run) loseTokens() {
	switch r.rnd.IntN(3) {
	case 0:
		r.say("access tokens end")
		r.w.AS.ExpireAccessTokens()
	case 1:
		r.say("refresh tokens are revoked")
		r.w.AS.RevokeRefreshTokens()
	default:
		r.say("all tokens are revoked")
		r.w.AS.RevokeAll()
	}
}

// settle waits until nothing moves, reads what was answered, and demands what must hold
// then: no request waits in a call that is finished, and no handler has started twice.
func (r *run) settle() {
	synctest.Wait()
	open := r.open
	r.open = nil
	type answered struct {
		request *runRequest
		reply   runReply
	}
	var all []answered
	for _, q := range open {
		select {
		case got, ok := <-q.reply:
			if ok {
				all = append(all, answered{q, got})
			}
			q.cancel()
		default:
			r.open = append(r.open, q)
		}
	}
	slices.SortStableFunc(all, func(a, b answered) int { return a.reply.at.Compare(b.reply.at) })
	for _, a := range all {
		r.judge(a.request, a.reply)
	}
	for _, q := range r.open {
		if q.call.final != nil && !q.bogus {
			r.t.Errorf("a request of %s still waits in a call that came to %s", q.call.text, inWords(*q.call.final))
		}
	}
	for _, c := range r.calls {
		for ; c != nil; c = c.next {
			c.settled = c.final != nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for call, n := range r.starts {
		if n > 1 {
			r.t.Errorf("the handler of %s was started %d times", call, n)
		}
	}
}

// judge holds an answer against what its request may be told.
func (r *run) judge(q *runRequest, got runReply) {
	c := q.call
	r.say("  %s was told %s %v ago", c.text, inWords(got.Reply), time.Since(got.at))
	if got.Err != nil {
		refusal, ok := errors.AsType[*jsonrpc.Error](got.Err)
		if !ok || refusal.Code != jsonrpc.CodeInvalidParams || !q.bogus && q.fresh && !r.closed {
			r.t.Errorf("a request of %s (good: %t) got %v", c.text, q.fresh, got.Err)
		}
		return
	}
	if q.bogus {
		r.t.Errorf("a state that is not good for its request got %s", inWords(got.Reply))
		return
	}
	if got.Result.NeedsInput() {
		r.judgePrompt(q, got)
		return
	}
	reason, _ := got.Result.Meta[lazyauth.MetaReason].(string)
	switch {
	case q.caps != "" && world.UserCode.MatchString(got.Text()):
		r.t.Errorf("the model of a host that shows prompts is told the code: %q", got.Text())
	case reason == string(lazyauth.ReasonPending), reason == string(lazyauth.ReasonBusy):
	case !got.Result.IsError && got.Text() != c.text:
		r.t.Errorf("%s got the result of %q", c.text, got.Text())
	default:
		r.finish(c, got.Reply)
	}
}

// finish notes what a call came to, which does not change.
func (r *run) finish(c *runCall, got world.Reply) {
	if c.final == nil {
		c.final = &got
	} else if inWords(*c.final) != inWords(got) && !r.closed {
		r.t.Errorf("%s came to %s, and then to %s", c.text, inWords(*c.final), inWords(got))
	}
}

func (r *run) judgePrompt(q *runRequest, got runReply) {
	c := q.call
	if _, own := got.Result.InputRequests["sure"]; own {
		if c.tool != "confirm" || c.round {
			r.t.Errorf("%s asks what only another asks", c.text)
		}
		r.finish(c, got.Reply)
		if c.next == nil {
			c.next = &runCall{user: c.user, tool: c.tool, text: c.text, round: true}
		}
		c.next.states = append(c.next.states, runState{text: got.Result.RequestState, at: q.sent})
		return
	}
	p, ok := got.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams)
	if !ok {
		r.t.Errorf("%s asks for %+v", c.text, got.Result.InputRequests)
		return
	}
	if c.settled {
		r.t.Errorf("the prompt of %s is shown although it came to %s", c.text, inWords(*c.final))
	}
	declared := map[string][]string{world.URLAndForm: {"url", "form"}, world.URLAlone: {"url"}, world.FormAlone: {"form"}, `{}`: {"form"}}[q.caps]
	if !slices.Contains(declared, p.Mode) {
		r.t.Errorf("a %s is shown by a host that declares %s", p.Mode, q.caps)
	}
	key := c.user + " " + world.UserCode.FindString(p.Message)
	if last := r.prompts[key]; last != nil && !last.refused && got.at.Sub(last.at) < 9*time.Second {
		r.t.Errorf("two prompts of one sign-in stand before %s, one %v after the other", c.user, got.at.Sub(last.at))
	}
	shown := &runPrompt{at: got.at}
	r.prompts[key] = shown
	c.states = append(c.states, runState{text: got.Result.RequestState, prompt: shown, at: q.sent})
}

// inWords says what a request was told, without what may differ from one to the next.
func inWords(got world.Reply) string {
	switch {
	case got.Err != nil:
		return fmt.Sprintf("error %v", got.Err)
	case got.Result.NeedsInput():
		if p, ok := got.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams); ok {
			return fmt.Sprintf("a prompt by %s with %s and state %.8s", p.Mode, world.UserCode.FindString(p.Message), got.Result.RequestState)
		}
		return "a question"
	case got.Result.IsError:
		return fmt.Sprintf("failure %v", got.Result.Meta[lazyauth.MetaReason])
	}
	return fmt.Sprintf("success %q", got.Text())
}

// end lets all time pass that anything may still take, or closes the server before that:
// every request is answered, every handler ends, and no code has gone to where its host
// shows prompts. That no goroutine is left the bubble demands by itself.
func (r *run) end() {
	if r.rnd.IntN(4) == 0 {
		r.say("the server shuts down")
		r.closed = true
		if err := r.w.Auth.Close(); err != nil {
			r.t.Errorf("Close: %v", err)
		}
	}
	for range 10 { // a request waits for a minute, and its handler may need three sign-ins
		r.settle()
		world.Later(time.Minute)
	}
	r.settle()
	for _, q := range r.open {
		r.t.Errorf("a request of %s was never answered", q.call.text)
		q.cancel()
	}
	world.Later(30 * time.Minute)
	synctest.Wait()
	if s, e := r.w.Starts("all"), r.w.Stops("all"); s != e {
		r.t.Errorf("%d handlers started, and %d ended", s, e)
	}
	for _, m := range r.w.Wire.Messages() {
		text := string(m)
		if !strings.Contains(text, `"notifications/progress"`) || !world.UserCode.MatchString(text) {
			continue
		}
		for token, elicits := range r.elicits {
			if elicits && strings.Contains(text, `"progressToken":"`+token+`"`) {
				r.t.Errorf("a host that shows prompts has the code in its progress: %s", text)
			}
		}
	}
}
