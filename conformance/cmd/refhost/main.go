// Command refhost is a host that meets every requirement of hostcheck, in both
// protocols and over both transports, with nobody at the keyboard:
//
//	hostcheck run --protocol both --transport both -- refhost
//
// It reads its task from HOSTCHECK_TASK, and takes part in the adapter protocol
// at HOSTCHECK_CONTROL: what it shows is what it reports there, and the person
// is the suite. With -fault it gets one thing wrong; -faults lists what. With -habit
// it is out of the ordinary in a way that is right all the same; -habits lists these.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/internal/refhost"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "refhost:", err)
		os.Exit(1)
	}
}

// errUsage says that the flag package has reported the error.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, env func(string) string, out, log io.Writer) error {
	flags := flag.NewFlagSet("refhost", flag.ContinueOnError)
	flags.SetOutput(log)
	fault := flags.String("fault", "", "get this `one` thing wrong")
	list := flags.Bool("faults", false, "list the faults and exit")
	habit := flags.String("habit", "", "be out of the ordinary in this `one` way, and right")
	unusual := flags.Bool("habits", false, "list the habits and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if *list {
		for _, f := range refhost.Faults() {
			fmt.Fprintln(out, f)
		}
		return nil
	}
	if *unusual {
		for _, h := range refhost.Habits() {
			fmt.Fprintln(out, h)
		}
		return nil
	}
	if *habit != "" && !slices.Contains(refhost.Habits(), refhost.Habit(*habit)) {
		return fmt.Errorf("there is no habit %q; -habits lists them", *habit)
	}
	if *fault != "" && !slices.Contains(refhost.Faults(), refhost.Fault(*fault)) {
		return fmt.Errorf("there is no fault %q; -faults lists them", *fault)
	}
	told := refhost.Launch{Habit: refhost.Habit(*habit)}
	if err := json.Unmarshal([]byte(env("HOSTCHECK_TASK")), &told.Task); err != nil {
		return fmt.Errorf("HOSTCHECK_TASK: %w; this host is started by hostcheck", err)
	}
	told.Control = env("HOSTCHECK_CONTROL")
	told.Server = func(context.Context) (io.ReadWriteCloser, error) { return launch(told.Task.Server.Command, log) }
	return refhost.Run(ctx, told, refhost.Fault(*fault))
}

// launch starts the server that the task names.
func launch(command []string, log io.Writer) (io.ReadWriteCloser, error) {
	if len(command) == 0 {
		return nil, errors.New("the task names no server")
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // what the suite tells it to start; Close ends it
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &server{ReadCloser: stdout, stdin: stdin, cmd: cmd}, nil
}

// A server is a server process.
type server struct {
	io.ReadCloser
	stdin io.WriteCloser
	cmd   *exec.Cmd
}

func (s *server) Write(p []byte) (int, error) { return s.stdin.Write(p) }

// Kill ends the server with its input open, as a host should not.
func (s *server) Kill() error { return s.cmd.Process.Kill() }

// shutdown is how long a server has to end once its input has ended. One that is killed
// since the machine was busy is one that this host did not end as it should.
const shutdown = 30 * time.Second

// Close ends the server as the specification says: its input first, and by
// force if that does not do.
func (s *server) Close() error {
	_ = s.stdin.Close() // a server that has ended closed it
	timer := time.AfterFunc(shutdown, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	// What it still says is read, or it could not end.
	_, _ = io.Copy(io.Discard, s.ReadCloser)
	return s.cmd.Wait()
}
