package lazyauth_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/oauth2"
)

const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

// maxState is the length of the longest requestState.
const maxState = 16 << 10

// responseKey is the key of the host's answer to our prompt.
const responseKey = "authorization"

var eras = []string{legacy, modern}

// inBothEras runs a story in virtual time, once in each era.
func inBothEras(t *testing.T, story func(t *testing.T, era string)) {
	t.Helper()
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story(t, era) })
		})
	}
}

// A world is everything in a story but the host: the authorization server with
// its API, and an MCP server with the tools of the examples. When the story
// ends it checks what must hold in each: the authorization server saw no
// violation, and no secret went where it must not go.
type world struct {
	t      *testing.T
	as     *fakeas.Server
	auth   *lazyauth.Interceptor
	server *mcp.Server
	trace  events

	wire journal // what the server sent to hosts
	log  bytes.Buffer
	slog bytes.Buffer // its handler locks

	counters lazyauth.Counters
	secrets  secrets
	errs     []string // texts of errors that programs saw

	tolerated      []fakeas.Rule   // violations that the story is about
	codesMayFollow lazyauth.Reason // in whose text codes may be, other than pending
	mixed          bool            // eras in one session, of whose results the SDK gives the type by the session's

	mu      sync.Mutex
	started map[string]int // handlers started, by tool
	ended   map[string]int
}

type setup struct {
	as      fakeas.Options
	shared  *fakeas.Server // instead of one with those options: another world's
	service func(*lazyauth.Service)
	options lazyauth.Options
	tools   func(*world)
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	as := s.shared
	if as == nil {
		as = fakeas.New(&s.as)
	}
	w := &world{t: t, as: as, started: map[string]int{}, ended: map[string]int{}}
	service := lazyauth.Service{
		Name: "Notes", Issuer: w.as.Issuer(), ClientID: fakeas.DefaultClientID,
		Scopes: scopes.Of("profile"), APIOrigins: []string{w.as.API()},
	}
	if s.service != nil {
		s.service(&service)
	}
	if service.ClientSecret != "" {
		w.secrets.add(service.ClientSecret)
	}
	next := s.options.Transport
	if next == nil {
		next = w.as.Transport()
	}
	s.options.Transport = &listener{next: next, secrets: &w.secrets}
	if len(s.options.StateKeys) == 0 {
		s.options.StateKeys = [][]byte{bytes.Repeat([]byte("canary-key-8byte"), 2)}
	}
	w.secrets.add("canary-key-8byte")
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&w.log)), zap.DebugLevel))
	plain := slog.New(slog.NewJSONHandler(&w.slog, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.options.Trace = lazyauth.CombineTraces(w.trace.trace(), lazyauth.ZapTrace(log), lazyauth.SlogTrace(plain), w.counters.Trace(), s.options.Trace)
	auth, err := lazyauth.New(service, &s.options)
	if err != nil {
		t.Fatal(err)
	}
	w.auth = auth
	w.server = mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	if s.tools != nil {
		s.tools(w)
	} else {
		w.addTools()
	}
	t.Cleanup(func() {
		if err := auth.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		w.check()
	})
	return w
}

type noArgs struct{}

type noteArgs struct {
	Text string `json:"text"`
}

type answer struct {
	Text string `json:"text"`
}

func (w *world) addTools() {
	mcp.AddTool(w.server, &mcp.Tool{Name: "ping"}, func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
		return nil, answer{"pong"}, nil
	})
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"), counted(w, "whoami",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
			return w.get(ctx, "/me")
		}))
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "list_notes"}, scopes.Of("notes:read"), counted(w, "list_notes",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
			return w.get(ctx, "/notes")
		}))
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "create_note"}, scopes.Of("notes:write"), counted(w, "create_note",
		func(ctx context.Context, _ *mcp.CallToolRequest, in noteArgs) (*mcp.CallToolResult, answer, error) {
			body, _ := json.Marshal(in)
			res, err := lazyauth.Client(ctx).Post(w.as.API()+"/notes", "application/json", bytes.NewReader(body))
			return read(res, err)
		}))
}

// counted counts the starts and ends of a handler.
func counted[In, Out any](w *world, tool string, h mcp.ToolHandlerFor[In, Out]) mcp.ToolHandlerFor[In, Out] {
	return func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		w.mu.Lock()
		w.started[tool]++
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			w.ended[tool]++
			w.mu.Unlock()
		}()
		result, out, err := h(ctx, req, in)
		if err != nil {
			w.mu.Lock()
			w.errs = append(w.errs, fmt.Sprintf("%v %+v %#v", err, err, err))
			w.mu.Unlock()
		}
		return result, out, err
	}
}

func (w *world) get(ctx context.Context, path string) (*mcp.CallToolResult, answer, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", w.as.API()+path, nil)
	if err != nil {
		return nil, answer{}, err
	}
	return read(lazyauth.Client(ctx).Do(req))
}

func read(res *http.Response, err error) (*mcp.CallToolResult, answer, error) {
	if err != nil {
		return nil, answer{}, fmt.Errorf("asking the API: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, answer{}, err
	}
	if res.StatusCode/100 != 2 {
		return nil, answer{}, fmt.Errorf("the API answered %s", res.Status)
	}
	return nil, answer{string(body)}, nil
}

func (w *world) starts(tool string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started[tool]
}

func (w *world) stops(tool string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended[tool]
}

// person waits until a code was issued and returns it with what was asked for.
func (w *world) person() fakeas.Request {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	req, err := w.as.WaitForRequest(ctx)
	if err != nil {
		w.t.Fatalf("no authorization was asked for: %v", err)
	}
	return req
}

// approves waits for the next code and approves it.
func (w *world) approves(granted ...string) {
	w.t.Helper()
	if err := w.as.Approve(w.person().UserCode, granted...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) denies() {
	w.t.Helper()
	if err := w.as.Deny(w.person().UserCode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantAuthorizations(n int) {
	w.t.Helper()
	if got := w.as.Count(fakeas.DeviceAuthorization, ""); got != n {
		w.t.Errorf("%d device authorizations, want %d", got, n)
	}
}

// check is the secret canary, and the judge of our manners.
func (w *world) check() {
	for _, v := range w.as.Violations() {
		if !slices.Contains(w.tolerated, v.Rule) {
			w.t.Errorf("violation: %s %s (%s): %s", v.Operation, v.Rule, v.Rule.Section(), v.Detail)
		}
	}
	credentials, codes := w.secrets.all()
	for place, text := range map[string]string{
		"the wire to the host": w.wire.text(),
		"the log":              w.log.String() + w.slog.String(),
		"a counter":            w.counters.String(),
		"the trace":            w.trace.text(),
		"an error":             strings.Join(w.errs, "\n"),
	} {
		for _, s := range credentials {
			if strings.Contains(text, s) {
				w.t.Errorf("a secret is in %s", place)
			}
		}
		if place == "the wire to the host" {
			continue // codes are shown there, see below
		}
		for _, c := range codes {
			if strings.Contains(text, c) {
				w.t.Errorf("a user code is in %s", place)
			}
		}
	}
	for _, m := range w.wire.messages() {
		// Results of the newer era, which say what server they are from, must say their type.
		if !w.mixed && bytes.Contains(m, []byte(`"result":`)) && bytes.Contains(m, []byte(mcp.MetaKeyServerInfo)) && !bytes.Contains(m, []byte(`"resultType":`)) {
			w.t.Errorf("a result without a type: %s", m)
		}
		for _, c := range codes {
			if bytes.Contains(m, []byte(c)) && !w.isPrompt(m) {
				w.t.Errorf("a user code is in a message that is no prompt: %s", m)
			}
		}
	}
}

func (w *world) isPrompt(m []byte) bool {
	return bytes.Contains(m, []byte(`"elicitation/create"`)) || bytes.Contains(m, []byte(`"notifications/progress"`)) || bytes.Contains(m, fmt.Appendf(nil, "%q:%q", lazyauth.MetaReason, cmp.Or(w.codesMayFollow, lazyauth.ReasonPending)))
}

// A listener notes what the authorization server issues, for the canary.
type listener struct {
	next    http.RoundTripper
	secrets *secrets
}

func (l *listener) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	if err != nil {
		return res, err
	}
	if _, ok := res.Body.(unread); ok {
		return res, nil
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	var issued struct {
		Device  string `json:"device_code"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Code    string `json:"user_code"`
	}
	if json.Unmarshal(body, &issued) != nil {
		form, _ := url.ParseQuery(string(body))
		issued.Device, issued.Access = form.Get("device_code"), form.Get("access_token")
		issued.Refresh, issued.Code = form.Get("refresh_token"), form.Get("user_code")
	}
	l.secrets.add(issued.Device, issued.Access, issued.Refresh)
	l.secrets.issued(issued.Access)
	l.secrets.addCode(issued.Code)
	return res, nil
}

// failing ends a body with the error that it ended with.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func (s *secrets) issued(access string) {
	if access == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access = access
}

type secrets struct {
	mu          sync.Mutex
	access      string // the last one
	credentials []string
	codes       []string
}

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if v != "" {
			s.credentials = append(s.credentials, v)
		}
	}
}

// last returns the access token that was issued last.
func (s *secrets) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access
}

func (s *secrets) addCode(code string) {
	if code == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes = append(s.codes, code)
}

func (s *secrets) all() (credentials, codes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.credentials), slices.Clone(s.codes)
}

// A journal collects what the server wrote, a message an element. It is the
// writer of an mcp.LoggingTransport.
type journal struct {
	mu    sync.Mutex
	lines [][]byte
}

func (j *journal) Write(line []byte) (int, error) {
	if m, ok := bytes.CutPrefix(line, []byte("write: ")); ok {
		j.mu.Lock()
		j.lines = append(j.lines, bytes.TrimSpace(slices.Clone(m)))
		j.mu.Unlock()
	}
	return len(line), nil
}

func (j *journal) messages() [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) text() string { return string(bytes.Join(j.messages(), []byte("\n"))) }

// count returns how many messages contain all of the parts.
func (j *journal) count(parts ...string) int {
	n := 0
	for _, m := range j.messages() {
		if !slices.ContainsFunc(parts, func(p string) bool { return !bytes.Contains(m, []byte(p)) }) {
			n++
		}
	}
	return n
}

// events records a trace.
type events struct {
	mu    sync.Mutex
	list  []string
	all   []any // the infos
	text_ strings.Builder
}

func (e *events) trace() *lazyauth.Trace {
	return &lazyauth.Trace{
		Waiting:        noted[lazyauth.WaitingInfo](e, "waiting"),
		Prompted:       noted[lazyauth.PromptedInfo](e, "prompted"),
		Polled:         noted[lazyauth.PolledInfo](e, "polled"),
		Granted:        noted[lazyauth.GrantedInfo](e, "granted"),
		Refreshed:      noted[lazyauth.RefreshedInfo](e, "refreshed"),
		Parked:         noted[lazyauth.ParkedInfo](e, "parked"),
		Resumed:        noted[lazyauth.ParkedInfo](e, "resumed"),
		StoreFailed:    noted[lazyauth.StoreFailedInfo](e, "storefailed"),
		Unidentified:   noted[lazyauth.UnidentifiedInfo](e, "unidentified"),
		Refused:        noted[lazyauth.RefusedInfo](e, "refused"),
		Warned:         noted[lazyauth.WarnedInfo](e, "warned"),
		CallbackFailed: noted[lazyauth.CallbackFailedInfo](e, "callbackfailed"),
		Failed:         noted[lazyauth.FailedInfo](e, "failed"),
	}
}

// noted returns a hook that notes what it is told under a name. Every hook has a context.
func noted[Info any](e *events, name string) func(context.Context, Info) {
	return func(ctx context.Context, info Info) {
		_ = ctx.Err()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.list = append(e.list, name)
		e.all = append(e.all, info)
		fmt.Fprintf(&e.text_, "%s %+v %#v\n", name, info, info)
	}
}

// channels returns how prompts went out, in their order.
func (e *events) channels() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for n, name := range e.list {
		if name == "prompted" {
			out = append(out, e.all[n].(lazyauth.PromptedInfo).Channel)
		}
	}
	return out
}

func (e *events) count(name string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, got := range e.list {
		if got == name {
			n++
		}
	}
	return n
}

func (e *events) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text_.String()
}

// A host is a go-sdk client whose person reacts to prompts as told.
type host struct {
	w       *world
	manners manners
	session *mcp.ClientSession

	mu        sync.Mutex
	calls     int
	messages  []*mcp.ProgressNotificationParams
	prompts   []*mcp.ElicitParams
	completed []string
}

// A reaction is what a host answers to a prompt.
type reaction func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error)

func accepts(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
	return &mcp.ElicitResult{Action: "accept"}, nil
}

func never(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func says(action string, after time.Duration) reaction {
	return func(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		select {
		case <-time.After(after):
			return &mcp.ElicitResult{Action: action}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Manners are what a host declares, and how its person reacts to prompts. Calls
// carry a progress token if it takes progress.
type manners struct {
	name     string // "host", if empty
	url      bool
	form     bool
	progress bool
	react    reaction
}

// host connects a host that speaks era and shows URL prompts, answering them
// as react says. A nil react makes one without elicitation.
func (w *world) host(era string, react reaction) *host {
	w.t.Helper()
	return w.hostWith(era, manners{url: react != nil, form: react != nil, react: react})
}

func (w *world) hostWith(era string, m manners) *host {
	w.t.Helper()
	here, there := mcp.NewInMemoryTransports()
	// The session's context must not be the test's: it ends before Cleanup.
	if _, err := w.server.Connect(context.Background(), &mcp.LoggingTransport{Transport: there, Writer: &w.wire}, nil); err != nil {
		w.t.Fatal(err)
	}
	return w.connect(era, m, here)
}

func (w *world) connect(era string, m manners, transport mcp.Transport) *host {
	w.t.Helper()
	h := &host{w: w, manners: m}
	options := &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		ElicitationCompleteHandler: func(_ context.Context, req *mcp.ElicitationCompleteNotificationRequest) {
			h.mu.Lock()
			h.completed = append(h.completed, req.Params.ElicitationID)
			h.mu.Unlock()
		},
		ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
			h.mu.Lock()
			h.messages = append(h.messages, req.Params)
			h.mu.Unlock()
		},
	}
	if m.url || m.form {
		options.Capabilities.Elicitation = new(mcp.ElicitationCapabilities)
		if m.url {
			options.Capabilities.Elicitation.URL = new(mcp.URLElicitationCapabilities)
		}
		if m.form {
			options.Capabilities.Elicitation.Form = new(mcp.FormElicitationCapabilities)
		}
		options.ElicitationHandler = func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			h.mu.Lock()
			h.prompts = append(h.prompts, req.Params)
			h.mu.Unlock()
			return m.react(ctx, req.Params)
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: cmp.Or(m.name, "host"), Version: "1"}, options)
	session, err := client.Connect(context.Background(), transport, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		w.t.Fatal(err)
	}
	h.session = session
	w.t.Cleanup(func() { session.Close() })
	return h
}

func (h *host) shown() []*mcp.ElicitParams {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.prompts)
}

func (h *host) completions() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.completed)
}

func (h *host) wantPrompts(n int) {
	h.w.t.Helper()
	if got := len(h.shown()); got != n {
		h.w.t.Errorf("the person saw %d prompts, want %d", got, n)
	}
}

// A reply is what a call came to.
type reply struct {
	result *mcp.CallToolResult
	err    error
}

// call starts a call and returns where its reply will be.
func (h *host) call(ctx context.Context, tool string, args any) <-chan reply {
	out := make(chan reply, 1)
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	if h.manners.progress {
		h.mu.Lock()
		h.calls++
		params.SetProgressToken(fmt.Sprintf("call-%d", h.calls))
		h.mu.Unlock()
	}
	go func() {
		result, err := h.session.CallTool(ctx, params)
		out <- reply{result, err}
	}()
	return out
}

// gets makes a call and demands that it succeeds with this in its text.
func (h *host) gets(tool string, args any, want string) {
	h.w.t.Helper()
	(<-h.call(h.w.t.Context(), tool, args)).succeeds(h.w.t, want)
}

func (r reply) text() string {
	if r.result == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range r.result.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

func (r reply) succeeds(t *testing.T, want string) {
	t.Helper()
	switch {
	case r.err != nil:
		t.Errorf("the call failed: %v", r.err)
	case r.result.IsError:
		t.Errorf("the call failed: %s (%v)", r.text(), r.result.Meta[lazyauth.MetaReason])
	case !strings.Contains(r.text(), want):
		t.Errorf("the call returned %q, want %q in it", r.text(), want)
	}
}

func (r reply) fails(t *testing.T, want lazyauth.Reason) {
	t.Helper()
	switch {
	case r.err != nil:
		t.Errorf("the call failed with a protocol error: %v", r.err)
	case !r.result.IsError || r.result.Meta[lazyauth.MetaReason] != string(want):
		t.Errorf("the call returned %q (error: %t, reason %v), want reason %s", r.text(), r.result.IsError, r.result.Meta[lazyauth.MetaReason], want)
	case r.result.StructuredContent != nil:
		t.Errorf("a failed call has structured content: %v", r.result.StructuredContent)
	}
}

// byClientName tells principals apart by what their host calls itself: good
// enough for a test.
func byClientName(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
	return lazyauth.Principal{Subject: req.ClientInfo().Name}, nil
}

func anybody(context.Context, lazyauth.Principal, *oauth2.Token) error { return nil }

// later lets virtual time pass.
func later(d time.Duration) { time.Sleep(d) }
