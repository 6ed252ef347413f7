package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// grace is how long a child process has to end by itself once its standard
// input has ended, before its whole process group is killed.
const grace = 2 * time.Minute

// A child is a process that speaks JSON lines over its standard input and
// output. It leads a process group of its own, so that ending it ends what it
// started.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan []byte // its standard output; closed when that ends
	stop  context.CancelFunc
	ended chan struct{} // closed when the process has been waited for

	write  sync.Mutex // one line at a time on stdin
	stderr lockedBuffer
}

// startChild starts a program. The caller must call end; ctx is the last resort
// that kills it.
func startChild(ctx context.Context, name, program string, args ...string) (*child, error) {
	return startChildIn(ctx, nil, name, program, args...)
}

// startChildIn does so in an environment; nil is this process's own.
func startChildIn(ctx context.Context, environment []string, name, program string, args ...string) (*child, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &child{
		name: name, cmd: exec.CommandContext(ctx, program, args...), stop: stop,
		lines: make(chan []byte, 1024), ended: make(chan struct{}),
	}
	inOwnGroup(c.cmd)
	c.cmd.Env = environment
	c.cmd.Stderr = &c.stderr
	// A grandchild may keep standard error open; do not wait for that.
	c.cmd.WaitDelay = 10 * time.Second
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		stop()
		return nil, err
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		stop()
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go c.run(stdout)
	return c, nil
}

// run owns the process: it reads standard output to its end, then waits.
func (c *child) run(stdout io.Reader) {
	defer close(c.ended)
	defer c.stop()
	in := bufio.NewReader(stdout)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			c.lines <- line
		}
		if err != nil {
			break
		}
	}
	close(c.lines)
	_ = c.cmd.Wait() // how it ended is not the test's business, that it did is
}

// send writes one JSON object as a line.
func (c *child) send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	_, err = c.stdin.Write(append(line, '\n'))
	return err
}

// receive decodes the next line into v.
func (c *child) receive(ctx context.Context, v any) error {
	select {
	case line, ok := <-c.lines:
		if !ok {
			return fmt.Errorf("%s ended: %w\n%s", c.name, io.ErrUnexpectedEOF, c.stderr.String())
		}
		if err := json.Unmarshal(line, v); err != nil {
			return fmt.Errorf("%s printed %q: %w", c.name, line, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w\n%s", c.name, context.Cause(ctx), c.stderr.String())
	}
}

// end closes standard input, waits, and kills the process group of a child that
// does not take the hint. It returns when the process is gone.
func (c *child) end() error {
	_ = c.stdin.Close()
	// Nobody reads any more; without this a talkative child could not end.
	go func() {
		for range c.lines {
		}
	}()
	select {
	case <-c.ended:
		return nil
	case <-time.After(grace):
	}
	c.stop()
	<-c.ended
	return errors.New(c.name + " did not end with its standard input and was killed")
}

// A lockedBuffer is a bytes.Buffer for one writer and any number of readers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
