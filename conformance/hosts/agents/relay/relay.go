// Package relay stands between an agent and the server that it starts, and
// records every line that passes.
package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// Mark is in the environment of the server and of all that it starts, so that
// they can be told from the agent's own processes.
const Mark = "LAZYAUTH_BEHIND_RELAY"

// Run starts the server, passes lines on in both directions until both ends are
// closed, and returns the server's exit status. It appends what passes to the
// file. A server whose relay is killed is killed as well, as the agent would
// have killed the server itself.
func Run(ctx context.Context, file string, command []string, in io.Reader, out, errs io.Writer) (status int, err error) {
	if len(command) == 0 {
		return 2, errors.New("relay: no server")
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // a file of our own
	if err != nil {
		return 2, err
	}
	r := &recorder{log: log, process: os.Getpid()}
	defer r.close()

	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...) //nolint:gosec // what it is for
	cmd.Env = append(os.Environ(), Mark+"=1")
	diesWith(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 2, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 2, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 2, err
	}
	r.note(record.Started, "")
	if err := cmd.Start(); err != nil {
		r.note(record.Ended, err.Error())
		return 127, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended just now
		}
	}()
	go func() {
		r.pass(record.Agent, in, stdin)
		_ = stdin.Close() // the end of input, as the agent gave it
	}()
	var outputs sync.WaitGroup
	outputs.Go(func() { r.pass(record.Server, stdout, out) })
	outputs.Go(func() { r.pass(record.Stderr, stderr, errs) })
	outputs.Wait()
	err = cmd.Wait()
	r.note(record.Ended, cmd.ProcessState.String())
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// A recorder writes down what passes. It is safe for concurrent use.
type recorder struct {
	process int

	mu  sync.Mutex
	log *os.File
}

func (r *recorder) close() { _ = r.log.Close() }

// note writes a line, which whoever measures reads while it is being written.
func (r *recorder) note(from record.Speaker, line string) {
	text := record.Line{At: time.Now(), Process: r.process, From: from, Text: line}.Encode()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.log.Write(text); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
	}
}

// pass copies lines. Each is written down before it is passed on, so that the
// record has causes before their effects.
func (r *recorder) pass(from record.Speaker, in io.Reader, out io.Writer) {
	lines := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.note(from, strings.TrimRight(line, "\r\n"))
			if _, err := io.WriteString(out, line); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
