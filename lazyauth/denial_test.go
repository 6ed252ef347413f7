package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// denialSchema is what SEP-2643 says of a result with an envelope, in our words: of
// https://github.com/modelcontextprotocol/modelcontextprotocol/pull/2643, by the table that its
// reviews quote on 2 September 2026 and the field definitions of its text. Rows 1 and 4 of the
// table are a server's that holds the credentials itself:
//
//	an interaction at a URL      InputRequiredResult       available                   a url hint
//	final, or not described      CallToolResult, isError   unavailable or undisclosed  no hints
const denialSchema = `{
	"type": "object",
	"required": ["_meta"],
	"properties": {"_meta": {"type": "object", "required": ["io.modelcontextprotocol/authorization"]}},
	"oneOf": [
		{
			"required": ["inputRequests", "requestState"],
			"properties": {
				"resultType": {"const": "input_required"},
				"isError": {"const": false},
				"inputRequests": {"type": "object", "additionalProperties": {"type": "object", "required": ["method", "params"],
					"properties": {"method": {"const": "elicitation/create"}, "params": {"type": "object", "required": ["mode", "url"], "properties": {"mode": {"const": "url"}}}}}},
				"_meta": {"properties": {"io.modelcontextprotocol/authorization": {
					"type": "object", "required": ["reason", "remediation", "remediationHints"], "additionalProperties": false,
					"properties": {
						"reason": {"const": "insufficient_authorization"},
						"remediation": {"const": "available"},
						"remediationHints": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"], "properties": {"type": {"const": "url"}}}}
					}}}}
			}
		},
		{
			"required": ["isError", "content"],
			"not": {"required": ["inputRequests"]},
			"properties": {
				"isError": {"const": true},
				"content": {"type": "array", "minItems": 1},
				"_meta": {"properties": {"io.modelcontextprotocol/authorization": {
					"type": "object", "required": ["reason", "remediation"], "additionalProperties": false,
					"properties": {
						"reason": {"const": "insufficient_authorization"},
						"remediation": {"enum": ["unavailable", "undisclosed"]}
					}}}}
			}
		}
	]
}`

// wantDenial demands that a result has an envelope as the draft has it, with this remediation.
func wantDenial(t *testing.T, r world.Reply, remediation string) {
	t.Helper()
	if r.Err != nil {
		t.Errorf("the call failed with a protocol error: %v", r.Err)
		return
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal([]byte(denialSchema), &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r.Result)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	if err := resolved.Validate(value); err != nil {
		t.Errorf("not as the draft has it: %s: %v", text, err)
	}
	envelope, _ := r.Result.Meta[lazyauth.MetaDenial].(map[string]any)
	if envelope["remediation"] != remediation {
		t.Errorf("the envelope is %v, want the remediation %q (%s)", envelope, remediation, text)
	}
}

// wantNoDenial demands that a result has no envelope.
func wantNoDenial(t *testing.T, r world.Reply) {
	t.Helper()
	if r.Err == nil && r.Result.Meta[lazyauth.MetaDenial] != nil {
		t.Errorf("there is an envelope: %v", r.Result.Meta)
	}
}

// A denial is a way in which a call of whoami comes to nothing before its handler begins.
type denial struct {
	setup       func(*world.Setup)
	before      func(w *world.World, era string)
	react       world.Reaction     // nil: the host shows no prompts
	then        func(*world.World) // while the call waits
	remediation string
}

// denials are all but that of a host which does not come back for its call, or too late: it has
// nothing to be read, or an answer of which it is not certain that no handler has begun (TestDenial_NotOfASuspendedHandler).
var denials = map[lazyauth.Reason]denial{
	lazyauth.ReasonPending:  {remediation: "undisclosed"},
	lazyauth.ReasonDeclined: {react: world.Says("decline", 3*time.Second), remediation: "undisclosed"},
	lazyauth.ReasonDenied:   {react: world.Accepts, then: (*world.World).Denies, remediation: "undisclosed"},
	lazyauth.ReasonExpired: {react: world.Accepts, remediation: "undisclosed",
		setup: func(s *world.Setup) { s.Options.MaxWait = time.Hour }},
	lazyauth.ReasonNarrowed: {react: world.Accepts, remediation: "undisclosed",
		setup: func(s *world.Setup) {
			s.Tools = func(w *world.World) {
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "whoami"}, scopes.Of("notes:read"),
					world.Counted(w, "whoami", func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						return nil, world.Answer{}, nil
					}))
			}
		},
		then: func(w *world.World) { w.Approves("profile") }},
	lazyauth.ReasonUnavailable: {react: world.Accepts, remediation: "undisclosed",
		setup: func(s *world.Setup) {
			s.AS.Metadata = func(m map[string]any) { m["issuer"] = "https://other.example.test" }
		}},
	lazyauth.ReasonUnsupported: {react: world.Accepts, remediation: "unavailable",
		setup: func(s *world.Setup) { s.AS.NoDevice = true }},
	lazyauth.ReasonAnonymous: {react: world.Accepts, remediation: "unavailable",
		setup: func(s *world.Setup) {
			s.Options.Principal = func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
				return lazyauth.Principal{}, errors.New("who is that?")
			}
		}},
	lazyauth.ReasonUnverified: {react: world.Accepts, remediation: "undisclosed",
		setup: func(s *world.Setup) {
			s.Options.Principal = world.ByClientName
			s.Options.VerifyUser = func(context.Context, lazyauth.Principal, *oauth2.Token) error { return errors.New("somebody else") }
		},
		then: func(w *world.World) { w.Approves() }},
	lazyauth.ReasonBarred: {react: world.Accepts, remediation: "unavailable",
		setup: func(s *world.Setup) {
			s.Options.Principal = func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) { return ada, nil }
			s.Options.VerifyUser = world.Anybody
		},
		then: func(w *world.World) {
			if _, err := lazyauth.NewOperator(w.Auth, "olga").Bar(w.T.Context(), ada, time.Time{}); err != nil {
				w.T.Error(err)
			}
		}},
	lazyauth.ReasonBusy: {react: world.Accepts, remediation: "undisclosed",
		setup: func(s *world.Setup) {
			s.Options.Principal, s.Options.VerifyUser, s.Options.MaxSignIns = world.ByClientName, world.Anybody, 1
		},
		before: func(w *world.World, era string) {
			w.HostWith(era, world.Manners{Name: "eve", URL: true, React: world.Never}).Call(w.T.Context(), "whoami", nil)
			w.Person() // who is asked, and does nothing
		}},
	lazyauth.ReasonExceeded: {react: world.Accepts, remediation: "unavailable",
		setup: func(s *world.Setup) {
			s.Tools = func(w *world.World) {
				w.AddTools()
				w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"whoami": nil}})
			}
		}},
}

// A call that comes to nothing before its handler begins has the envelope, if that was asked for.
func TestDenial_BeforeTheHandler(t *testing.T) {
	for reason, d := range denials {
		for name, on := range map[string]bool{"": true, " without the option": false} {
			t.Run(string(reason)+name, func(t *testing.T) {
				world.InBothEras(t, func(t *testing.T, era string) {
					s := world.Setup{Options: lazyauth.Options{ExperimentalDenials: on}}
					if d.setup != nil {
						d.setup(&s)
					}
					w := world.New(t, s)
					if d.before != nil {
						d.before(w, era)
					}
					call := w.Host(era, d.react).Call(t.Context(), "whoami", nil)
					if d.then != nil {
						synctest.Wait() // until it waits
						d.then(w)
					}
					r := <-call
					r.Fails(t, reason)
					if on {
						wantDenial(t, r, d.remediation)
					} else {
						wantNoDenial(t, r)
					}
					if n := w.Starts("whoami"); n != 0 {
						t.Errorf("the handler started %d times", n)
					}
				})
			})
		}
	}
}

// No reason of those that docs/denials.md has an envelope for is left out of these.
func TestDenial_EachReasonIsTried(t *testing.T) {
	page, err := os.ReadFile("../docs/denials.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[1], " `") || !strings.Contains(cells[2], "`") {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			reason := lazyauth.Reason(strings.Trim(name, " `"))
			if _, ok := denials[reason]; !ok && reason != lazyauth.ReasonAbandoned {
				t.Errorf("there is no denial for the reason %s", reason)
			}
			tried++
		}
	}
	if tried != len(denials)+1 {
		t.Errorf("the page has %d reasons, and there are %d denials", tried, len(denials))
	}
}

// A prompt that shows a link is a denial that can be remedied there, and the retry may be one
// that cannot.
func TestDenial_Prompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true, MaxCalls: 1, Principal: world.ByClientName, VerifyUser: world.Anybody}})
		h := w.RawHostNamed("alice")
		prompt := <-h.Request(t.Context(), "whoami", nil, "", "")
		wantDenial(t, prompt, "available")
		busy := <-w.RawHostNamed("bob").Request(t.Context(), "whoami", nil, "", "")
		busy.Fails(t, lazyauth.ReasonBusy)
		wantDenial(t, busy, "undisclosed")
		denied := h.Request(t.Context(), "whoami", nil, prompt.State(t), "accept")
		w.Denies()
		r := <-denied
		r.Fails(t, lazyauth.ReasonDenied)
		wantDenial(t, r, "undisclosed")
	})
}

// A prompt that comes with a call which needs no grant denies nothing: the call goes on whatever the person says.
func TestDenial_NotOfAnOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: asksAtStart, Options: lazyauth.Options{ExperimentalDenials: true}})
		h := w.RawHost()
		prompt := <-h.Request(t.Context(), "ping", nil, "", "")
		state := prompt.State(t)
		wantNoDenial(t, prompt)
		(<-h.Request(t.Context(), "ping", nil, state, "decline")).Succeeds(t, "pong")
	})
}

// A form has the code to be entered elsewhere, which the draft has no word for.
func TestDenial_Form(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true}})
		r := <-w.RawHost().BareForm("", "")
		r.Form(t, w)
		wantNoDenial(t, r)
	})
}

// Once a handler has begun something may have been done: neither its prompts nor its failures
// have the envelope, however it was that they came about.
func TestDenial_NotOnceAHandlerHasBegun(t *testing.T) {
	accepting := []world.Reaction{world.Accepts, world.Accepts}
	fails := map[string]struct {
		react []world.Reaction
		then  func(*world.World)
		want  lazyauth.Reason
	}{
		"declined": {[]world.Reaction{world.Accepts, world.Says("decline", 3*time.Second)}, nil, lazyauth.ReasonDeclined},
		"denied":   {accepting, (*world.World).Denies, lazyauth.ReasonDenied},
		"narrowed": {accepting, func(w *world.World) { w.Approves("profile", "notes:write") }, lazyauth.ReasonNarrowed},
		"pending":  {nil, nil, lazyauth.ReasonPending},
		"exceeded": {accepting, nil, lazyauth.ReasonExceeded},
	}
	for _, tool := range []string{"digest", "saga"} { // by the API's word, and by the handler's
		for name, test := range fails {
			t.Run(tool+" "+name, func(t *testing.T) {
				world.InBothEras(t, func(t *testing.T, era string) {
					w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true}, Tools: func(w *world.World) {
						world.WithDigest(w)
						withSagaAlone(w)
					}})
					want := test.want
					if want == lazyauth.ReasonExceeded {
						if tool == "saga" {
							return // no word of the handler's is too much
						}
						w.AS.Script(fakeas.ListNotes, challenge(403, `Bearer error="insufficient_scope", scope="admin:everything"`))
					}
					var react world.Reaction
					if test.react == nil {
						w.SignsIn("notes:write", "profile")
					} else {
						react = world.InTurn(test.react...)
					}
					h := w.Host(era, react)
					call := h.Call(t.Context(), tool, world.Note{Text: "x"})
					if test.react != nil {
						w.Approves()
					}
					if test.then != nil {
						test.then(w)
					}
					r := <-call
					r.Fails(t, want)
					wantNoDenial(t, r)
					if n := w.Starts(tool); n != 1 {
						t.Errorf("the handler started %d times", n)
					}
				})
			})
		}
	}
}

// withSagaAlone adds saga without the other tools, which are there.
func withSagaAlone(w *world.World) {
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "saga"}, scopes.Of("notes:write"), world.Counted(w, "saga",
		func(ctx context.Context, _ *mcp.CallToolRequest, in world.Note) (*mcp.CallToolResult, world.Answer, error) {
			if _, _, err := w.Post(ctx, in); err != nil {
				return nil, world.Answer{}, err
			}
			return nil, world.Answer{}, lazyauth.Require(ctx, scopes.Of("notes:read"))
		}))
}

// The prompt of a suspended call whose handler waits in its middle has none; nor has what its
// host is answered with that comes back too late, or twice.
func TestDenial_NotOfASuspendedHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true}, Tools: world.WithSaga})
		h := w.RawHost()
		first := <-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")
		wantDenial(t, first, "available")
		retry := h.Request(t.Context(), "saga", world.Note{Text: "x"}, first.State(t), "accept")
		w.Approves()
		second := <-retry // the handler has created its note, and needs more
		wantNoDenial(t, second)
		retry = h.Request(t.Context(), "saga", world.Note{Text: "x"}, second.State(t), "accept")
		w.Denies()
		for range 2 {
			r := <-retry
			r.Fails(t, lazyauth.ReasonDenied)
			wantNoDenial(t, r)
			retry = h.Request(t.Context(), "saga", world.Note{Text: "x"}, second.State(t), "accept")
		}
		<-retry
		w.WantSaga(1, 1)
	})
}

// The next round of a handler's own is a call of which a part was done in the round before.
func TestDenial_NotInAHandlersNextRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true}, Tools: world.WithConfirm})
		w.SignsIn("profile")
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil { // the grant is gone meanwhile
			t.Fatal(err)
		}
		prompt := h.Confirms(state)
		prompt.State(t)
		wantNoDenial(t, prompt)
		retry := h.Request(t.Context(), "confirm", nil, prompt.State(t), "accept")
		w.Denies()
		r := <-retry
		r.Fails(t, lazyauth.ReasonDenied)
		wantNoDenial(t, r)
	})
}

// A handler that broke off may have done anything.
func TestDenial_NotOfABrokenHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true}, Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "exits"}, scopes.Of("profile"),
				func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, any, error) {
					runtime.Goexit()
					return nil, nil, nil
				})
		}})
		w.SignsIn("profile")
		r := <-w.Host(world.Modern, world.Accepts).Call(t.Context(), "exits", nil)
		r.Fails(t, lazyauth.ReasonAbandoned)
		wantNoDenial(t, r)
	})
}

// Arguments by which it cannot be told what a call needs are no matter of authorization.
func TestDenial_NotOfArguments(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{ExperimentalDenials: true}, Tools: new(writer).typed})
		r := <-w.Host(era, world.Accepts).Call(t.Context(), "write_file", file{Path: "../x"})
		r.Fails(t, lazyauth.ReasonUndetermined)
		wantNoDenial(t, r)
	})
}
