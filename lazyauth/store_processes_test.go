package lazyauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A program is a host that has started its server as a process of its own.
type program struct {
	t       *testing.T
	session *mcp.ClientSession
	server  *os.Process
	stderr  bytes.Buffer // of the server; to be read when that has ended
	prompts atomic.Int64
}

func (p *program) calls(tool string) world.Reply {
	result, err := p.session.CallTool(p.t.Context(), &mcp.CallToolParams{Name: tool})
	return world.Reply{Result: result, Err: err}
}

// updates returns how many updates of the store its server has begun.
func (p *program) updates() int {
	p.t.Helper()
	var text string
	if _, err := fmt.Sscanf(p.calls("updates").Text(), `{"text":%q}`, &text); err != nil {
		p.t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// close ends the host and its server, which had nothing to complain about.
func (p *program) close() {
	p.t.Helper()
	if err := p.session.Close(); err != nil {
		p.t.Error(err)
	}
	if p.stderr.Len() > 0 {
		p.t.Errorf("the server says: %s", &p.stderr)
	}
}

// start starts a host that speaks era, with a server that keeps its grants in folder.
func start(t *testing.T, era, origin, folder string) *program {
	t.Helper()
	p := &program{t: t}
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			p.prompts.Add(1)
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), originVariable+"="+origin, folderVariable+"="+folder)
	cmd.Stderr = &p.stderr
	// A server that takes its time to end is not to be terminated, which would be an error.
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd, TerminateDuration: 5 * time.Minute}, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		t.Fatalf("%v: %s", err, &p.stderr)
	}
	p.session, p.server = session, cmd.Process
	t.Cleanup(func() { session.Close() })
	return p
}

// Two real processes with one file: a hundred times their token has ended, and both find
// that out at the same moment, from the API or by the clock. The authorization server
// takes the second use of a refresh token for theft and ends the login; nobody may notice
// that it does.
func TestStore_TwoRealProcesses(t *testing.T) {
	t.Parallel()
	rounds := 100
	if testing.Short() {
		rounds = 40
	}
	const life = 3 * time.Second // which is what clients are told; one that knows about rounding uses half
	as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true, Interval: time.Second})
	web := httptest.NewServer(told(as, time.Hour, life))
	defer web.Close()
	folder := t.TempDir() + "/grants"
	both := []*program{start(t, world.Legacy, web.URL, folder), start(t, world.Modern, web.URL, folder)}

	signedIn := make(chan world.Reply, 1)
	go func() { signedIn <- both[0].calls("whoami") }()
	asked, err := as.WaitForRequest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := as.Approve(asked.UserCode); err != nil {
		t.Fatal(err)
	}
	(<-signedIn).Succeeds(t, "Ada")
	both[1].calls("whoami").Succeeds(t, "Ada") // it finds the grant of the other

	as.Script(fakeas.Refresh, fakeas.Pass().After(10*time.Millisecond).Times(-1)) // time for the other to come, too
	collisions, slow := 0, 0
	for round := 1; round <= rounds && !t.Failed(); round++ {
		began := time.Now()
		before := []int{both[0].updates(), both[1].updates()}
		if round%20 == 0 {
			const pause = life * 3 / 5
			<-time.After(pause) // the clock is the real one
			began = began.Add(pause)
		} else {
			as.ExpireAccessTokens()
		}
		var answered sync.WaitGroup
		for _, p := range both {
			answered.Go(func() { p.calls("whoami").Succeeds(t, "Ada") })
		}
		answered.Wait()
		slow += int(time.Since(began) / (life / 4))
		if both[0].updates() > before[0] && both[1].updates() > before[1] {
			collisions++
		}
	}

	refreshes := as.Count(fakeas.Refresh, "")
	t.Logf("rounds=%d refreshes=%d; in %d rounds both processes were about to refresh", rounds, refreshes, collisions)
	if collisions == 0 {
		t.Error("the processes were never in each other's way: this is not the story that it should be")
	}
	// A few more than one a round are no mistake where the machine is so slow that a
	// token nears its end before the next round, or in one.
	if refreshes < rounds || refreshes > rounds+rounds/10+slow || refreshes != as.Count(fakeas.Refresh, fakeas.OK) {
		t.Errorf("%d refreshes, %d of them good, in %d rounds", refreshes, as.Count(fakeas.Refresh, fakeas.OK), rounds)
	}
	if n := as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
		t.Errorf("%d device authorizations: a login was lost", n)
	}
	if a, b := both[0].prompts.Load(), both[1].prompts.Load(); a != 1 || b != 0 {
		t.Errorf("%d and %d prompts, want one where the person signed in", a, b)
	}
	for _, v := range as.Violations() {
		t.Errorf("violation: %v", v)
	}
	for _, p := range both {
		p.close()
	}
	// What is left behind is one grant, whole.
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	grants := 0
	for _, file := range left {
		switch {
		case strings.HasSuffix(file.Name(), ".grant"):
			grants++
		case !strings.HasSuffix(file.Name(), ".lock"):
			t.Errorf("left behind: %s", file.Name())
		}
	}
	if grants != 1 {
		t.Errorf("%d grants in the folder", grants)
	}
}

// told is an authorization server whose clients are told that a token lives for less long than it does: what a
// machine that stands still for seconds gets from there is good all the same.
func told(as http.Handler, lives, life time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			as.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		as.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		member := func(d time.Duration) []byte { return fmt.Appendf(nil, `"expires_in":%d`, int(d.Seconds())) }
		_, _ = w.Write(bytes.Replace(answer.Body.Bytes(), member(lives), member(life), 1)) // who is gone need not know
	})
}

// Variables that turn this test binary into a server over stdio: where the authorization
// server is, and the folder of the store that it shares with others.
const (
	originVariable = "LAZYAUTH_TEST_ORIGIN"
	folderVariable = "LAZYAUTH_TEST_FOLDER"
)

// countedStore counts the updates that were begun: what a server does to sign in and to
// refresh, and nothing else.
type countedStore struct {
	store.Store
	updates atomic.Int64
}

func (s *countedStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	s.updates.Add(1)
	return s.Store.Update(ctx, key, change)
}

// serveStdio serves until standard input ends. What goes wrong it says on standard
// error, where otherwise there is nothing.
func serveStdio(origin, folder string) (err error) {
	grants, err := store.File(folder, []byte("a key for tests, of 32 bytes ..."))
	if err != nil {
		return err
	}
	kept := &countedStore{Store: grants}
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: origin, ClientID: fakeas.DefaultClientID, APIOrigins: []string{origin},
	}, &lazyauth.Options{
		Store: kept,
		Trace: lazyauth.SlogTrace(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, auth.Close()) }()
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			return world.ReadAnswer(lazyauth.Client(ctx).Get(origin + "/me"))
		})
	mcp.AddTool(server, &mcp.Tool{Name: "updates"}, func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
		return nil, world.Answer{Text: strconv.FormatInt(kept.updates.Load(), 10)}, nil
	})
	return server.Run(context.Background(), &mcp.StdioTransport{})
}

func TestMain(m *testing.M) {
	if origin, ok := os.LookupEnv(originVariable); ok {
		if err := serveStdio(origin, os.Getenv(folderVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
