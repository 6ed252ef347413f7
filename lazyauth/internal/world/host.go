package world

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Host is a go-sdk client whose person reacts to prompts as the story says.
type Host struct {
	w       *World
	manners Manners
	Session *mcp.ClientSession

	mu        sync.Mutex
	calls     int
	messages  []*mcp.ProgressNotificationParams
	prompts   []*mcp.ElicitParams
	completed []string
	changes   int
}

// A Reaction is what a host answers to a prompt.
type Reaction func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error)

// Accepts answers at once.
func Accepts(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
	return &mcp.ElicitResult{Action: "accept"}, nil
}

// Never answers nothing.
func Never(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Says answers after a time.
func Says(action string, after time.Duration) Reaction {
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
type Manners struct {
	Name     string // "host", if empty
	URL      bool
	Form     bool
	Progress bool
	React    Reaction
	Lists    bool // it listens to changes of the list of tools
	raw      bool // each request of a call is the test's: React is nil, Form false
}

// Host connects a host that speaks era and shows URL prompts, answering them
// as react says. A nil react makes one without elicitation.
func (w *World) Host(era string, react Reaction) *Host {
	w.T.Helper()
	return w.HostWith(era, Manners{URL: react != nil, Form: react != nil, React: react})
}

// HostWith connects a host with these manners in memory.
func (w *World) HostWith(era string, m Manners) *Host {
	w.T.Helper()
	here, there := mcp.NewInMemoryTransports()
	// The session's context must not be the test's: it ends before Cleanup.
	if _, err := w.Server.Connect(context.Background(), &mcp.LoggingTransport{Transport: there, Writer: &w.Wire}, nil); err != nil {
		w.T.Fatal(err)
	}
	return w.Connect(era, m, here)
}

// Connect connects a host with these manners over a transport.
func (w *World) Connect(era string, m Manners, transport mcp.Transport) *Host {
	w.T.Helper()
	h := &Host{w: w, manners: m}
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
	if m.Lists {
		options.ToolListChangedHandler = func(context.Context, *mcp.ToolListChangedRequest) {
			h.mu.Lock()
			h.changes++
			h.mu.Unlock()
		}
	}
	if m.raw {
		options.MultiRoundTrip = &mcp.MultiRoundTripOptions{Disabled: true}
	}
	if m.URL || m.Form {
		options.Capabilities.Elicitation = new(mcp.ElicitationCapabilities)
		if m.URL {
			options.Capabilities.Elicitation.URL = new(mcp.URLElicitationCapabilities)
		}
		if m.Form {
			options.Capabilities.Elicitation.Form = new(mcp.FormElicitationCapabilities)
		}
	}
	if m.React != nil {
		options.ElicitationHandler = func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			h.mu.Lock()
			h.prompts = append(h.prompts, req.Params)
			h.mu.Unlock()
			return m.React(ctx, req.Params)
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: cmp.Or(m.Name, "host"), Version: "1"}, options)
	session, err := client.Connect(context.Background(), transport, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		w.T.Fatal(err)
	}
	h.Session = session
	w.T.Cleanup(func() { session.Close() })
	return h
}

// Shown returns the prompts that the person saw, in their order.
func (h *Host) Shown() []*mcp.ElicitParams {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.prompts)
}

// Completions returns the identifiers of the prompts that were reported as completed.
func (h *Host) Completions() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.completed)
}

// Tools returns the names of the listed tools, in their order.
func (h *Host) Tools() []string {
	h.w.T.Helper()
	var names []string
	for tool, err := range h.Session.Tools(h.w.T.Context(), nil) {
		if err != nil {
			h.w.T.Fatal(err)
		}
		names = append(names, tool.Name)
	}
	return names
}

// ListChanges returns how often the host was told that its list of tools has changed.
func (h *Host) ListChanges() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changes
}

// WantPrompts demands that the person saw so many prompts.
func (h *Host) WantPrompts(n int) {
	h.w.T.Helper()
	if got := len(h.Shown()); got != n {
		h.w.T.Errorf("the person saw %d prompts, want %d", got, n)
	}
}

// Call starts a call and returns where its reply will be.
func (h *Host) Call(ctx context.Context, tool string, args any) <-chan Reply {
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	if h.manners.Progress {
		h.mu.Lock()
		h.calls++
		params.SetProgressToken(fmt.Sprintf("call-%d", h.calls))
		h.mu.Unlock()
	}
	return h.send(ctx, params)
}

func (h *Host) send(ctx context.Context, params *mcp.CallToolParams) <-chan Reply {
	out := make(chan Reply, 1)
	go func() {
		result, err := h.Session.CallTool(ctx, params)
		out <- Reply{result, err}
	}()
	return out
}

// Gets makes a call and demands that it succeeds with this in its text.
func (h *Host) Gets(tool string, args any, want string) {
	h.w.T.Helper()
	(<-h.Call(h.w.T.Context(), tool, args)).Succeeds(h.w.T, want)
}

// InTurn answers each prompt with the next reaction.
func InTurn(reactions ...Reaction) Reaction {
	var mu sync.Mutex
	return func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		mu.Lock()
		react := reactions[0]
		reactions = reactions[1:]
		mu.Unlock()
		return react(ctx, p)
	}
}

// Progress returns the progress messages under the n-th call's token, and demands that
// they only increase.
func (h *Host) Progress(n int) []*mcp.ProgressNotificationParams {
	h.w.T.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*mcp.ProgressNotificationParams
	for _, m := range h.messages {
		if m.ProgressToken != fmt.Sprintf("call-%d", n) {
			continue
		}
		if len(out) > 0 && m.Progress <= out[len(out)-1].Progress {
			h.w.T.Errorf("progress %v after %v", m.Progress, out[len(out)-1].Progress)
		}
		out = append(out, m)
	}
	return out
}

// HostThatHangsUp also returns what ends its connection, from the server's end of
// input on.
func (w *World) HostThatHangsUp(era string) (*Host, func()) {
	w.T.Helper()
	fromHost, toServer := io.Pipe()
	fromServer, toHost := io.Pipe()
	session, err := w.Server.Connect(context.Background(), &mcp.IOTransport{Reader: fromHost, Writer: toHost}, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	h := w.Connect(era, Manners{URL: true, Form: true, React: Accepts}, &mcp.IOTransport{Reader: fromServer, Writer: toServer})
	return h, func() {
		toServer.Close()
		session.Wait()
		toHost.Close()
	}
}
