package httplimit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// asPerson is a transport of somebody whose bearer token is their name.
type asPerson string

func (p asPerson) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(p))
	return http.DefaultTransport.RoundTrip(r)
}

// A served limiter is in front of an MCP server with sessions.
type served struct {
	t   *testing.T
	url string
	// sessions returns how many there are.
	sessions func() int
	// requests are in progress: a handler may end after its answer has come.
	requests atomic.Int64
	// wait has its tool return. Of its calls so many have been begun, and so many wait.
	wait           chan struct{}
	begun, waiting atomic.Int64
}

func serve(t *testing.T, limits *httplimit.Limits) *served {
	s := &served{t: t, wait: make(chan struct{})}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		s.waiting.Add(1)
		s.begun.Add(1)
		defer s.waiting.Add(-1)
		select {
		case <-s.wait:
		case <-ctx.Done():
		}
		return nil, nil, nil
	})
	l := httplimit.New(limits)
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		subject, issuer, ok := strings.Cut(token, "@")
		if !ok {
			issuer = "https://idp.example"
		}
		return &auth.TokenInfo{UserID: subject, Extra: map[string]any{"iss": issuer}, Expiration: time.Now().Add(time.Hour)}, nil
	}
	handler = l.ByAddress(auth.RequireBearerToken(verify, nil)(l.ByPerson(server, handler)))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Add(-1)
		handler.ServeHTTP(w, r)
	}))
	s.url = web.URL
	s.sessions = func() (n int) {
		for range server.Sessions() {
			n++
		}
		return n
	}
	t.Cleanup(func() {
		for one := range server.Sessions() {
			_ = one.Close()
		}
		web.CloseClientConnections()
		web.Close()
	})
	return s
}

// opens has somebody open a session. Their host listens to nothing.
func (s *served) opens(who string) (*mcp.ClientSession, error) {
	return mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(s.t.Context(),
		&mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: &http.Client{Transport: asPerson(who)}, DisableStandaloneSSE: true, MaxRetries: -1},
		&mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
}

// mustOpen is opens for somebody who finds room.
func (s *served) mustOpen(who string) *mcp.ClientSession {
	s.t.Helper()
	s.settles()
	session, err := s.opens(who)
	if err != nil {
		s.t.Fatal(err)
	}
	s.settles()
	return session
}

// settles returns once nothing is in progress but calls that wait: when a session was used last
// is when its last request ended.
func (s *served) settles() {
	s.t.Helper()
	s.until("requests do not end", func() bool { return s.requests.Load() <= s.waiting.Load() })
}

// until returns once something is so, of which nobody tells.
func (s *served) until(otherwise string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal(otherwise)
		}
	}
}

// calls has a tool called that waits, and returns once it does.
func (s *served) calls(session *mcp.ClientSession) <-chan error {
	s.t.Helper()
	return s.callsIn(s.t.Context(), session)
}

func (s *served) callsIn(ctx context.Context, session *mcp.ClientSession) <-chan error {
	s.t.Helper()
	before, called := s.begun.Load(), make(chan error, 1)
	go func() {
		_, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "wait"})
		called <- err
	}()
	s.until("the call does not get through", func() bool { return s.begun.Load() > before })
	return called
}

// lives demands that a session lives, or that its host is told that it does not: soon, since it is
// closed by itself.
func (s *served) lives(session *mcp.ClientSession, want bool) {
	s.t.Helper()
	defer s.settles()
	err := session.Ping(s.t.Context(), nil)
	for deadline := time.Now().Add(time.Minute); !want && !errors.Is(err, mcp.ErrSessionMissing) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		err = session.Ping(s.t.Context(), nil)
	}
	if want && err != nil || !want && !errors.Is(err, mcp.ErrSessionMissing) {
		s.t.Errorf("a ping: %v; want it to live: %t", err, want)
	}
}

// Whoever opens more sessions than is their share closes their own: the one that was used
// least recently. Others keep theirs.
func TestByPerson_ShareOfSessions(t *testing.T) {
	s := serve(t, &httplimit.Limits{Sessions: 10, SessionsPerPerson: 2})
	eve := s.mustOpen("eve")
	first, second := s.mustOpen("ada"), s.mustOpen("ada")
	s.lives(first, true) // used after the second
	third := s.mustOpen("ada")
	s.lives(second, false)
	s.lives(first, true)
	s.lives(third, true)
	s.lives(eve, true)
}

// Where all are taken the one that anybody used least recently is closed; one in whose middle a
// call waits is not.
func TestByPerson_AllSessions(t *testing.T) {
	s := serve(t, &httplimit.Limits{Sessions: 3, SessionsPerPerson: 3})
	busy, idle := s.mustOpen("ada"), s.mustOpen("ada")
	inProgress := s.calls(busy)
	eve := s.mustOpen("eve")
	s.mustOpen("bob")
	s.lives(idle, false)
	s.lives(eve, true)
	select {
	case err := <-inProgress:
		t.Errorf("the call was ended: %v", err)
	default:
	}
	close(s.wait)
	if err := <-inProgress; err != nil {
		t.Error(err)
	}
}

// A session that its host has ended leaves its place to another.
func TestByPerson_EndedSession(t *testing.T) {
	s := serve(t, &httplimit.Limits{Sessions: 2, SessionsPerPerson: 2})
	for range 10 {
		session := s.mustOpen("ada")
		if err := session.Close(); err != nil {
			t.Fatal(err)
		}
	}
	one, other := s.mustOpen("ada"), s.mustOpen("ada")
	s.lives(one, true)
	s.lives(other, true)
}

// One person's requests in progress are bounded; others' are let in.
func TestByPerson_Requests(t *testing.T) {
	s := serve(t, &httplimit.Limits{PerPerson: 2})
	ada := s.mustOpen("ada")
	s.calls(ada)
	s.calls(ada)
	if err := ada.Ping(t.Context(), nil); err == nil {
		t.Error("a third request at a time was let in")
	}
	s.lives(s.mustOpen("eve"), true)
	close(s.wait)
}
