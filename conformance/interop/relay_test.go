package interop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// relayCommand is the first argument that turns this test binary into the
// relay: hosts are told to start that as their server, so that what goes over
// the wire is recorded the same way for every host, in whatever language.
const relayCommand = "relay"

// relayArgs are the arguments with which a host starts the server through the
// relay, recording into dir.
func relayArgs(dir, server string, args []string) []string {
	return append([]string{relayCommand, dir, server}, args...)
}

// relay runs a server and copies lines between it and the host, recording each
// before passing it on: the order in the record is an order in which things can
// have caused each other. A host may start its server more than once, so each
// process writes files of its own. It returns the exit code.
func relay(dir, server string, args []string) int {
	if err := relayTo(dir, server, args); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		return 1
	}
	return 0
}

// hurried is how much longer than a host in a hurry wants to wait a server has for its end.
const hurried = 1500 * time.Millisecond

func relayTo(dir, server string, args []string) error {
	name := fmt.Sprintf("%d-%d", time.Now().UnixNano(), os.Getpid())
	wire, err := os.Create(filepath.Join(dir, name+wireSuffix))
	if err != nil {
		return err
	}
	defer wire.Close()
	stderr, err := os.Create(filepath.Join(dir, name+stderrSuffix))
	if err != nil {
		return err
	}
	defer stderr.Close()

	cmd := exec.Command(server, args...)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	record, over := &record{to: wire}, make(chan struct{})
	// A host that is in a hurry sends the signal only to its child. One that has ended the input
	// two seconds ago, which a server may need on a busy machine, kills that in two more.
	hurry := make(chan os.Signal, 1)
	signal.Notify(hurry, os.Interrupt, syscall.SIGTERM)
	go func() {
		asked := <-hurry
		select {
		case <-over:
			time.Sleep(hurried)
		default:
		}
		if err := cmd.Process.Signal(asked); err != nil {
			_ = cmd.Process.Kill()
		}
	}()
	go func() {
		record.copy(in, os.Stdin, fromHost)
		_ = in.Close()
		close(over)
		// The server has been told that it is over. One that stays is a
		// fault, and shows as an exit status that is not zero.
		time.AfterFunc(grace/2, func() { _ = cmd.Process.Kill() })
	}()
	record.copy(os.Stdout, out, fromServer)
	if err := cmd.Wait(); err != nil {
		record.note("the server ended: " + err.Error())
		return err
	}
	return nil
}

// A record writes what passes to a file.
type record struct {
	mu sync.Mutex
	to io.Writer
}

// copy passes lines on until either side ends.
func (r *record) copy(to io.Writer, from io.Reader, who string) {
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			r.line(who, line)
			if _, err := to.Write(line); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// note records that something went wrong.
func (r *record) note(text string) {
	quoted, _ := json.Marshal(text) // strings always can be
	r.line(fromRelay, quoted)
}

// line records one message. What is no JSON becomes a note: a server that prints
// something else on its standard output has to be caught.
func (r *record) line(who string, line []byte) {
	entry := struct {
		From    string          `json:"from"`
		Message json.RawMessage `json:"message"`
	}{who, line}
	if !json.Valid(line) {
		r.note("no JSON from the " + who + ": " + string(line))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := json.NewEncoder(r.to)
	out.SetEscapeHTML(false) // bytes as they were: they are searched for secrets
	_ = out.Encode(entry)
}
