package lazyauth

import (
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A request that still waits when its call ends is answered with the call's outcome: that is
// complete, with the name of a handler's own round in it, before the request is answered.
func TestSuspended_NamesARoundBeforeARequestIsAnswered(t *testing.T) {
	i, err := New(Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	call := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "t"}}
	s := newSuspended(i.newGate("t", scopes.Of("x")), i.local, nil, asking.Request{Ctx: t.Context(), Call: call})
	s.enter(&s.first)
	answered := false
	s.first.stop = func(error) {
		answered = true
		if s.round == "" || s.roundEnd == 0 {
			t.Error("a request is answered with an outcome whose round has no name")
		}
	}
	s.conclude(outcome{result: &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{}}}})
	if !answered {
		t.Error("no request was answered")
	}
}

// A request that leaves serves nothing before it waits for what is being said to it: or the
// first progress of a call, which there is nothing to wait for before, could follow the answer.
func TestSuspended_LeavesBeforeItWaitsForProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, err := New(Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		call := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: "t"}}
		s := newSuspended(i.newGate("t", scopes.Of("x")), i.local, nil, asking.Request{Ctx: t.Context(), Call: call})
		s.enter(&s.first)
		p, left := s.Progress(), false
		p.Lock() // a message is on its way
		go func() {
			s.leave(&s.first, nil)
			left = true
		}()
		synctest.Wait()
		if s.current() != nil || left {
			t.Errorf("serves %t, left %t, while a message is on its way; want neither", s.current() != nil, left)
		}
		p.Unlock()
		synctest.Wait()
		if !left {
			t.Error("it never leaves")
		}
	})
}

// A call that was answered with a prompt keeps nothing of its request but what its handler is to
// have and the next request does not bring: a decoded request is large, and its host may never come.
func TestSuspended_ShedsItsRequest(t *testing.T) {
	i, err := New(Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	params := &mcp.CallToolParamsRaw{
		Name: "t", Arguments: []byte(`{"a":1}`), Meta: mcp.Meta{"b": 2},
		RequestState: "of a round", InputResponses: mcp.InputResponseMap{"sure": &mcp.ElicitResult{Action: "accept"}},
	}
	s := newSuspended(i.newGate("t", scopes.Of("x")), i.local, nil, asking.Request{Ctx: t.Context(), Call: &mcp.CallToolRequest{Params: params}})
	s.enter(&s.first)
	other := &request{Request: s.first.Request}
	s.enter(other)
	s.leave(&s.first, nil)
	if s.latest == nil || s.first.Call.Params != params {
		t.Error("it is shed while another request serves the call")
	}
	s.leave(other, nil)
	left := s.first.Call
	if s.latest != nil || s.first.Ctx != nil || left.Params.Arguments != nil || left.Params.Meta != nil || left.Session != nil || left.Extra != nil {
		t.Errorf("it keeps %+v, of %+v", left.Params, s.first)
	}
	if left.Params.RequestState != "of a round" || len(left.Params.InputResponses) != 1 {
		t.Errorf("it has lost what its handler is to have: %+v", left.Params)
	}
}
