package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Handler is who speaks for the server: it answers what a host says. Its methods
// are called concurrently.
type Handler interface {
	// Hear takes one message, and answers it on the way back to the host, at once
	// or later. The peer is whose message it is.
	Hear(l *Line, back Channel, p *Peer)
	// Posted looks at an HTTP request as such, before its message is heard.
	Posted(l *Line)
	// Requested looks at an HTTP request that carries no message.
	Requested(b *Bare)
	// Dropped says that the host closed a way back, so that nothing comes through.
	Dropped(back Channel)
	// Control serves the control endpoint, for all but stubs. The path is what
	// follows it.
	Control(w http.ResponseWriter, r *http.Request, path string)
	// Visit takes a request to the canary.
	Visit(r *http.Request)
}

// A Channel is a way back to the host: a [Pipe] or an [Exchange].
type Channel interface {
	// Send writes a message. The error is [ErrGone].
	Send(raw json.RawMessage) error
	// Last says that nothing follows.
	Last()
}

// ErrGone says that the host does not listen any more.
var ErrGone = errors.New("the host is gone")

// writeTimeout is how long one write may take.
const writeTimeout = 30 * time.Second

// A Conversation is what a host and a server say to each other in one scenario, in
// one protocol over one transport.
type Conversation struct {
	*Record
	Handler
	ctx    context.Context // ends with the scenario
	modern bool            // 2026-07-28, without sessions
	http   bool            // and not stdio

	// Answers are the form of the answers over HTTP. It is set before the host runs.
	Answers Form

	mu      sync.Mutex
	streams []Channel                 // where a message without a request can go; HTTP of the older era
	resumed map[string]chan Reconnect // streams that the host is to come back to, by event ID
}

// A Form is how requests are answered over HTTP.
type Form int

// The forms.
const (
	InEither  Form = iota // JSON at once, or an event stream where it takes long or there is more to say
	InJSON                // one JSON object
	InStreams             // an event stream
)

// String is the form of one answer in words.
func (f Form) String() string {
	return [...]string{"a JSON object or an event stream", "a JSON object", "an event stream"}[f]
}

// NewConversation begins a conversation.
func NewConversation(ctx context.Context, h Handler, modern, http bool) *Conversation {
	return &Conversation{
		Record: NewRecord(), Handler: h, ctx: ctx, modern: modern, http: http, resumed: make(map[string]chan Reconnect),
	}
}

// Streams returns the streams that the host opened for what belongs to no request.
func (c *Conversation) Streams() []Channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.streams)
}

// TakeOver goes on with the streams of another conversation.
func (c *Conversation) TakeOver(from *Conversation) {
	streams := from.Streams()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = streams
}

// A Peer is what is known of a host beyond one request: in the older era what it
// said at initialization. Its methods may be called concurrently.
type Peer struct {
	ID string // the session; HTTP only

	mu           sync.Mutex
	capabilities json.RawMessage
	line         *Line
}

// NewPeer is a peer that has initialized; the line says how.
func NewPeer(id string, capabilities json.RawMessage, l *Line) *Peer {
	return &Peer{ID: id, capabilities: capabilities, line: l}
}

// Initialize keeps what a host said of itself, and in which message.
func (p *Peer) Initialize(capabilities json.RawMessage, l *Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.capabilities, p.line = capabilities, l
}

// Initialized returns what the host said of itself, and in which message; nil if it
// has not.
func (p *Peer) Initialized() (json.RawMessage, *Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.capabilities, p.line
}
