package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// roles are what this test binary does when a test starts it as another process.
var roles = map[string]func(dir string, arg int) error{
	"count": count,
	"hold":  hold,
	"write": writeForever,
}

const roleVariable = "LAZYAUTH_STORE_TEST"

func TestMain(m *testing.M) {
	if role, ok := os.LookupEnv(roleVariable); ok {
		fields := strings.SplitN(role, " ", 3)
		arg, err := strconv.Atoi(fields[1])
		if err == nil {
			err = roles[fields[0]](fields[2], arg)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A process runs a role until it ends or is killed.
type process struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Reader
	errors strings.Builder
}

func start(t testing.TB, role, dir string, arg int, environment ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(append(os.Environ(), environment...), fmt.Sprintf("%s=%s %d %s", roleVariable, role, arg, dir))
	p.cmd.Stderr = &p.errors
	input, err := p.cmd.StdinPipe()
	p.input = must(t, input, err)
	output, err := p.cmd.StdoutPipe()
	p.output = bufio.NewReader(must(t, output, err))
	must(t, 0, p.cmd.Start())
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	return p
}

// says waits for the next line.
func (p *process) says(t testing.TB) string {
	t.Helper()
	line, err := p.output.ReadString('\n')
	return strings.TrimSpace(must(t, line, err))
}

func (p *process) ends(t testing.TB) {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.errors.String())
	}
}

// count adds one to a counter so many times, beginning when its input ends.
func count(dir string, times int) error {
	s, err := store.File(dir, testKey(1))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	for range times {
		err := s.Update(context.Background(), "counter", func(old []byte) ([]byte, error) {
			n, _ := strconv.Atoi(string(old))
			return strconv.AppendInt(nil, int64(n+1), 10), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Two processes update one record a hundred times each, as fast as they can, and
// a third one reads. No update is lost, and what is read only grows.
func TestTwoProcesses(t *testing.T) {
	const times = 100
	dir := t.TempDir() + "/grants"
	two := []*process{start(t, "count", dir, times), start(t, "count", dir, times)}
	for _, p := range two {
		if got := p.says(t); got != "ready" {
			t.Fatal(got, p.errors.String())
		}
	}
	for _, p := range two {
		p.input.Close()
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, p := range two {
			p.ends(t)
		}
	}()
	s := open(t, dir)
	seen, reads := 0, 0
	for running := true; running; reads++ {
		select {
		case <-over:
			running = false
		default:
		}
		record, err := s.Load(t.Context(), "counter")
		if err != nil {
			t.Error(err)
			break
		}
		n, _ := strconv.Atoi("0" + string(record))
		if n < seen {
			t.Errorf("read %q after %d", record, seen)
		}
		seen = n
	}
	<-over
	want(t, s, "counter", strconv.Itoa(2*times))
	wantKeys(t, s, "counter")
	if left := append(files(t, dir, ".tmp"), files(t, dir, ".damaged")...); left != nil {
		t.Errorf("left behind: %q", left)
	}
	t.Logf("%d updates by two processes, %d reads meanwhile", seen, reads)
}

// hold stays in the middle of an update until its input ends.
func hold(dir string, _ int) error {
	s, err := store.File(dir, testKey(1))
	if err != nil {
		return err
	}
	return s.Update(context.Background(), "alice", func([]byte) ([]byte, error) {
		fmt.Println("refreshing")
		_, err := io.Copy(io.Discard, os.Stdin)
		return []byte("refreshed"), err
	})
}

// While one process refreshes, another waits as long as its context lets it;
// reading does not wait. The end of the first one, whatever it is, lets the next
// one on.
func TestAnotherProcessRefreshes(t *testing.T) {
	dir := t.TempDir() + "/grants"
	s := open(t, dir)
	put(t, s, "alice", "old")
	for _, killed := range []bool{true, false} {
		p := start(t, "hold", dir, 0)
		if got := p.says(t); got != "refreshing" {
			t.Fatal(got)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			waitUntil(t, "it waits for the lock", func() bool { return parked(lockWaiter) == 1 })
			cancel(context.DeadlineExceeded)
		}()
		err := s.Update(ctx, "alice", func([]byte) ([]byte, error) { t.Error("both refresh"); return nil, nil })
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process") {
			t.Errorf("Update: %v", err)
		}
		want(t, s, "alice", "old")
		put(t, s, "bob", "not held up")
		if killed {
			must(t, 0, p.cmd.Process.Kill())
		} else {
			p.input.Close()
		}
		err = s.Update(t.Context(), "alice", func(old []byte) ([]byte, error) {
			if expected := map[bool]string{true: "old", false: "refreshed"}[killed]; string(old) != expected {
				t.Errorf("killed %t: found %q", killed, old)
			}
			return old, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
