package lazyauth

import (
	"context"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// tellWait bounds how long a host may take to read that its list has changed.
	tellWait = 10 * time.Second

	// telling is what Close calls that of which it waits for the end.
	telling = "telling a host of its tools"

	listChanged = "notifications/tools/list_changed"
)

// wholeList is the key of contexts in which tools/list leaves out nothing: those of requests
// that come from this package.
type wholeList struct{}

// A listing keeps the gated tools of one interceptor out of a server's list until there is a
// grant, for the sessions of up to revision 2025-11-25 to which listChanged was declared, and
// tells these when that changes. In others nothing is left out: a host that cannot learn of a
// change would never find the tools, and from 2026-07-28 on a list "MUST NOT vary per-connection
// or as a side effect of other requests" (server/tools, "Capabilities").
type listing struct {
	auth *Interceptor
	send mcp.MethodHandler // brings a notification to a session; set before anything is served

	mu       sync.Mutex
	sessions map[weak.Pointer[mcp.ServerSession]]*sessionList
}

// A sessionList is what a session was last told of its list.
type sessionList struct {
	listener
	open   bool        // the gated tools are in its list
	missed bool        // it could not be told so: over HTTP, where nothing listened at that moment
	end    *time.Timer // runs until a grant ends that cannot be renewed, and nobody may have in hand then
	turn   int         // of the latest look at whether it is to be told: what an earlier one saw is old
}

// hide has server leave out the gated tools.
func hide(server *mcp.Server, i *Interceptor) {
	l := &listing{auth: i, sessions: make(map[weak.Pointer[mcp.ServerSession]]*sessionList)}
	server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		l.send = next // the SDK has no method that tells one session alone (go-sdk v1.8.0)
		return next
	})
	told := i.observer.changes.listen(server, l.changed)
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return i.guarded(func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			_ = told // is held by the server
			result, err := next(ctx, method, req)
			if err == nil {
				l.after(ctx, req, result)
			}
			return result, err
		})
	})
}

// after deals with what a request was answered with.
func (l *listing) after(ctx context.Context, req mcp.Request, result mcp.Result) {
	switch req := req.(type) {
	case *mcp.ServerRequest[*mcp.InitializeParams]:
		if r, ok := result.(*mcp.InitializeResult); ok && r.Capabilities.Tools != nil && r.Capabilities.Tools.ListChanged {
			l.begin(req.Session, req.Extra)
		}
	case *mcp.ListToolsRequest:
		if r, ok := result.(*mcp.ListToolsResult); ok && ctx.Value(wholeList{}) == nil {
			l.shorten(ctx, req, r)
		}
	case *mcp.CallToolRequest:
		l.afterCall(ctx, req)
	}
}

// begin notes a session that can be told of changes.
func (l *listing) begin(session *mcp.ServerSession, extra *mcp.RequestExtra) {
	if session == nil || extra != nil && session.ID() == "" { // stateless HTTP, where it is one request
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.sessions {
		if key.Value() == nil {
			delete(l.sessions, key)
		}
	}
	l.sessions[weak.Make(session)] = new(sessionList)
}

// shorten leaves the gated tools out of a list, if there is no grant.
func (l *listing) shorten(ctx context.Context, req *mcp.ListToolsRequest, list *mcp.ListToolsResult) {
	if req.Session == nil || asking.Modern(req.Params.Meta) {
		return
	}
	key := weak.Make(req.Session)
	l.mu.Lock()
	_, can := l.sessions[key]
	l.mu.Unlock()
	if !can {
		return
	}
	whose := listenerOf(ctx, l.auth, req.Session, req.Extra, req.Params.Meta)
	open, until := access(ctx, l.auth, whose, true)
	l.mu.Lock()
	l.sessions[key].set(l.auth, whose, open, until)
	l.mu.Unlock()
	if open {
		return
	}
	list.Tools = slices.DeleteFunc(slices.Clone(list.Tools), func(t *mcp.Tool) bool {
		_, gated := l.auth.gated.Load(t.Name)
		return gated
	})
	if now, _ := access(ctx, l.auth, whose, false); now { // it came meanwhile, and was told too soon
		l.auth.observer.changes.note(whose.who)
	}
}

// set notes what the session is told now; listing.mu is held.
func (s *sessionList) set(i *Interceptor, whose listener, open bool, until time.Time) {
	if s == nil { // the session is gone
		return
	}
	if s.end != nil {
		s.end.Stop()
		s.end = nil
	}
	s.listener, s.open, s.missed = whose, open, false
	if open && !until.IsZero() {
		s.end = time.AfterFunc(time.Until(until), func() { i.observer.changes.note(whose.who) })
	}
}

// changed implements changeListener.
func (l *listing) changed(whose map[grants.Principal]struct{}) {
	l.mu.Lock()
	var concerned []*mcp.ServerSession
	for key, was := range l.sessions {
		session := key.Value()
		if session == nil {
			delete(l.sessions, key)
			continue
		}
		for who := range whose {
			if was.concerns(who) {
				concerned = append(concerned, session)
				break
			}
		}
	}
	l.mu.Unlock()
	for _, session := range concerned { // side by side: one whose host reads nothing takes its time
		if !l.auth.keeper.Spawn(telling, func() { l.tell(l.auth.keeper.Context(), session, true) }) {
			return
		}
	}
}

// afterCall tells a session what has become of its list by a call.
func (l *listing) afterCall(ctx context.Context, req *mcp.CallToolRequest) {
	if req.Session == nil {
		return
	}
	l.mu.Lock()
	was := l.sessions[weak.Make(req.Session)]
	if was == nil {
		l.mu.Unlock()
		return
	}
	whose := was.listener
	l.mu.Unlock()
	if !whose.known { // it has not listed, and knows of no gated tool as far as we know
		whose = listenerOf(ctx, l.auth, req.Session, req.Extra, req.Params.Meta)
		l.mu.Lock()
		was.listener = whose
		l.mu.Unlock()
	}
	l.tell(ctx, req.Session, l.auth.observer.changes.pending(whose.concerns))
}

// tell tells a session if its list is another one by now, and waits until that is on its way.
// Unless something has changed, a grant that is not at hand is in the store, or is not missed
// yet. The values of ctx route the notification: over HTTP to the response of the request that
// ctx belongs to.
func (l *listing) tell(ctx context.Context, session *mcp.ServerSession, changed bool) {
	l.mu.Lock()
	was := l.sessions[weak.Make(session)]
	if was == nil {
		l.mu.Unlock()
		return
	}
	whose, wasOpen := was.listener, was.open
	if wasOpen && !changed && !was.missed {
		l.mu.Unlock()
		return
	}
	was.turn++
	turn := was.turn
	l.mu.Unlock()
	ctx = context.WithoutCancel(ctx) // of a call that was given up nothing is to be learnt of a grant
	open, until := access(ctx, l.auth, whose, wasOpen)
	l.mu.Lock()
	latest := whose.known && was.listener == whose && was.turn == turn
	tell := latest && (was.open != open || was.missed)
	if latest && (tell || open) {
		was.set(l.auth, whose, open, until)
	}
	l.mu.Unlock()
	if !tell {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellWait)
	stop := context.AfterFunc(l.auth.keeper.Context(), cancel)
	sent := make(chan struct{})
	if !l.auth.keeper.Spawn(telling, func() {
		defer cancel()
		defer stop()
		defer close(sent)
		err := guard.Call("a notification to a host", func() error {
			_, err := l.send(ctx, listChanged, &mcp.ServerRequest[mcp.Params]{Session: session, Params: &mcp.ToolListChangedParams{}})
			return err
		})
		if err != nil && ctx.Err() == nil { // the end of its next call tells it
			l.mu.Lock()
			was.missed = true
			l.mu.Unlock()
		}
	}) {
		stop()
		cancel()
		return
	}
	select {
	case <-sent:
	case <-ctx.Done():
	}
}
