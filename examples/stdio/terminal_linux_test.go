package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"rsc.io/qr"
)

// A console is a pseudo-terminal of 80 by 24, and what was written to it. It is made
// with the system calls themselves (pty(7)), so that the tests need no program and no
// module for it.
type console struct {
	t       *testing.T
	master  *os.File
	mu      sync.Mutex
	changed *sync.Cond
	written bytes.Buffer
	over    bool
}

// openConsole returns a console, and the end that is a program's.
func openConsole(t *testing.T) (*console, *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	control := func(request uintptr, argument unsafe.Pointer) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(argument)); errno != 0 {
			t.Fatal(errno)
		}
	}
	var locked, number int32
	size := [4]uint16{24, 80}
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	c := &console{t: t, master: master}
	c.changed = sync.NewCond(&c.mu)
	return c, slave
}

// read takes what is written until every program has closed its end.
func (c *console) read() {
	part := make([]byte, 4096)
	for {
		n, err := c.master.Read(part)
		c.mu.Lock()
		c.written.Write(part[:n])
		c.over = err != nil
		c.mu.Unlock()
		c.changed.Broadcast()
		if err != nil {
			return
		}
	}
}

// waitFor returns when what was written matches.
func (c *console) waitFor(pattern string) {
	c.t.Helper()
	wanted := regexp.MustCompile(pattern)
	c.mu.Lock()
	defer c.mu.Unlock()
	for !wanted.Match(c.written.Bytes()) {
		if c.over {
			c.t.Fatalf("it ended before %q was there: %q", pattern, c.written.String())
		}
		c.changed.Wait()
	}
}

// interrupt is somebody who presses Ctrl-C.
func (c *console) interrupt() {
	if _, err := c.master.WriteString("\x03"); err != nil {
		c.t.Fatal(err)
	}
}

// text returns what was written so far.
func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written.String()
}

// screen returns the lines that a person sees: a carriage return begins a line anew, and
// colours do not show.
func (c *console) screen() []string {
	var lines []string
	for line := range strings.SplitSeq(regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(c.text(), ""), "\n") {
		var seen []rune
		for part := range strings.SplitSeq(line, "\r") {
			over := []rune(part)
			seen = append(over, seen[min(len(over), len(seen)):]...)
		}
		lines = append(lines, strings.TrimRight(string(seen), " "))
	}
	return lines
}

// runs starts a command with the console for its terminal, and for its standard output
// unless it has one already.
func (c *console) runs(cmd *exec.Cmd, slave *os.File) (wait func() int) {
	c.t.Helper()
	cmd.Stdin, cmd.Stderr = slave, slave
	if cmd.Stdout == nil {
		cmd.Stdout = slave
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	slave.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read()
	}()
	return func() int {
		err := cmd.Wait()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			c.t.Fatal(err)
		}
		<-read
		return cmd.ProcessState.ExitCode()
	}
}

// loginAtConsole starts login at a console, and waits until the person is asked. Standard output
// goes to the console as well, unless it is redirected.
func (s *service) loginAtConsole(terminal string, redirected bool, args ...string) (c *console, stdout *bytes.Buffer, wait func() int) {
	s.t.Helper()
	c, slave := openConsole(s.t)
	cmd, stdout, _ := s.command(append([]string{loginCommand}, args...)...)
	cmd.Env = append(cmd.Env, "TERM="+terminal)
	if redirected {
		cmd.Stdout = stdout
	}
	wait = c.runs(cmd, slave)
	c.waitFor("Time left")
	return c, stdout, wait
}

// The whole of it, as a person sees it: the prompt fits on the screen, the code reads
// back, and at the end nothing of the countdown is left.
func TestLoginAtAConsole(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	c, stdout, wait := s.loginAtConsole("xterm-256color", true)
	request, err := s.as.WaitForRequest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.waitFor(`\r   Time left 9:5\d .*\r   Time left 9:[0-5]\d `) // it counts
	lines := c.screen()
	if len(lines) > 24 {
		t.Errorf("the prompt has %d lines", len(lines))
	}
	shown := strings.Join(lines, "\n")
	for _, want := range []string{"   page  " + s.url + "/device\n", "   code  " + request.UserCode + "\n", "   for   profile\n", "   Time left 9:"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the screen lacks %q:\n%s", want, shown)
		}
	}
	for _, line := range lines {
		if len([]rune(line)) >= 80 {
			t.Errorf("too long: %q", line)
		}
	}
	// The plain address, without the code.
	code, err := qr.Encode(s.url+"/device", qr.L)
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for y := -4; y < code.Size+4; y += 2 {
		line := ""
		for x := -4; x < code.Size+4; x++ {
			line += map[[2]bool]string{{}: " ", {true, false}: "▀", {false, true}: "▄", {true, true}: "█"}[[2]bool{code.Black(x, y), code.Black(x, y+1)}]
		}
		drawn = append(drawn, strings.TrimRight(line, " "))
	}
	if !strings.Contains(shown, strings.Join(drawn, "\n")) {
		t.Errorf("the screen has no code of %s/device:\n%s", s.url, shown)
	}

	if err := fakeas.Visit(t.Context(), nil, request.VerificationURI, request.UserCode, true); err != nil {
		t.Error(err)
	}
	if code := wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, c.text())
	}
	if shown := strings.Join(c.screen(), "\n"); strings.Contains(shown, "Time left") {
		t.Errorf("the countdown is left:\n%s", shown)
	}
	if strings.Contains(c.text(), "\x1b[?25l") {
		t.Error("it hides the cursor")
	}
	if !strings.HasPrefix(stdout.String(), "Signed in to Notes as Ada Example (ada)\n") {
		t.Errorf("standard output: %q", stdout)
	}
	s.keepsSecrets(stdout.String(), "standard output")
	s.keepsSecretsOnDisk()
}

// Ctrl-C, as the person presses it.
func TestInterruptedAtAConsole(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{Interval: 5 * time.Minute}) // nobody has polled by then
	c, _, wait := s.loginAtConsole("xterm-256color", false)
	c.interrupt()
	if code := wait(); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, c.text())
	}
	lines := c.screen()
	if last := lines[len(lines)-2:]; last[0] != "notes-mcp: interrupted; nothing was stored" || last[1] != "" {
		t.Errorf("the last lines are %q", last)
	}
	if shown := strings.Join(lines, "\n"); strings.Contains(shown, "Time left") || strings.Contains(shown, "^C") {
		t.Errorf("the countdown is left:\n%s", shown)
	}
	if left, err := filepath.Glob(filepath.Join(s.home, "grants", "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the store: %q, %v", left, err)
	}
	// The person approves too late.
	request := s.as.Waiting()[0]
	if err := s.as.Approve(request.UserCode); err != nil {
		t.Error(err)
	}
	s.wants(failed, "status")
}

func TestExpiredAtAConsole(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	s.as.Script(fakeas.Poll, fakeas.Error(http.StatusBadRequest, "expired_token"))
	c, _, wait := s.loginAtConsole("xterm", false)
	if code := wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	lines := c.screen()
	if got := lines[len(lines)-2]; got != "notes-mcp: the code expired before the sign-in was finished; nothing was stored" {
		t.Errorf("the last line is %q", got)
	}
}

// What a terminal cannot do, and its person does not want.
func TestPlainConsoles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, terminal string
		env            string
		args           []string
		qr, countdown  bool
	}{
		{"no colour", "xterm", "NO_COLOR=1", nil, true, true},
		{"no QR code", "xterm", "NO_COLOR=", []string{"-no-qr"}, false, true},
		{"dumb", "dumb", "NO_COLOR=", nil, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startService(t, fakeas.Options{})
			s.env = append(s.env, test.env)
			c, _, wait := s.loginAtConsole(test.terminal, false, test.args...)
			c.interrupt()
			if code := wait(); code != 130 {
				t.Errorf("exit code %d, want 130", code)
			}
			text := c.text()
			if got := strings.Contains(text, "█"); got != test.qr {
				t.Errorf("QR code: %t, want %t", got, test.qr)
			}
			if got := strings.Contains(text, "\r   Time left"); got != test.countdown {
				t.Errorf("countdown: %t, want %t", got, test.countdown)
			}
			if strings.Contains(text, "\x1b") {
				t.Errorf("escape sequences: %q", text)
			}
		})
	}
}
