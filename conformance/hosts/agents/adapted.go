package agents

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"text/template"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// An Adapter drives a host that has no model: a program on an SDK, or a command
// line. It talks to whoever measures as it talks to hostcheck.
type Adapter struct {
	Version  string
	Command  []string
	Template string // of the configuration that the host reads; empty if it reads none
	Protocol string // for the template
	Calls    int    // how often the tool is called at the most
}

// Adapted is such a host as an agent.
func Adapted(name, title string, a Adapter) Agent {
	return Agent{Name: name, Title: title, ShowsProgress: true, adapter: &a, configure: func(s *Session) (launch, error) {
		l := launch{environment: []string{"HOSTCHECK_CONTROL=" + s.Control, "HOSTCHECK_DIR=" + s.home}, command: a.Command}
		if a.Template == "" {
			return l, nil
		}
		text, err := a.configuration(s)
		if err != nil {
			return l, err
		}
		l.environment = append(l.environment, "HOSTCHECK_CONFIG="+filepath.Join(s.home, "host.json"))
		return l, s.write("host.json", text)
	}}
}

// configuration renders the template, as hostcheck does.
func (a *Adapter) configuration(s *Session) (string, error) {
	t, err := template.New("host").Funcs(template.FuncMap{"json": func(v any) (string, error) {
		raw, err := json.Marshal(v)
		return string(raw), err
	}}).Parse(a.Template)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, hostcheck.Launch{
		Protocol: a.Protocol, Command: s.Server.Command, Task: hostcheck.Task{Server: hostcheck.Server{Name: s.Server.Name}},
	})
	return b.String(), err
}

// Calls is how often a host with an adapter calls the tool, and 0 for an agent,
// whose model decides.
func (a Agent) Calls() int {
	if a.adapter == nil {
		return 0
	}
	return a.adapter.Calls
}
