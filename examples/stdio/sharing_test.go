package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A service listens on loopback, and remembers every secret that it gives away.
type service struct {
	t    *testing.T
	as   *fakeas.Server
	url  string
	home string // for stores and logs
	env  []string

	tolerated fakeas.Rule

	mu      sync.Mutex
	secrets []string
	codes   []string // user codes, which only the person may see
}

func startService(t *testing.T, options fakeas.Options) *service {
	t.Helper()
	if options.Interval == 0 {
		options.Interval = time.Second // real time
	}
	s := &service{t: t, as: fakeas.New(&options), home: t.TempDir(), env: []string{
		keyVariable + "=" + base64.StdEncoding.EncodeToString([]byte("a key that is as random as we need")[:32]),
	}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	t.Cleanup(func() {
		for _, violation := range s.as.Violations() {
			if violation.Rule != s.tolerated {
				t.Error(violation)
			}
		}
	})
	return s
}

// serve answers, and looks what it answers.
func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	s.as.ServeHTTP(answer, r)
	var fields struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Device  string `json:"device_code"`
		User    string `json:"user_code"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &fields) // what is no JSON has none
	s.mu.Lock()
	for _, secret := range []string{fields.Access, fields.Refresh, fields.Device} {
		if secret != "" {
			s.secrets = append(s.secrets, secret)
		}
	}
	if fields.User != "" {
		s.codes = append(s.codes, fields.User)
	}
	s.mu.Unlock()
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// command returns the program with flags for the service and a file store. Without a list of
// flows, or -device, it is by a code, since the other depends on where the tests run.
func (s *service) command(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	if !slices.Contains(args, "-flows") && !slices.Contains(args, "-device") {
		args = append(args, "-flows", "device")
	}
	args = append(args, "-issuer", s.url, "-client-id", fakeas.DefaultClientID, "-api", s.url,
		"-store", "file", "-store-dir", filepath.Join(s.home, "grants"), "-log", filepath.Join(s.home, "log"))
	cmd, stderr = hosttest.Program(s.t, args...)
	cmd.Args[0] = "notes-mcp"
	cmd.Env = append(cmd.Env, s.env...)
	return cmd, new(bytes.Buffer), stderr
}

// wants runs a command to its end, and returns what it wrote.
func (s *service) wants(code int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	cmd, out, errs := s.command(args...)
	cmd.Stdout = out
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		s.t.Fatalf("%q: %v, want exit code %d\n%s%s", args, err, code, out, errs)
	}
	s.keepsSecrets(out.String(), "the output of "+args[0])
	if args[0] != loginCommand {
		s.keepsSecrets(errs.String(), "what "+args[0]+" says")
	}
	return out.String(), errs.String()
}

// logsIn runs login while somebody approves, or not, on the page that it names with
// the code that it shows.
func (s *service) logsIn(code int, approve bool, args ...string) (stdout, stderr string) {
	s.t.Helper()
	visited := make(chan error, 1)
	go func() {
		request, err := s.as.WaitForRequest(s.t.Context())
		if err == nil {
			err = fakeas.Visit(s.t.Context(), nil, request.VerificationURI, request.UserCode, approve)
		}
		visited <- err
	}()
	stdout, stderr = s.wants(code, append([]string{loginCommand}, args...)...)
	if err := <-visited; err != nil {
		s.t.Error(err)
	}
	return stdout, stderr
}

// starts is what a host does with the server, which must end and say nothing when the
// test calls end.
func (s *service) starts(protocol string) (host *hosttest.Host, end func()) {
	s.t.Helper()
	cmd, _, stderr := s.command()
	host = hosttest.Connect(s.t, s.as, protocol, hosttest.Subprocess(cmd))
	return host, func() {
		if err := host.Close(); err != nil || stderr.Len() > 0 {
			s.t.Errorf("the server ended with %v and said %q", err, stderr)
		}
	}
}

// keepsSecrets looks for tokens and codes.
func (s *service) keepsSecrets(text, where string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range slices.Concat(s.secrets, s.codes) {
		if strings.Contains(text, secret) {
			s.t.Errorf("%s has a token or a code in it", where)
		}
	}
}

// keepsSecretsOnDisk looks for them in everything that was left there.
func (s *service) keepsSecretsOnDisk() {
	s.t.Helper()
	files := 0
	err := filepath.WalkDir(s.home, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // the server removes what a sign-in has left
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		s.keepsSecrets(path, "the name of a file")
		s.keepsSecrets(string(text), path)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || files < 2 || len(s.secrets) < 3 || len(s.codes) == 0 {
		s.t.Errorf("%d files, %d secrets, %d codes, %v: there was nothing to look for", files, len(s.secrets), len(s.codes), err)
	}
}

func TestServerAndCommandsShareTheirGrants(t *testing.T) {
	for _, protocol := range hosttest.Protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := startService(t, fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
			s.tolerated = fakeas.RevokedTokenUsed // by the server, to which nobody tells that the command has revoked it
			if out, _ := s.wants(failed, "status"); out != "Not signed in to Notes.\n" {
				t.Errorf("status: %q", out)
			}
			out, prompt := s.logsIn(done, true)
			if !strings.Contains(out, "Signed in to Notes as Ada Example (ada)\n") || !strings.Contains(prompt, s.url+"/device\n") {
				t.Errorf("login: %q, asked with %q", out, prompt)
			}
			s.wants(done, "status")

			host, endHost := s.starts(protocol)
			defer endHost()
			result := host.Call("whoami", nil)
			if result.IsError || result.Meta[lazyauth.MetaAccount] != "Ada Example" {
				t.Errorf("whoami: %+v", result)
			}
			host.WantAsked() // the server found what the command left
			host.WantAnswer("list_notes", nil, `{"notes":[]}`)
			host.WantAsked("notes:read profile")
			if out, _ := s.wants(done, "status"); !strings.Contains(out, "   scopes  notes:read profile\n") {
				t.Errorf("the command does not find what the server left: %q", out)
			}

			if out, _ := s.wants(done, "logout"); !strings.Contains(out, "ended by the authorization server") {
				t.Errorf("logout: %q", out)
			}
			s.wants(failed, "status")
			host.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
			// The running server asks anew for all that it had: it sees a grant that was lost, not a logout elsewhere.
			host.WantAsked("notes:read profile", "notes:read profile")

			s.wants(done, "logout")
			another, endAnother := s.starts(protocol)
			defer endAnother()
			another.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
			another.WantAsked("profile") // and so does one that is started then
			s.keepsSecretsOnDisk()
		})
	}
}

func TestDeclinedInTheBrowser(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	if out, said := s.logsIn(failed, false); out != "" || !strings.HasSuffix(said, "notes-mcp: the sign-in was declined; nothing was stored\n") {
		t.Errorf("login: %q, %q", out, said)
	}
	s.wants(failed, "status")
}

// Two people share a machine, or one person has two hosts, each with an account.
func TestServersOfTwoAccounts(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	s.logsIn(done, true, "-account", "work")
	s.env = append(s.env, accountVariable+"=work")
	host, endHost := s.starts(hosttest.Protocols[1])
	defer endHost()
	host.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	host.WantAsked()
	s.env[len(s.env)-1] = accountVariable + "=private"
	other, endOther := s.starts(hosttest.Protocols[1])
	defer endOther()
	other.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	other.WantAsked("profile")
	out, _ := s.wants(done, "status", "-all")
	if !regexp.MustCompile(`(?s)\(account private\).*\(account work\)`).MatchString(out) {
		t.Errorf("status: %q", out)
	}
}

// The token of the operator needs no store and no person.
func TestServerWithATokenInItsEnvironment(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	s.logsIn(done, true, "-scopes", "notes:read")
	s.mu.Lock()
	token := s.secrets[len(s.secrets)-1]
	if len(s.secrets) >= 2 && s.secrets[len(s.secrets)-2] != "" {
		token = s.secrets[len(s.secrets)-2] // before its refresh token
	}
	s.mu.Unlock()
	cmd, stderr := hosttest.Program(t, "-issuer", s.url, "-client-id", fakeas.DefaultClientID, "-api", s.url, "-token-env", "NOTES_TOKEN", "-account", "work")
	cmd.Env = append(cmd.Env, "NOTES_TOKEN="+token)
	host := hosttest.Connect(t, s.as, hosttest.Protocols[1], hosttest.Subprocess(cmd))
	host.WantAnswer("list_notes", nil, `{"notes":[]}`)
	if result := host.Call("whoami", nil); result.Meta[lazyauth.MetaAccount] != "Ada Example" {
		t.Errorf("whoami: %+v", result)
	}
	host.WantAsked()
	if err := host.Close(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, %s", err, stderr)
	}
}

// A server that cannot use its store says so, once, and works on.
func TestServerSaysThatItCannotKeepGrants(t *testing.T) {
	t.Parallel()
	s := startService(t, fakeas.Options{})
	s.logsIn(done, true)
	s.env[0] = keyVariable + "=" + base64.StdEncoding.EncodeToString([]byte("another key that is random enough")[:32])
	cmd, _, stderr := s.command()
	host := hosttest.Connect(t, s.as, hosttest.Protocols[1], hosttest.Subprocess(cmd))
	for range 2 {
		host.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	}
	host.WantAnswer("list_notes", nil, `{"notes":[]}`)
	host.WantAsked("profile", "notes:read profile")
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	said := stderr.String()
	if !strings.HasPrefix(said, "notes-mcp: the sign-in is kept in memory only: ") || strings.Count(said, "\n") != 1 || !strings.Contains(said, keyVariable) {
		t.Errorf("it says %q", said)
	}
	s.keepsSecrets(said, "standard error")
}
