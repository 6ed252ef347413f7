package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// startLink is the page of login on this machine that leads to the authorization server.
var startLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+/start/[A-Za-z0-9_-]{22,}`)

// opensBrowsers gives the service's commands something that opens browsers: it passes on what it
// is to open. The first function returns the link in that, once it comes, the second what is left of it.
func (s *service) opensBrowsers() (opened func() string, left func() []string) {
	s.t.Helper()
	folder := s.t.TempDir()
	pipe, program := filepath.Join(folder, "opened"), filepath.Join(folder, "xdg-open")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		s.t.Fatal(err)
	}
	script := "#!/bin/sh\nexec /bin/cat \"$1\" >'" + pipe + "'\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "PATH="+folder, "TMPDIR="+folder, "HOME="+folder)
	opened = func() string {
		s.t.Helper()
		text, err := os.ReadFile(pipe) // waits for the program
		if err != nil {
			s.t.Fatal(err)
		}
		link := startLink.FindString(string(text))
		if link == "" {
			s.t.Fatalf("what is opened has no link: %s", text)
		}
		return link
	}
	return opened, func() []string {
		all, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			s.t.Fatal(err)
		}
		return slices.DeleteFunc(all, func(name string) bool { return name == pipe || name == program })
	}
}

// newBrowser returns one that keeps cookies.
func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// goes opens a link, decides at the authorization server, goes back and returns the last page there.
func (s *service) goes(link string, approve bool) string {
	s.t.Helper()
	browser := newBrowser(s.t)
	back, err := fakeas.VisitAuthorization(s.t.Context(), browser, link, "", approve)
	if err != nil {
		s.t.Fatal(err)
	}
	if u, err := url.Parse(back); err == nil && u.Query().Has("code") {
		s.mu.Lock()
		s.secrets = append(s.secrets, u.Query().Get("code"), u.Query().Get("state"))
		s.mu.Unlock()
	}
	for {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, back, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		res, err := browser.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			s.t.Fatal(err)
		}
		if res.Header.Get("Refresh") == "" {
			return string(text)
		}
		back = res.Request.URL.String()
	}
}

// fits demands that a person at a terminal sees all of it.
func (c *console) fits() string {
	c.t.Helper()
	lines := c.screen()
	for _, line := range lines {
		if len([]rune(line)) >= 80 {
			c.t.Errorf("too long: %q", line)
		}
	}
	if len(lines) > 24 {
		c.t.Errorf("the prompt has %d lines", len(lines))
	}
	return strings.Join(lines, "\n")
}

// login opens the browser, says so, and shows the link in case that nothing opened.
func TestLogin_OpensTheBrowser(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	opened, left := s.opensBrowsers()
	link := make(chan string, 1)
	go func() { link <- opened() }()
	c, stdout, wait := s.loginAtConsole("xterm-256color", true, "-flows", "redirect")
	shown := c.fits()
	address := <-link
	if !strings.Contains(shown, "The sign-in to Notes was opened in your browser. If nothing opened, open this\nlink in a browser on this machine:\n\n   "+address+"\n\n   for   profile\n") {
		t.Errorf("the prompt, with the link %s:\n%s", address, shown)
	}
	if strings.ContainsAny(shown, "█▀▄") || strings.Contains(shown, "code") {
		t.Errorf("it shows a code:\n%s", shown)
	}
	page := s.goes(address, true)
	if !strings.Contains(page, "You signed in as Ada Example") {
		t.Errorf("the last page:\n%s", page)
	}
	if code := wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, c.text())
	}
	if shown := strings.Join(c.screen(), "\n"); strings.Contains(shown, "Time left") {
		t.Errorf("the countdown is left:\n%s", shown)
	}
	if !strings.HasPrefix(stdout.String(), "Signed in to Notes as Ada Example (ada)\n") {
		t.Errorf("standard output: %q", stdout)
	}
	s.keepsSecrets(stdout.String(), "standard output")
	s.mu.Lock()
	s.codes = append(s.codes, filepath.Base(address)) // the link is one
	s.mu.Unlock()
	s.keepsSecretsOnDisk()
	if left := left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Nothing here opens browsers: the link alone will do, and a code would, too.
func TestLogin_NoBrowser(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	c, _, wait := s.loginAtConsole("dumb", false, "-flows", "redirect")
	shown := c.fits()
	address := startLink.FindString(shown)
	for _, want := range []string{
		"To sign in to Notes, open this link in a browser on this machine:\n\n   " + address + "\n\n",
		"\n   note  it was not opened for you: no browser can be opened on this machine:\n         xdg-open is not installed\n",
	} {
		if address == "" || !strings.Contains(shown, want) {
			t.Errorf("it lacks %q:\n%s", want, shown)
		}
	}
	s.goes(address, true)
	if code := wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, c.text())
	}
}

// A no at the authorization server ends it.
func TestLogin_DeniedAfterARedirect(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	c, _, wait := s.loginAtConsole("dumb", false, "-flows", "redirect")
	if page := s.goes(startLink.FindString(c.text()), false); !strings.Contains(page, "You did not allow it") {
		t.Errorf("the last page:\n%s", page)
	}
	if code := wait(); code != 1 || !strings.Contains(c.text(), "notes-mcp: the sign-in was declined; nothing was stored") {
		t.Errorf("exit code %d\n%s", code, c.text())
	}
	s.wants(failed, "status")
}

// Ctrl-C gives the sign-in up: nobody listens any more.
func TestLogin_InterruptedBeforeTheBrowserIsBack(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	c, _, wait := s.loginAtConsole("xterm", false, "-flows", "redirect")
	address := startLink.FindString(c.text())
	c.interrupt()
	if code := wait(); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, c.text())
	}
	lines := c.screen()
	if last := lines[len(lines)-2:]; last[0] != "notes-mcp: interrupted; nothing was stored" || last[1] != "" {
		t.Errorf("the last lines are %q", last)
	}
	browser := newBrowser(t)
	browser.Timeout = time.Minute
	if res, err := browser.Get(address); err == nil { // somebody else may have the port by now
		text, _ := io.ReadAll(res.Body) // as much as there is
		res.Body.Close()
		if strings.HasPrefix(res.Request.URL.String(), s.url) || strings.Contains(string(text), "data-page=") {
			t.Errorf("login answers at %s", address)
		}
	}
	s.wants(failed, "status")
}

// Over SSH the browser is elsewhere, and -device says so where nothing else does.
func TestLogin_ByACode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		env  string
		args []string
	}{
		{"over SSH", "SSH_CONNECTION=192.0.2.1 50000 192.0.2.2 22", []string{"-flows", "redirect,device"}},
		{"because it was said", "A=b", []string{"-device"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startService(t, fakeas.Options{})
			s.env = append(s.env, test.env)
			_, prompt := s.logsIn(done, true, test.args...)
			if !strings.Contains(prompt, "   code  ") || strings.Contains(prompt, "/start/") {
				t.Errorf("asked with %q", prompt)
			}
		})
	}
}

// A port that is taken is said, and nobody is sent to whoever has it; a code does not need it.
func TestLogin_PortTaken(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	back := s.url + "/callback" // where the service itself listens
	_, said := s.wants(failed, loginCommand, "-flows", "redirect", "-redirect-uri", back)
	if want := ": cannot listen on " + strings.TrimPrefix(s.url, "http://"); !strings.HasPrefix(said, "notes-mcp: signing in is not possible now: ") || !strings.Contains(said, want) || !strings.Contains(said, ". Close what uses that port") {
		t.Errorf("it says %q", said)
	}
	_, prompt := s.logsIn(done, true, "-flows", "redirect,device", "-redirect-uri", back)
	if !strings.Contains(prompt, "   code  ") {
		t.Errorf("asked with %q", prompt)
	}
}

// What the authorization server does not have is said by its name, and the other flow taken.
func TestLogin_ServerWithoutAFlow(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{NoAuthorization: true})
	if _, said := s.wants(failed, loginCommand, "-flows", "redirect"); !strings.Contains(said, `does not offer a redirect with PKCE to the client "notes-cli"`) {
		t.Errorf("it says %q", said)
	}
	s.logsIn(done, true, "-flows", "redirect,device")
	for flows, want := range map[string]string{
		"redirect,device": `offers neither a redirect with PKCE nor device authorization to the client "notes-cli"`,
		"device":          `does not offer device authorization to the client "notes-cli"`,
	} {
		neither := startService(t, fakeas.Options{NoAuthorization: true, NoDevice: true})
		if _, said := neither.wants(failed, loginCommand, "-flows", flows); !strings.Contains(said, want) {
			t.Errorf("it says %q", said)
		}
	}
}

func TestLogin_ExpiredLink(t *testing.T) {
	for byLink, want := range map[bool]string{true: "the link expired before", false: "the code expired before"} {
		if said := (&config{byLink: byLink}).failure(&lazyauth.Error{Reason: lazyauth.ReasonExpired}); !strings.HasPrefix(said, want) {
			t.Errorf("%q, want %s", said, want)
		}
	}
}

// A host that shows no links: a call opens the browser, which is what -open-browser is for.
func TestServer_OpensTheBrowser(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	opened, _ := s.opensBrowsers()
	cmd, _, stderr := s.command("-flows", "redirect", "-open-browser")
	in, out := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`,
	} {
		if _, err := io.WriteString(in, message+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	s.goes(opened(), true)
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `"id":2`) {
	}
	if !strings.Contains(lines.Text(), "Ada Example") || strings.Contains(lines.Text(), `"isError"`) {
		t.Errorf("the answer to the very call: %s", lines.Text())
	}
	in.Close()
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("after the end of input: %v, stderr: %s; want exit code 0 and silence", err, stderr)
	}
}
