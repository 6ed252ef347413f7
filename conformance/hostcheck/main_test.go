package hostcheck_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// TestMain makes this binary the other programs that the tests start: the stub,
// and hosts that behave badly.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "stub":
			if err := hostcheck.Stub(context.Background(), os.Args[3], os.Stdin, os.Stdout); err != nil {
				os.Exit(1)
			}
			return
		case "host":
			behave(os.Args[2], os.Args[3:])
			return
		}
	}
	os.Exit(m.Run())
}

// behave is a host that behaves badly. The rest of its arguments are the
// command line of the server.
func behave(how string, server []string) {
	report := os.Getenv("REPORT_TO") // where the test learns of what was started
	switch how {
	case "hang":
		signal.Ignore(syscall.SIGTERM)
		record(report, "pid", os.Getpid())
		time.Sleep(time.Hour)
	case "leave-child":
		child := exec.Command(os.Args[0], "host", "hang")
		if err := child.Start(); err != nil {
			panic(err)
		}
		record(report, "pid", child.Process.Pid)
		record(report, "dir", os.Getenv("HOSTCHECK_DIR"))
	case "exit":
		fmt.Println("host 1.0")
		fmt.Fprintln(os.Stderr, "no such flag: --mcp")
		os.Exit(3)
	case "garbage":
		in := start(server)
		for range 20 {
			fmt.Fprintln(in, "this is \x00 not JSON {")
		}
		time.Sleep(time.Hour)
	case "dies": // after the answer to initialize
		answers, stdout, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		in := startTo(stdout, server)
		fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},`+
			`"clientInfo":{"name":"dies","version":"1"}}}`)
		if _, err := bufio.NewReader(answers).ReadString('\n'); err != nil {
			panic(err)
		}
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			panic(err)
		}
		_ = self.Kill()
		time.Sleep(time.Hour)
	case "flood":
		in := start(server)
		line := `{"jsonrpc":"2.0","method":"notifications/` + strings.Repeat("x", 4000) + `"}` + "\n"
		for {
			if _, err := io.WriteString(in, line); err != nil {
				time.Sleep(time.Hour)
			}
		}
	case "endless-line":
		in := start(server)
		chunk := strings.Repeat("x", 64<<10)
		for {
			if _, err := io.WriteString(in, chunk); err != nil {
				time.Sleep(time.Hour)
			}
		}
	case "chatter":
		for range 10_000 { // more than twice what is kept
			fmt.Fprintln(os.Stderr, "working on it")
		}
	case "dump":
		config, _ := os.ReadFile(os.Getenv("HOSTCHECK_CONFIG"))
		record(report, "config", string(config))
		for _, arg := range server {
			record(report, "arg", arg)
		}
		for _, name := range []string{"CONTROL", "TASK", "SCENARIO", "PROTOCOL", "TRANSPORT", "URL", "COMMAND"} {
			record(report, name, os.Getenv("HOSTCHECK_"+name))
		}
		for _, name := range []string{"MCP_CONFORMANCE_SCENARIO", "MCP_CONFORMANCE_PROTOCOL_VERSION", "MCP_CONFORMANCE_CONTEXT"} {
			record(report, name, os.Getenv(name))
		}
	}
}

// start launches the server, and leaves unread what that writes.
func start(command []string) io.Writer { return startTo(nil, command) }

// startTo launches the server, with its standard output; nil is none.
func startTo(stdout *os.File, command []string) io.Writer {
	cmd := exec.Command(command[0], command[1:]...)
	if stdout != nil {
		cmd.Stdout = stdout
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	record(os.Getenv("REPORT_TO"), "pid", cmd.Process.Pid)
	return in
}

// record appends a line to a file.
func record(path, key string, value any) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s=%q\n", key, fmt.Sprint(value))
}

// recorded reads what a host recorded.
func recorded(t *testing.T, path string) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		key, quoted, _ := strings.Cut(in.Text(), "=")
		var value string
		if _, err := fmt.Sscanf(quoted, "%q", &value); err != nil {
			t.Fatal(err)
		}
		out[key] = append(out[key], value)
	}
	return out
}
