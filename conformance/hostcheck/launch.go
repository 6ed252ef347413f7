package hostcheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// fill replaces the placeholders in a command line.
func (l Launch) fill(host []string) []string {
	var server []string
	if l.Transport == Stdio {
		server = l.Command
	} else {
		server = []string{l.URL}
	}
	quoted := make([]string, len(server))
	for i, word := range server {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	words := strings.Join(quoted, " ")
	if l.Transport == HTTP {
		words = l.URL
	}
	first := Call{}
	if len(l.Task.Steps) > 0 && len(l.Task.Steps[0]) > 0 {
		first = l.Task.Steps[0][0]
	}
	replace := strings.NewReplacer(
		"{server}", words, "{control}", l.Control, "{task}", string(wire.Encode(l.Task)), "{tool}", first.Tool,
		"{arguments}", string(wire.Encode(first.Arguments)), "{config}", l.ConfigAt, "{dir}", l.Dir,
		"{scenario}", l.Scenario, "{protocol}", l.Protocol, "{transport}", l.Transport,
	)
	var out []string
	for _, arg := range host {
		if arg == "{server}" {
			out = append(out, server...)
			continue
		}
		out = append(out, replace.Replace(arg))
	}
	return out
}

// environment is the same for programs that read it there. HOSTCHECK_DIR, which
// differs for each, is set where the program is started.
func (l Launch) environment() []string {
	env := []string{
		"HOSTCHECK_CONTROL=" + l.Control, "HOSTCHECK_TASK=" + string(wire.Encode(l.Task)), "HOSTCHECK_SCENARIO=" + l.Scenario,
		"HOSTCHECK_PROTOCOL=" + l.Protocol, "HOSTCHECK_TRANSPORT=" + l.Transport,
	}
	if l.ConfigAt != "" {
		env = append(env, "HOSTCHECK_CONFIG="+l.ConfigAt)
	}
	if l.Transport == HTTP {
		return append(env, "HOSTCHECK_URL="+l.URL)
	}
	return append(env, "HOSTCHECK_COMMAND="+string(wire.Encode(l.Command)))
}

// parseTemplate reads the template, if there is one.
func (c Config) parseTemplate() (*template.Template, error) {
	t, err := template.New("host").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			out, err := json.Marshal(v)
			return string(out), err
		},
	}).Parse(c.Template)
	if err != nil {
		return nil, fmt.Errorf("hostcheck: %w", err)
	}
	return t, nil
}

// tryTemplate finds out before any host is started whether the template can be
// rendered for a scenario.
func (c Config) tryTemplate(one staging) error {
	t, err := c.parseTemplate()
	if err != nil {
		return err
	}
	l := Launch{
		Control: "http://127.0.0.1/control", Scenario: one.scenario.Name, Protocol: one.protocol, Transport: one.transport,
		Dir: "dir", ConfigAt: "dir/" + c.TemplateName, Task: Task{Server: Server{Name: serverName}, Steps: one.scenario.steps(one.protocol)},
	}
	if one.transport == Stdio {
		l.Command = append(slices.Clone(c.Stub), "--control", l.Control)
	} else {
		l.URL = "http://127.0.0.1/mcp"
	}
	l.Task.Server.Command, l.Task.Server.URL = l.Command, l.URL
	if err := t.Execute(io.Discard, l); err != nil {
		return fmt.Errorf("hostcheck: %w", err)
	}
	return nil
}

// render writes the host's configuration file.
func (c Config) render(l Launch) error {
	t, err := c.parseTemplate()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, l); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.ConfigAt), 0o700); err != nil {
		return err
	}
	return os.WriteFile(l.ConfigAt, out.Bytes(), 0o600)
}

// Server starts the stdio server as a host in this process does: reading gives
// what the server writes, and closing ends it. It is for [Config.Play].
func (l Launch) Server(ctx context.Context) (io.ReadWriteCloser, error) {
	if l.Dial == nil || len(l.Command) == 0 {
		return nil, errors.New("hostcheck: not a stdio server in this process")
	}
	conn, in, err := wire.Connect(ctx, l.Command[len(l.Command)-1], l.Dial)
	if err != nil {
		return nil, err
	}
	return &serverProcess{in, conn}, nil
}

// A serverProcess is what a host in this process has of a server.
type serverProcess struct {
	io.Reader
	conn net.Conn
}

func (p *serverProcess) Write(b []byte) (int, error) { return p.conn.Write(b) }
func (p *serverProcess) Close() error                { return wire.Finish(p.conn) }

// Kill ends it with its standard input open, as a host should not.
func (p *serverProcess) Kill() error { return p.conn.Close() }

// Stub is the stdio server that a host launches: it connects back to the suite
// at the control URL, which must be a loopback one, and relays bytes both ways
// until either side ends. It is what `hostcheck stub --control URL` runs. It
// may leave a read of stdin behind, which ends with the process. A server that
// is to die makes it return an error.
func Stub(ctx context.Context, control string, stdin io.Reader, stdout io.Writer) error {
	return wire.Stub(ctx, control, stdin, stdout)
}
