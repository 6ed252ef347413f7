package main

import (
	"bytes"
	_ "embed" // for the page, its style and its script
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// ServeHTTP serves the page and takes what its buttons send:
//
//	GET  /TOKEN/         the page, page.css, page.js
//	GET  /TOKEN/events   the [state], as server-sent events, whenever it changes
//	GET  /TOKEN/report   the report as it stands
//	POST /TOKEN/start    scenario
//	POST /TOKEN/finish
//	POST /TOKEN/answer   scenario, check, yes
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != p.host || http.NewCrossOriginProtection().Check(r) != nil {
		http.Error(w, "wrong host or origin", http.StatusForbidden)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/"+p.token+"/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
			"form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
	} {
		w.Header().Set(name, value)
	}
	switch r.Method + " " + path {
	case "GET ":
		p.index(w)
	case "GET page.css":
		send(w, "text/css", []byte(report.BaseStyle+pageStyle))
	case "GET page.js":
		send(w, "text/javascript", []byte(pageScript))
	case "GET events":
		p.events(w, r)
	case "GET report":
		p.report(w)
	case "POST start", "POST finish", "POST answer":
		p.press(w, r, path)
	default:
		http.NotFound(w, r)
	}
}

func send(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.Write(body)
}

// index sends the page: how to configure the host. The rest is filled in by
// the script.
func (p *page) index(w http.ResponseWriter) {
	server := p.guide.Server()
	view := struct {
		Name, Protocol, Transport, URL, Command, Config string
	}{server.Name, p.protocol, p.transport, server.URL, shellWords(server.Command), configuration(server)}
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, view); err != nil {
		panic("hostcheck: the page: " + err.Error())
	}
	send(w, "text/html", body.Bytes())
}

// configuration is the server as most hosts' configuration files have it.
func configuration(s hostcheck.Server) string {
	entry := struct {
		Type    string   `json:"type,omitempty"`
		URL     string   `json:"url,omitempty"`
		Command string   `json:"command,omitempty"`
		Args    []string `json:"args,omitempty"`
	}{URL: s.URL}
	if s.URL != "" {
		entry.Type = "http"
	}
	if len(s.Command) > 0 {
		entry.Command, entry.Args = s.Command[0], s.Command[1:]
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(map[string]any{"mcpServers": map[string]any{s.Name: entry}}); err != nil {
		panic("hostcheck: a configuration of strings: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// shellWords is a command line for a POSIX shell.
func shellWords(command []string) string {
	quoted := make([]string, len(command))
	for i, word := range command {
		quoted[i] = word
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+") != "" {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// report sends the report as it stands. It brings a policy of its own.
func (p *page) report(w http.ResponseWriter) {
	r := p.guide.Snapshot()
	var body bytes.Buffer
	if err := report.HTML(&body, &r, p.options); err != nil {
		http.Error(w, "the report cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Del("Content-Security-Policy")
	send(w, "text/html", body.Bytes())
}

// maxForm is more than any button sends, in bytes.
const maxForm = 4 << 10

// press does what a button says.
func (p *page) press(w http.ResponseWriter, r *http.Request, what string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "that is no form", http.StatusBadRequest)
		return
	}
	var err error
	scenario := r.PostForm.Get("scenario")
	switch what {
	case "start":
		err = p.guide.Start(scenario)
	case "finish":
		p.guide.Finish()
	case "answer":
		err = p.guide.Answer(scenario, r.PostForm.Get("check"), r.PostForm.Get("yes") == "true")
	}
	if err != nil {
		http.Error(w, strings.TrimPrefix(err.Error(), "hostcheck: "), http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// A state is what the page shows.
type state struct {
	Connected bool        `json:"connected"`
	Steps     []stepState `json:"steps"`
}

// A stepState is a step with the verdicts on it so far.
type stepState struct {
	hostcheck.Step
	Checks []checkState `json:"checks"`
}

type checkState struct {
	ID      string           `json:"id"`
	Name    string           `json:"name"`
	Status  hostcheck.Status `json:"status"`
	Message string           `json:"message"`
	Text    string           `json:"text"`
	URL     string           `json:"url"`
}

func (p *page) state() state {
	s := state{Connected: p.guide.Connected(), Steps: []stepState{}}
	snapshot := p.guide.Snapshot()
	for _, step := range p.guide.Checklist() {
		view := stepState{Step: step, Checks: []checkState{}}
		if view.Questions == nil {
			view.Questions = []hostcheck.Question{}
		}
		at := slices.IndexFunc(snapshot.Results, func(r hostcheck.Result) bool { return r.Scenario == step.Scenario })
		if at >= 0 {
			for _, check := range snapshot.Results[at].Checks {
				asked := slices.ContainsFunc(step.Questions, func(q hostcheck.Question) bool { return q.Check == check.ID })
				if check.Status != hostcheck.Skipped || !asked { // the question stands there already
					view.Checks = append(view.Checks, viewCheck(check))
				}
			}
		}
		s.Steps = append(s.Steps, view)
	}
	return s
}

func viewCheck(c hostcheck.Check) checkState {
	view := checkState{ID: c.ID, Name: c.Name, Status: c.Status, Text: c.Description, Message: report.Why(c)}
	if len(c.SpecReferences) > 0 {
		view.URL = c.SpecReferences[0].URL
	}
	return view
}

const (
	// atMost is how often the page is told of changes. A conversation that is
	// under way changes something all the time.
	atMost = 250 * time.Millisecond
	// atLeast keeps the connection from looking dead.
	atLeast = 15 * time.Second
)

// events sends the state whenever it changes, until the browser or the command
// goes away.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for {
		changed := p.guide.Changed() // before the state, so that nothing is missed
		data, err := json.Marshal(p.state())
		if err != nil {
			return
		}
		if _, err := w.Write(slices.Concat([]byte("data: "), data, []byte("\n\n"))); err != nil {
			return
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-time.After(atLeast):
		case <-r.Context().Done():
			return
		}
		select {
		case <-time.After(atMost):
		case <-r.Context().Done():
			return
		}
	}
}
