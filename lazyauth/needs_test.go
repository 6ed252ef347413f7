package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A file is what write_file takes.
type file struct {
	Path string `json:"path"`
	Text string `json:"text,omitempty"`
}

// needsOf are the needs of write_file: what is below "shared/" is for others to read, too. The
// paths that begin with "!" make the function do what it must not.
func needsOf(path string) (scopes.Requirement, error) {
	switch {
	case strings.HasPrefix(path, ".."):
		return nil, fmt.Errorf("the path %q leads out of the notes: leave out the dots", path)
	case path == "!panic":
		panic("a canary-argument")
	case path == "!exit":
		runtime.Goexit()
	case path == "!slow":
		time.Sleep(time.Minute)
	case path == "!nil":
		return nil, nil
	case path == "!beyond":
		return scopes.Of("notes:write", "canary-argument"), nil
	case strings.HasPrefix(path, "shared/"):
		return scopes.AllOf(scopes.Of("notes:write"), scopes.Of("notes:read")), nil
	}
	return scopes.Of("notes:write"), nil
}

var possible = []scopes.Requirement{scopes.Of("notes:write"), scopes.Of("notes:write", "notes:read")}

// A writer adds the tool write_file, whose need depends on its path, and counts how often that
// is asked.
type writer struct{ asked atomic.Int32 }

func (f *writer) handler(w *world.World) mcp.ToolHandlerFor[file, world.Answer] {
	return world.Counted(w, "write_file", func(ctx context.Context, _ *mcp.CallToolRequest, in file) (*mcp.CallToolResult, world.Answer, error) {
		return w.Post(ctx, world.Note{Text: in.Path})
	})
}

func (f *writer) typed(w *world.World) {
	lazyauth.AddToolWithNeeds(w.Server, w.Auth, &mcp.Tool{Name: "write_file"}, scopes.Needs[file]{
		Possible: possible,
		Of: func(in file) (scopes.Requirement, error) {
			f.asked.Add(1)
			return needsOf(in.Path)
		},
	}, f.handler(w))
}

func (f *writer) intercepted(w *world.World) {
	mcp.AddTool(w.Server, &mcp.Tool{Name: "write_file"}, f.handler(w))
	w.Auth.Intercept(w.Server, scopes.Policy{ByArguments: map[string]scopes.Needs[json.RawMessage]{"write_file": {
		Possible: possible,
		Of: func(arguments json.RawMessage) (scopes.Requirement, error) {
			f.asked.Add(1)
			var in file
			if err := json.Unmarshal(arguments, &in); err != nil {
				return nil, err
			}
			return needsOf(in.Path)
		},
	}}})
}

// byEitherWay runs a story with a typed tool and with one that is intercepted, in both eras.
func byEitherWay(t *testing.T, story func(t *testing.T, era string, w *world.World, f *writer)) {
	for name, add := range map[string]func(*writer, *world.World){"AddToolWithNeeds": (*writer).typed, "Intercept": (*writer).intercepted} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				f := new(writer)
				story(t, era, world.New(t, world.Setup{Tools: func(w *world.World) { add(f, w) }}), f)
			})
		})
	}
}

// Everything that a call needs is asked for in one prompt, and nothing that it does not need.
func TestNeeds_ByArguments(t *testing.T) {
	byEitherWay(t, func(t *testing.T, era string, w *world.World, _ *writer) {
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "write_file", file{Path: "todo"})
		w.ApprovesFor("notes:write profile")
		(<-call).Succeeds(t, "todo")
		h.Gets("write_file", file{Path: "later"}, "later") // nobody is asked again
		call = h.Call(t.Context(), "write_file", file{Path: "shared/todo"})
		w.ApprovesFor("notes:read notes:write profile")
		(<-call).Succeeds(t, "shared/todo")
		h.Gets("write_file", file{Path: "shared/later"}, "shared/later")
		h.Gets("write_file", file{Path: "again"}, "again")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
		if n := w.Starts("write_file"); n != 5 {
			t.Errorf("the handler started %d times", n)
		}
	})
}

func TestNeeds_MoreAtFirst(t *testing.T) {
	byEitherWay(t, func(t *testing.T, era string, w *world.World, _ *writer) {
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "write_file", file{Path: "shared/todo"})
		w.ApprovesFor("notes:read notes:write profile")
		(<-call).Succeeds(t, "shared/todo")
		h.Gets("write_file", file{Path: "todo"}, "todo")
		h.WantPrompts(1)
	})
}

// Calls that wait for one sign-in get what each of them needs.
func TestNeeds_OfABatch(t *testing.T) {
	byEitherWay(t, func(t *testing.T, era string, w *world.World, _ *writer) {
		h := w.Host(era, world.Accepts)
		one := h.Call(t.Context(), "write_file", file{Path: "todo"})
		other := h.Call(t.Context(), "write_file", file{Path: "shared/todo"})
		w.ApprovesFor("notes:read notes:write profile")
		(<-one).Succeeds(t, "todo")
		(<-other).Succeeds(t, "shared/todo")
		w.WantAuthorizations(1)
	})
}

// A call of which it cannot be told what it needs is refused: nobody is asked, no handler
// runs, and what the model wrote stands in no log.
func TestNeeds_Undetermined(t *testing.T) {
	for path, told := range map[string]string{
		"..canary-argument": `the path "..canary-argument" leads out of the notes: leave out the dots`,
		"!panic":            "fault of this server",
		"!exit":             "fault of this server",
		"!slow":             "fault of this server",
		"!nil":              "fault of this server",
		"!beyond":           "fault of this server",
	} {
		t.Run(path, func(t *testing.T) {
			byEitherWay(t, func(t *testing.T, era string, w *world.World, f *writer) {
				h := w.Host(era, world.Accepts)
				for _, signedIn := range []bool{false, true} {
					began := time.Now()
					r := <-h.Call(t.Context(), "write_file", file{Path: path})
					r.Fails(t, lazyauth.ReasonUndetermined)
					if !strings.Contains(r.Text(), told) || !strings.Contains(r.Text(), "nothing was done") || time.Since(began) > 2*time.Second {
						t.Errorf("after %v the model reads %q, want %q in it", time.Since(began), r.Text(), told)
					}
					if !signedIn {
						w.WantAuthorizations(0)
						w.SignsIn("notes:read", "notes:write") // which changes nothing
					}
				}
				h.WantPrompts(0)
				if n := w.Starts("write_file"); n != 0 {
					t.Errorf("the handler started %d times", n)
				}
				if n := len(world.Infos[lazyauth.FailedInfo](&w.Trace)); n != 2 {
					t.Errorf("the trace was told of %d failures", n)
				}
				for name, log := range map[string]string{"zap": w.Log.String(), "slog": w.Slog.String(), "the trace": w.Trace.Text()} {
					if strings.Contains(log, "canary-argument") {
						t.Errorf("%s has the argument: %s", name, log)
					}
				}
				if path == "!slow" {
					world.Later(time.Minute)
				}
			})
		})
	}
}

// Arguments that do not satisfy the schema are refused before the function sees them.
func TestNeeds_MalformedArguments(t *testing.T) {
	byEitherWay(t, func(t *testing.T, era string, w *world.World, f *writer) {
		h := w.Host(era, world.Accepts)
		for _, arguments := range []string{`{}`, `null`, `{"path":5}`, `{"path":"a","txet":"b"}`, `[]`} {
			if r := <-h.Call(t.Context(), "write_file", json.RawMessage(arguments)); r.Err == nil && !r.Result.IsError {
				t.Errorf("%s got %q", arguments, r.Text())
			}
		}
		h.WantPrompts(0)
		if n := f.asked.Load(); n != 0 {
			t.Errorf("the function was asked %d times", n)
		}
	})
}

// What is possible is the limit of what challenges may add, whatever the arguments.
func TestNeeds_Ceiling(t *testing.T) {
	for _, test := range []struct {
		challenge string
		prompts   int
		want      lazyauth.Reason
	}{
		{"notes:read", 2, ""},
		{"admin:everything", 1, lazyauth.ReasonExceeded},
	} {
		t.Run(test.challenge, func(t *testing.T) {
			byEitherWay(t, func(t *testing.T, era string, w *world.World, _ *writer) {
				w.AS.Script("POST /notes", challenge(403, fmt.Sprintf(`Bearer error="insufficient_scope", scope=%q`, test.challenge)).Times(1))
				h := w.Host(era, world.Accepts)
				call := h.Call(t.Context(), "write_file", file{Path: "todo"})
				w.ApprovesFor("notes:write profile")
				if test.want == "" {
					w.ApprovesFor("notes:read notes:write profile")
					(<-call).Succeeds(t, "todo")
				} else {
					(<-call).Fails(t, test.want)
				}
				h.WantPrompts(test.prompts)
			})
		})
	}
}

// A retry with other arguments cannot have a call go on that was asked for less, nor one that
// needs more be served by what was approved for less.
func TestNeeds_OfARetry(t *testing.T) {
	for name, add := range map[string]func(*writer, *world.World){"AddToolWithNeeds": (*writer).typed, "Intercept": (*writer).intercepted} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := new(writer)
				w := world.New(t, world.Setup{Tools: func(w *world.World) { add(f, w) }})
				h := w.RawHost()
				state := (<-h.Request(t.Context(), "write_file", file{Path: "shared/todo"}, "", "")).State(t)
				w.ApprovesFor("notes:read notes:write profile", "notes:write")
				world.Later(10 * time.Second)
				for _, other := range []any{file{Path: "todo"}, file{Path: "shared/other"}} {
					(<-h.Request(t.Context(), "write_file", other, state, "accept")).RefusesState(t)
				}
				// With the same arguments it lacks what it needed when it began.
				(<-h.Request(t.Context(), "write_file", file{Path: "shared/todo"}, state, "accept")).Fails(t, lazyauth.ReasonNarrowed)
				if n := w.Starts("write_file"); n != 0 {
					t.Errorf("the handler started %d times", n)
				}
				// And the narrower grant serves what needs no more.
				(<-h.Request(t.Context(), "write_file", file{Path: "todo"}, "", "")).Succeeds(t, "todo")
			})
		})
	}
}

// Hosts are told what calls can need, and that it depends.
func TestNeeds_Told(t *testing.T) {
	byEitherWay(t, func(t *testing.T, era string, w *world.World, _ *writer) {
		list, err := w.Host(era, world.Accepts).Session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(list.Tools[0].Meta)
		if want := `{"io.github.lazyauth/needs-vary":true,"securitySchemes":[{"scopes":["notes:write"],"type":"oauth2"},{"scopes":["notes:read","notes:write"],"type":"oauth2"}]}`; string(got) != want {
			t.Errorf("told: %s, want %s", got, want)
		}
	})
}

// A call of somebody who is not known is refused as such, also where its arguments are no good.
func TestNeeds_Anonymous(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: new(writer).typed, Options: lazyauth.Options{
			Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
				return lazyauth.Principal{}, errors.New("who is that?")
			},
		}})
		h := w.Host(era, world.Accepts)
		for _, path := range []string{"todo", "..canary-argument"} {
			(<-h.Call(t.Context(), "write_file", file{Path: path})).Fails(t, lazyauth.ReasonAnonymous)
		}
	})
}

func TestNeeds_WrongOnesPanic(t *testing.T) {
	for name, wrong := range map[string]func(*world.World){
		"no function": func(w *world.World) {
			lazyauth.AddToolWithNeeds(w.Server, w.Auth, &mcp.Tool{Name: "x"}, scopes.Needs[file]{Possible: possible}, new(writer).handler(w))
		},
		"nothing possible": func(w *world.World) {
			w.Auth.Intercept(w.Server, scopes.Policy{ByArguments: map[string]scopes.Needs[json.RawMessage]{"x": {}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := world.New(t, world.Setup{})
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			wrong(w)
		})
	}
}

// A tool whose need depends is as gated as any: where those are hidden until there is a grant, it
// is, and its arguments are known all the same.
func TestNeeds_Hidden(t *testing.T) {
	for name, add := range map[string]func(*writer, *world.World){"AddToolWithNeeds": (*writer).typed, "Intercept": (*writer).intercepted} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := new(writer)
				w := world.New(t, world.Setup{Tools: func(w *world.World) {
					add(f, w)
					lazyauth.AddAuthTools(w.Server, w.Auth, &lazyauth.AuthTools{HideUntilSignIn: true})
				}})
				h := listener(w, world.Legacy)
				if got := strings.Join(h.Tools(), " "); strings.Contains(got, "write_file") {
					t.Errorf("listed before there is a grant: %s", got)
				}
				call := h.Call(t.Context(), "write_file", file{Path: "shared/todo"})
				w.ApprovesFor("notes:read notes:write profile")
				(<-call).Succeeds(t, "shared/todo")
				world.Later(time.Second)
				if got := strings.Join(h.Tools(), " "); !strings.Contains(got, "write_file") {
					t.Errorf("listed with a grant: %s", got)
				}
			})
		})
	}
}
