package signin

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
)

// A control is what adapters of hosts talk to, in place of hostcheck: it has them
// call the tool, and is the person before their dialogs.
type control struct {
	session *agents.Session
	steps   [][]map[string]any
	ready   func(context.Context) // returns when there is sense in another call; nil: there is
}

// maxReport bounds what an adapter reports, in bytes.
const maxReport = 1 << 20

func newControl(calls int, s *agents.Session, ready func(context.Context)) http.Handler {
	c := &control{session: s, ready: ready}
	for range calls {
		c.steps = append(c.steps, []map[string]any{{"id": "call", "tool": Tool, "arguments": map[string]any{}}})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /task", c.task)
	mux.HandleFunc("POST /shown", c.shown)
	mux.HandleFunc("GET /press", c.press)
	mux.HandleFunc("POST /opened", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /outcome", c.outcome)
	return mux
}

func (c *control) task(w http.ResponseWriter, _ *http.Request) {
	// Not a hostcheck.Task: that leaves arguments out where there are none.
	reply(w, map[string]any{
		"server": hostcheck.Server{Name: c.session.Server.Name, Command: c.session.Server.Command}, "steps": c.steps,
	})
}

func (c *control) shown(w http.ResponseWriter, r *http.Request) {
	var s hostcheck.Shown
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReport)).Decode(&s) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// It is on a screen, which is where the person reads it.
	_, _ = c.session.Log.Write([]byte(s.Message + "\n" + s.URL + "\n"))
	reply(w, hostcheck.Dialog{Dialog: "dialog"})
}

func (c *control) press(w http.ResponseWriter, r *http.Request) {
	action, err := c.session.Ask(r.Context(), "", "", "")
	if err != nil {
		return // the host has gone
	}
	reply(w, hostcheck.Press{Action: action})
}

// outcome lets some time go by before the next call, as the script of a model
// does, if there is need of one.
func (c *control) outcome(w http.ResponseWriter, r *http.Request) {
	var o hostcheck.Outcome
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReport)).Decode(&o) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = c.session.Log.Write([]byte(o.Text + "\n"))
	if !strings.Contains(o.Text, wanted) && len(c.steps) > 1 {
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
		if c.ready != nil {
			c.ready(r.Context())
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the adapter has gone
}
