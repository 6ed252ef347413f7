package interop_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
)

// A restartable is an oidc-provider of a test's own that keeps what it knows in a folder,
// and can be killed.
type restartable struct {
	*provider
	config  providerConfig
	process *child
}

// startRestartable starts one, which lives until the test ends.
func startRestartable(t *testing.T) *restartable {
	t.Helper()
	port, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close() })
	p := &restartable{config: providerConfig{Folder: filepath.Join(t.TempDir(), "provider"), Key: rand.Text(), Port: port.Number()}}
	issuer, management := p.launch(t)
	if p.provider, err = newProvider(t.Context(), issuer, management); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.api.Close)
	return p
}

func (p *restartable) launch(t *testing.T) (issuer, management string) {
	t.Helper()
	// The process must outlive the test's context, or it could not end well.
	c, issuer, management, err := launch(context.WithoutCancel(t.Context()), p.config)
	if err != nil {
		t.Fatal(err)
	}
	p.process = c
	t.Cleanup(func() {
		if err := c.end(); err != nil {
			t.Error(err)
		}
	})
	return issuer, management
}

// kill ends the process in the way of a power failure, but for its journal, which is the
// test's.
func (p *restartable) kill(t *testing.T) {
	t.Helper()
	p.past = p.journal(t)
	p.process.stop()
	<-p.process.ended
}

// restart starts it again where it was.
func (p *restartable) restart(t *testing.T) {
	t.Helper()
	if issuer, management := p.launch(t); issuer != p.Issuer {
		t.Fatalf("it is at %s now, and was at %s", issuer, p.Issuer)
	} else {
		p.management = management
	}
}

// missed waits until somebody has tried to reach it, while it is gone, and has had their
// connection cut.
func (p *restartable) missed(t *testing.T) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.config.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatalf("nobody came: %v", err)
	}
	conn.Close()
}

// The authorization server is killed while the person is still reading, is away for at
// least one poll, and comes back knowing what it knew: the person approves the code that
// they have, and the call goes on. It is killed again, and the grant that it issued is
// refreshed with nobody asked.
func TestProviderRestarts(t *testing.T) {
	t.Parallel()
	for _, e := range []era{legacy, modern} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			as := startRestartable(t)
			s := newStory(t, storyOptions{as: as.provider, kind: forgetfulClient, kept: true, era: e, start: startGoSDK})
			whoami := s.begin("whoami", nil)
			address, code := s.prompted(whoami)
			s.polled()
			as.kill(t)
			as.missed(t)
			as.restart(t)
			s.approve(address, code)
			s.answered(whoami, s.person.name)

			as.kill(t)
			as.restart(t)
			s.rotates(2)
			s.presentedOnce()
			s.finish(1)
		})
	}
}

// It comes back, and has forgotten the device code: the call says that it is over, and so
// does the next one. A person who wants it is asked with a new code.
func TestProviderForgets(t *testing.T) {
	t.Parallel()
	as := startRestartable(t)
	s := newStory(t, storyOptions{as: as.provider, kept: true, era: modern, start: startGoSDK})
	whoami := s.begin("whoami", nil)
	s.prompted(whoami)
	s.polled()
	as.kill(t)
	if err := os.RemoveAll(filepath.Join(as.config.Folder, "DeviceCode")); err != nil {
		t.Fatal(err)
	}
	as.restart(t)
	s.refused(whoami, "unavailable") // an unknown code may have been refused by a policy, too
	s.refused(s.begin("whoami", nil), "unavailable")
	s.call("ask_again", nil, "")
	whoami = s.begin("whoami", nil)
	s.approve(s.prompted(whoami))
	s.answered(whoami, s.person.name)
	s.finish(2)
}
