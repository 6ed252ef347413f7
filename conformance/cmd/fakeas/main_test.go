package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// As a child of its own test, this binary is the program.
func TestMain(m *testing.M) {
	if os.Getenv("FAKEAS_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// It prints where it serves, serves a login through its pages, and ends with
// status 0 on a signal.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send to a child")
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "-addr", "127.0.0.1:0", "-client-id", "cli", "-client-secret", "hush-hush", "-push", "accepted", "-registration")
			cmd.Env = append(os.Environ(), "FAKEAS_MAIN=1")
			var log bytes.Buffer
			cmd.Stderr = &log
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			printed := bufio.NewReader(stdout)
			var said strings.Builder
			for !strings.Contains(said.String(), "client  ") {
				line, err := printed.ReadString('\n')
				said.WriteString(line)
				if err != nil {
					t.Fatalf("%v after %q", err, said.String())
				}
			}
			origin := regexp.MustCompile(`(?m)^issuer +(http://127\.0\.0\.1:[1-9][0-9]*)$`).FindStringSubmatch(said.String())
			if origin == nil || !strings.Contains(said.String(), origin[1]+"/device\n") || !strings.Contains(said.String(), "GET /me, GET and POST /notes\n") ||
				!strings.Contains(said.String(), origin[1]+"/authorize\n") || !strings.Contains(said.String(), origin[1]+"/par\n") ||
				!strings.Contains(said.String(), origin[1]+"/register\n") || !strings.Contains(said.String(), "cli (confidential)") {
				t.Fatalf("printed: %s", said.String())
			}
			login(t, origin[1])
			page := regexp.MustCompile(`(?m)^authorization page +(\S+)$`).FindStringSubmatch(said.String())
			if page == nil {
				t.Fatalf("printed: %s", said.String())
			}
			redirect(t, page[1])

			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(printed)
			if err != nil || string(rest) != "stopped; violations: 0\n" {
				t.Errorf("at the end: %q %v", rest, err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v", err)
			}
			if !strings.Contains(log.String(), "operation=page outcome=approved") || strings.Contains(log.String(), "hush-hush") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// login asks for a code and approves it through the pages.
func login(t *testing.T, origin string) {
	t.Helper()
	form := strings.NewReader(url.Values{"scope": {"profile"}}.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/device_authorization", form)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("cli", "hush-hush")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	code := regexp.MustCompile(`"user_code":"([A-Z]{4}-[A-Z]{4})"`).FindSubmatch(body)
	if err != nil || code == nil {
		t.Fatalf("device authorization: %s %v", body, err)
	}
	if err := fakeas.Visit(t.Context(), nil, origin+"/device", string(code[1]), true); err != nil {
		t.Error(err)
	}
}

// redirect approves the authorization request that was printed through the pages.
func redirect(t *testing.T, address string) {
	t.Helper()
	location, err := fakeas.VisitAuthorization(t.Context(), nil, address, "grace", true)
	if err != nil || !strings.HasPrefix(location, "http://127.0.0.1/callback?code=") {
		t.Errorf("sent to %s: %v", location, err)
	}
}
