package lazyauth_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What follows, as far as the first test, is shown in docs/http.md, "Unix sockets".

// peer is the key of the user at the other end of a connection, by the kernel's word.
type peer struct{}

// withPeer is an http.Server's ConnContext.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return ctx
	}
	uid := ""
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = strconv.Itoa(int(cred.Uid))
		}
	})
	if uid == "" {
		return ctx
	}
	return context.WithValue(ctx, peer{}, uid)
}

// byPeer takes the user of a connection for its caller. That goes by way of the SDK's check of
// bearer tokens, which keeps a session to the user who has opened it.
func byPeer(next http.Handler) http.Handler {
	checked := auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		uid, ok := ctx.Value(peer{}).(string)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{UserID: uid, Extra: map[string]any{"iss": "unix"}, Expiration: time.Now().Add(time.Hour)}, nil
	}, nil)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer of-the-kernel") // whatever came
		checked.ServeHTTP(w, r)
	})
}

// sameUser is an Options.Principal: the user who runs this program is the local user, and all
// others are nobody.
func sameUser(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
	if req.Extra == nil || req.Extra.TokenInfo == nil || req.Extra.TokenInfo.UserID != strconv.Itoa(os.Getuid()) {
		return lazyauth.Principal{}, errors.New("another user of this machine")
	}
	return lazyauth.LocalUser, nil
}

// serveUnix serves a world's tools on a Unix socket that every user of the machine can reach.
func serveUnix(t *testing.T, w *world.World) (socket string, client *http.Client) {
	t.Helper()
	folder, err := os.MkdirTemp("", "s") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	socket = filepath.Join(folder, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, socket} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.Server }, nil)
	web := &http.Server{Handler: byPeer(handler), ConnContext: withPeer, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = web.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = web.Close()
		<-ended
	})
	return socket, &http.Client{Transport: transport}
}

// The kernel says who connects: whoever runs the server is the local user, and needs no check of new
// grants, as over stdio.
func TestUnixSocket_SameUser(t *testing.T) {
	w := world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{Principal: sameUser}})
	_, client := serveUnix(t, w)
	h := w.Connect(world.Legacy, world.Manners{URL: true, React: world.Accepts}, &mcp.StreamableClientTransport{Endpoint: "http://localhost", HTTPClient: client})
	call := h.Call(t.Context(), "whoami", nil)
	w.Approves()
	(<-call).Succeeds(t, "Ada")
}

// Without a word of the author's users are told apart, and their grants need the check that those of all who are
// not local need.
func TestUnixSocket_ByUser(t *testing.T) {
	w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Millisecond}})
	_, client := serveUnix(t, w)
	h := w.Connect(world.Legacy, world.Manners{}, &mcp.StreamableClientTransport{Endpoint: "http://localhost", HTTPClient: client})
	(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnverified)
}

// Another user of the machine is nobody, whatever they send, and does not get into the session of this one.
func TestUnixSocket_AnotherUser(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil || os.Getuid() != 0 {
		t.Skip("it needs curl, and to be root, who can be another user")
	}
	w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: sameUser, MaxWait: time.Millisecond}})
	socket, client := serveUnix(t, w)
	mine := w.Connect(world.Legacy, world.Manners{}, &mcp.StreamableClientTransport{Endpoint: "http://localhost", HTTPClient: client})
	(<-mine.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
	nobody := func(session, body string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), curl, "-si", "--unix-socket", socket, "http://localhost/",
			"-H", "Authorization: Bearer 0", "-H", "Content-Type: application/json", "-H", "Accept: application/json, text/event-stream",
			"-H", "Mcp-Session-Id: "+session, "-d", body)
		command.Dir = "/"
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
		out, err := command.Output()
		if err != nil {
			t.Skipf("curl as another user: %v", err)
		}
		return string(out)
	}
	const call = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
	if answer := nobody(mine.Session.ID(), call); !strings.HasPrefix(answer, "HTTP/1.1 403") {
		t.Errorf("in somebody else's session: %s", answer)
	}
	opened := nobody("", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`)
	_, rest, _ := strings.Cut(opened, "Mcp-Session-Id: ")
	session, _, _ := strings.Cut(rest, "\r\n")
	nobody(session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if answer := nobody(session, call); !strings.Contains(answer, `"anonymous"`) {
		t.Errorf("in their own: %s", answer)
	}
}

// A connection of which the kernel says nothing is refused.
func TestUnixSocket_NoPeer(t *testing.T) {
	w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: sameUser}})
	l := &oneLine{make(chan net.Conn, 1), make(chan struct{})}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.Server }, nil)
	client := serveOn(t, l, byPeer(handler), func() (net.Conn, error) {
		ours, theirs := net.Pipe()
		l.conns <- theirs
		return ours, nil
	})
	res, err := client.Post("http://localhost", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("answered %d, %v", res.StatusCode, err)
	}
}
