package connect_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/internal/engines"
)

// exampleServer is examples/http as a process, behind a proxy of this machine that has TLS.
type exampleServer struct {
	as   *fakeas.Server
	base string
}

// startsExample starts it, with the demo users ada and eve. At the end of the test it is interrupted, and has to end by
// itself.
func startsExample(t *testing.T) *exampleServer {
	t.Helper()
	port, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close() })
	listen := port.Addr()
	// Their certificate is the program's through SSL_CERT_FILE; their names are of this machine to it.
	ours, theirs := listens(t, "127.0.0.1"), listens(t, "localhost")
	ours.serve(t, proxy(t, "", "http://"+listen))

	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), example, "-issuer", theirs.origin, "-client-id", clientID, "-api", theirs.origin,
		"-demo-users", "ada,eve", "-connect", "-listen", listen, "-public-url", ours.origin)
	cmd.Env = []string{"SSL_CERT_FILE=" + trusted, "NOTES_CLIENT_SECRET=a secret"}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // when the test ends
	cmd.WaitDelay = enough
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		<-ended
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("after an interrupt the exit code is %d: %s", code, &stderr)
		}
	})
	redirectURI, last := "", false
	lines := bufio.NewScanner(stdout)
	for !last && lines.Scan() {
		what, where, _ := strings.Cut(lines.Text(), "  ")
		if what == "redirect URI" {
			redirectURI = strings.TrimSpace(where)
		}
		last = what == "up to 2025-11-25"
	}
	go func() {
		defer close(ended)
		for lines.Scan() { // until the process ends
			continue
		}
		_ = cmd.Wait() // the exit code is looked at
	}()
	if !last {
		<-ended
		t.Fatalf("it ended: %s", &stderr)
	}
	as := fakeas.New(&fakeas.Options{
		Issuer:  theirs.origin,
		Clients: []fakeas.Client{{ID: clientID, Secret: "a secret", RedirectURIs: []string{redirectURI}}},
		People:  []fakeas.Person{{Subject: "ada", Name: "Ada Example"}, {Subject: "eve", Name: "Eve Example"}},
	})
	theirs.serve(t, as)
	t.Cleanup(func() {
		for _, violation := range as.Violations() {
			t.Error(violation)
		}
	})
	return &exampleServer{as, ours.origin}
}

// visitor returns a browser whose person says who they are.
func (e *exampleServer) visitor(t *testing.T, user string) *browser {
	t.Helper()
	b := newBrowser(t)
	b.opens(e.base + "/sign-in")
	b.presses("[name=user][value=" + user + "]")
	if at := b.sees(); !strings.Contains(at.Text, "You are "+user) {
		t.Fatalf("the sign-in says %q", at.Text)
	}
	return b
}

// The program to copy from, over TLS, in both eras: somebody's host calls, somebody else's browser with the link gets
// no further, their own passes the page, and the call goes on.
func TestExampleHTTP(t *testing.T) {
	t.Parallel()
	e := startsExample(t)
	for era, people := range map[string]struct{ asks, other, path string }{
		legacy: {"ada", "eve", "/mcp/legacy"}, modern: {"eve", "ada", "/mcp"},
	} {
		before := e.as.Count(fakeas.Exchange, "")
		call := calls(t, e.base+people.path, era, people.asks, "Sample Agent")
		if !strings.HasPrefix(call.link, e.base+"/connect?f=") {
			t.Fatalf("the link is %q", call.link)
		}
		other := e.visitor(t, people.other)
		other.reads("who") // which is the example's own
		other.opens(call.link)
		foreign := other.shows(403, "foreign", "This link is not for "+people.other)
		if strings.Contains(foreign.Text, people.asks) || strings.Contains(foreign.Text, "Notes") {
			t.Errorf("%s reads whose link it is: %s", people.other, foreign.Text)
		}
		nobody := newBrowser(t)
		nobody.opens(call.link)
		nobody.shows(403, "signed-out", "Sign in to")
		if n := e.as.Count(fakeas.Exchange, "") - before; n != 0 {
			t.Errorf("%d codes were presented", n)
		}

		browser := e.visitor(t, people.asks)
		browser.opens(call.link)
		browser.shows(200, "consent", "Connect Notes for "+people.asks+"?", "It says it is Sample Agent", "You are signed in as "+people.asks)
		browser.presses(goesOn)
		browser.signsIn(people.asks)
		browser.shows(200, "signed-in", "Notes is connected")
		call.succeeds(people.asks)
		for _, c := range browser.ofAttempts() {
			if !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" || c.Domain != "127.0.0.1" {
				t.Errorf("cookie %+v", c)
			}
		}
		if n := len(browser.ofAttempts()); n != 1 {
			t.Errorf("%d cookies of attempts", n)
		}
		browser.opens(call.link)
		browser.shows(403, "foreign")
	}
}
