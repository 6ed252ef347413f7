package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The programs of the command-line hosts.
const (
	inspectorProgram = "clis/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
	mcpdoProgram     = "clis/node_modules/@modelcontextprotocol/inspector/clients/mcpdo/build/mcp-bin.js"
	mcpdodProgram    = "clis/node_modules/@modelcontextprotocol/inspector/clients/mcpdo/build/mcpdod.js"
	mcporterProgram  = "clis/node_modules/mcporter/dist/cli.js"
)

// A commandLine is a host that is run anew for each call. Some have a daemon beside
// them, which keeps the server alive between the calls; the others start it anew, too,
// or find it at a URL.
type commandLine struct {
	program string
	dir     string // its home: it sees nothing of who runs the tests
	daemon  *child // nil if it has none
	config  string // the file that names the server, as notes
	options hostOptions

	// What follows the program for a list of tools, and for a call of one.
	list   []string
	invoke func(tool, arguments string) []string
}

// newCommandLine writes the configuration of a host, which says where the server is
// and what else it is told.
func newCommandLine(o hostOptions, program string, config map[string]any, server map[string]any) (*commandLine, error) {
	// Not in the test's own directory: the names of sockets have to be short.
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		return nil, err
	}
	if program != mcporterProgram { // the Inspector's own limits are 15 s and a minute
		server["connectionTimeout"], server["requestTimeout"] = patience.Milliseconds(), patience.Milliseconds()
	}
	if o.url != "" {
		server["type"], server["url"] = "http", o.url
	} else {
		server["command"], server["args"] = o.command, o.args
	}
	config["mcpServers"] = map[string]any{"notes": server}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	h := &commandLine{program: program, dir: dir, config: filepath.Join(dir, "servers.json"), options: o}
	return h, os.WriteFile(h.config, text, 0o600)
}

// startInspector is the MCP Inspector's command line.
func startInspector(_ context.Context, o hostOptions) (host, error) {
	h, err := newCommandLine(o, inspectorProgram, map[string]any{}, map[string]any{"protocolEra": inspectorEra[o.era]})
	if err != nil {
		return nil, err
	}
	to := []string{"--cli", "--config", h.config, "--server", "notes", "--method"}
	h.list = slices.Concat(to, []string{"tools/list"})
	h.invoke = func(tool, arguments string) []string {
		return slices.Concat(to, []string{"tools/call", "--tool-name", tool, "--tool-args-json", arguments})
	}
	return h, nil
}

// inspectorEra is what the Inspector calls the eras.
var inspectorEra = map[era]string{legacy: "legacy", modern: "modern"}

// startMCPDo is the Inspector's other command line, mcpdo, which has a daemon. What it
// declares can be chosen.
func startMCPDo(ctx context.Context, o hostOptions) (host, error) {
	h, err := newCommandLine(o, mcpdoProgram, map[string]any{}, map[string]any{})
	if err != nil {
		return nil, err
	}
	if err := h.keep(ctx, filepath.Join(h.dir, "*.sock"), mcpdodProgram, nil); err != nil {
		return nil, err
	}
	elicit := map[reach]string{byURL: "both", byForm: "form", byText: "off"}[o.reach]
	_, err = h.run(ctx, "connect", "notes", "--config", h.config, "--era", inspectorEra[o.era], "--elicit", elicit)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	to := []string{"--format", "json", "--connection", "notes"}
	h.list = slices.Concat(to, []string{"tools/list"})
	h.invoke = func(tool, arguments string) []string {
		return slices.Concat(to, []string{"tools/call", tool, arguments})
	}
	return h, nil
}

// startMCPorter is mcporter, with a server that it does not start or that it starts
// for each call.
func startMCPorter(_ context.Context, o hostOptions) (host, error) {
	return newMCPorter(o, "ephemeral")
}

// startMCPorterDaemon is mcporter with its daemon, for servers that are to be kept.
func startMCPorterDaemon(ctx context.Context, o hostOptions) (host, error) {
	h, err := newMCPorter(o, "keep-alive")
	if err != nil {
		return nil, err
	}
	daemon := filepath.Join(h.dir, "daemon", "daemon-*")
	// It says what it is once it listens, and a command that does not read that starts another.
	return h, h.keep(ctx, daemon+".sock", mcporterProgram, []string{daemon + ".json"}, "--config", h.config, "daemon", "start", "--foreground")
}

func newMCPorter(o hostOptions, lifecycle string) (*commandLine, error) {
	h, err := newCommandLine(o, mcporterProgram,
		map[string]any{"imports": []string{}}, map[string]any{"lifecycle": lifecycle})
	if err != nil {
		return nil, err
	}
	h.list = []string{"--config", h.config, "list", "notes", "--json"}
	h.invoke = func(tool, arguments string) []string {
		return []string{"--config", h.config, "call", "notes." + tool, "--args", arguments, "--output", "json"}
	}
	return h, nil
}

// keep starts the daemon, and returns when it listens and has written a file for each of these patterns:
// a command that found none would start one that outlives the test.
func (h *commandLine) keep(ctx context.Context, socket, program string, written []string, args ...string) (err error) {
	args = append([]string{"clis/leash.mjs", program}, args...)
	h.daemon, err = startChildIn(ctx, h.environment(), program, "node", args...)
	if err != nil {
		return err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		names, _ := filepath.Glob(socket) // fails on bad patterns only
		if len(names) == 1 && !slices.ContainsFunc(written, unwritten) {
			if conn, err := new(net.Dialer).DialContext(ctx, "unix", names[0]); err == nil {
				return conn.Close()
			}
		}
		select {
		case <-again.C:
		case <-h.daemon.ended:
			return fmt.Errorf("%s ended\n%s", program, h.daemon.stderr.String())
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), h.close())
		}
	}
}

// unwritten reports whether there is no file of this pattern.
func unwritten(pattern string) bool {
	names, _ := filepath.Glob(pattern)
	return len(names) == 0
}

// environment is what the host's processes run in: as little as they need.
func (h *commandLine) environment() []string {
	env := []string{
		"HOME=" + h.dir, "USERPROFILE=" + h.dir,
		"MCP_INSPECTOR_DAEMON_DIR=" + h.dir, "MCP_INSPECTOR_DAEMON_TOKEN=" + daemonToken, "MCP_INSPECTOR_SECRET_STORE=file",
		"MCPORTER_DAEMON_DIR=" + h.dir,
	}
	limit := strconv.FormatInt(patience.Milliseconds(), 10)
	for _, name := range []string{"MCPORTER_LIST_TIMEOUT", "MCPORTER_CALL_TIMEOUT", "MCPORTER_DAEMON_TIMEOUT_MS"} {
		env = append(env, name+"="+limit)
	}
	for _, name := range []string{"PATH", "TMPDIR", "SystemRoot", "TEMP"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// daemonToken is what mcpdo and its daemons know each other by.
var daemonToken = rand.Text()

// unanswered is what mcpdo says when its daemon has not answered within two seconds that it is there, which no
// setting changes. It asks that before all else: the command has not been given to the daemon.
const unanswered = "Daemon request 'ping' timed out"

// run runs a command and returns what it printed. A failed command that printed
// nothing is an error; for the others the caller looks at what it says. One that was not
// given to the daemon is run once more.
func (h *commandLine) run(ctx context.Context, args ...string) ([]byte, error) {
	for {
		stdout, err := h.runOnce(ctx, args...)
		if ctx.Err() != nil || !strings.Contains(fmt.Sprintf("%s %v", stdout, err), unanswered) {
			return stdout, err
		}
	}
}

func (h *commandLine) runOnce(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "node", append([]string{"clis/leash.mjs", h.program}, args...)...)
	inOwnGroup(cmd)
	cmd.Env = h.environment()
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	leash, err := cmd.StdinPipe() // held until it has ended
	if err != nil {
		return nil, err
	}
	defer leash.Close()
	if err := cmd.Run(); err != nil && (stdout.Len() == 0 || ctx.Err() != nil) {
		return nil, fmt.Errorf("%s %q: %w\n%s", h.program, args, err, stderr.String())
	}
	return stdout.Bytes(), nil
}

func (h *commandLine) tools(ctx context.Context) (names []string, err error) {
	text, err := h.run(ctx, h.list...)
	if err != nil {
		return nil, err
	}
	var list struct {
		Tools []struct{ Name string } `json:"tools"`
	}
	err = json.Unmarshal(text, &list)
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names, err
}

func (h *commandLine) call(ctx context.Context, tool string, arguments map[string]any) (r result, err error) {
	in, err := json.Marshal(arguments)
	if err != nil {
		return r, err
	}
	text, err := h.run(ctx, h.invoke(tool, string(in))...)
	if err != nil {
		return r, err
	}
	var out struct {
		result
		// mcpdo leaves a call that asks something with its daemon, and says so.
		Pending *struct {
			prompt
			ID string `json:"elicitationId"` // its own, not the server's
		} `json:"elicitationPending"`
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return r, fmt.Errorf("%s printed %q: %w", h.program, text, err)
	}
	if asked := out.Pending; asked != nil {
		return h.respond(ctx, asked.Mode, asked.ID, h.options.answer(ctx, asked.prompt))
	}
	return readResult(text, out.result), nil
}

// respond answers what mcpdo was asked, and returns the result of the call.
func (h *commandLine) respond(ctx context.Context, mode, id, action string) (r result, err error) {
	answer := "--done"
	switch {
	case action == "decline":
		answer = "--decline"
	case mode == "form":
		answer = "{}"
	}
	text, err := h.run(ctx, "--format", "json", "elicitation/respond", id, answer)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s printed %q: %w", h.program, text, err)
	}
	return readResult(text, r), nil
}

// readResult returns a result as it was printed. mcporter prints only the structured
// content where there is some.
func readResult(text []byte, r result) result {
	if len(r.Content) == 0 {
		r.Content = append(r.Content, struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{"text", string(text)})
	}
	return r
}

func (h *commandLine) close() (err error) {
	if h.daemon != nil {
		err = h.daemon.end()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}
