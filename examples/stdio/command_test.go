package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A desk is where somebody gives commands, in virtual time and without sockets.
type desk struct {
	t           *testing.T
	as          *fakeas.Server
	dir         string
	environment map[string]string

	out, err string // what the last command wrote
}

// sit tells a story about commands.
func sit(t *testing.T, options fakeas.Options, story func(*desk)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "grants")
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, as: fakeas.New(&options), dir: dir, environment: map[string]string{
			keyVariable: base64.StdEncoding.EncodeToString([]byte("a key that is as random as we need")[:32]),
		}}
		story(d)
		for _, violation := range d.as.Violations() {
			t.Error(violation)
		}
	})
}

// does gives a command and returns the exit code.
func (d *desk) does(ctx context.Context, args ...string) int {
	var stdout, stderr bytes.Buffer
	p := started(append(args, "-issuer", d.as.Issuer(), "-client-id", fakeas.DefaultClientID, "-api", d.as.API(), "-flows", "device"), &stdout, &stderr)
	p.getenv = func(name string) string { return d.environment[name] }
	p.transport = d.as.Transport()
	code := p.run(ctx)
	d.out, d.err = stdout.String(), stderr.String()
	return code
}

// wants gives a command that keeps things in the file store.
func (d *desk) wants(code int, args ...string) {
	d.t.Helper()
	d.exits(code, append(args, "-store", "file", "-store-dir", d.dir)...)
}

func (d *desk) exits(code int, args ...string) {
	d.t.Helper()
	if got := d.does(d.t.Context(), args...); got != code {
		d.t.Errorf("%q: exit code %d, want %d\n%s%s", args, got, code, d.out, d.err)
	}
}

// sees compares what the last command wrote, to standard output and to standard error.
func (d *desk) sees(out, err string) {
	d.t.Helper()
	for _, part := range []struct{ name, got, want string }{{"output", d.out, out}, {"error", d.err, err}} {
		if !strings.Contains(part.got, part.want) || part.want == "" && part.got != "" {
			d.t.Errorf("standard %s: %q, want %q", part.name, part.got, part.want)
		}
	}
}

// meanwhile decides about the next request, once somebody asks.
func (d *desk) meanwhile(decide func(fakeas.Request) error) {
	go func() {
		request, err := d.as.WaitForRequest(d.t.Context())
		if err == nil {
			err = decide(request)
		}
		if err != nil && d.t.Context().Err() == nil {
			d.t.Error(err)
		}
	}()
}

func (d *desk) approves() {
	d.meanwhile(func(r fakeas.Request) error { return d.as.Approve(r.UserCode) })
}

func (d *desk) becomes(subject string) {
	d.meanwhile(func(r fakeas.Request) error { return d.as.ApproveAs(subject, r.UserCode) })
}

// records counts the grants in the folder.
func (d *desk) records() int {
	d.t.Helper()
	all, err := filepath.Glob(filepath.Join(d.dir, "*"))
	if err != nil {
		d.t.Fatal(err)
	}
	n := 0
	for _, name := range all {
		if filepath.Ext(name) != ".lock" {
			n++
		}
	}
	return n
}

func TestSigningInAndOutAtATerminal(t *testing.T) {
	sit(t, fakeas.Options{TokenLifetime: time.Hour}, func(d *desk) {
		d.wants(failed, "status")
		d.sees("Not signed in to Notes.\n", "")

		d.approves()
		d.wants(done, "login")
		for _, want := range []string{
			"Signed in to Notes as Ada Example (ada)\n", "   scopes  profile\n", "without asking\n", "   stored  encrypted in " + d.dir + "\n",
		} {
			if !strings.Contains(d.out, want) {
				t.Errorf("the result is %q, and lacks %q", d.out, want)
			}
		}
		code := regexp.MustCompile(`   code  (\S+)\n`).FindStringSubmatch(d.err)
		if code == nil || !strings.Contains(d.err, "   page  "+d.as.URL(fakeas.Page)+"\n") || !strings.Contains(d.err, "   for   profile\n") {
			t.Fatalf("the prompt is %q", d.err)
		}
		if strings.Contains(d.out, code[1]) {
			t.Error("standard output has the code")
		}
		if strings.ContainsAny(d.err, "\r\x1b█▀▄") || strings.Count(d.err, "Time left") != 1 {
			t.Errorf("not plain, although nobody sits at a terminal: %q", d.err)
		}

		d.wants(done, "login")
		d.sees("Already signed in", "")
		if n := d.as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
			t.Errorf("%d sign-ins, want one", n)
		}
		d.wants(done, "status")
		d.sees("Signed in to Notes as Ada Example (ada)\n", "")

		d.approves()
		d.wants(done, "login", "-scopes", "notes:read notes:write")
		d.sees("   scopes  notes:read notes:write profile\n", "   for   notes:read, notes:write, profile\n")

		d.wants(done, "logout")
		d.sees("Logged out of Notes as Ada Example (ada)\n   grant   removed; it was encrypted in "+d.dir+"\n   tokens  ended by the authorization server\n", "")
		d.sees("Some authorization servers end more", "")
		if n := d.as.Count(fakeas.Revocation, fakeas.OK); n != 2 || d.records() != 0 {
			t.Errorf("%d tokens revoked, want 2; %d records left", n, d.records())
		}
		d.wants(failed, "status")
		d.wants(done, "logout")
		d.sees("Not signed in to Notes: nothing to do.\n", "")
	})
}

// What has ended and can be renewed is renewed by login, and nobody is asked.
func TestStatusAfterTheEnd(t *testing.T) {
	for _, test := range []struct {
		name    string
		options fakeas.Options
		code    int
		want    string
	}{
		{"renewable", fakeas.Options{TokenLifetime: time.Hour}, done, "; renewed without asking when it is next used\n"},
		{"not renewable", fakeas.Options{TokenLifetime: time.Hour, NoRefresh: true}, failed, ", which is over: sign in again\n"},
		{"endless", fakeas.Options{NoRefresh: true}, done, "   until   it is revoked\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			sit(t, test.options, func(d *desk) {
				d.approves()
				d.wants(done, "login")
				time.Sleep(2 * time.Hour)
				d.wants(test.code, "status")
				d.sees(test.want, "")
				if test.code == failed {
					d.sees("Not signed in any more to Notes as Ada Example (ada)\n", "")
					return
				}
				d.wants(done, "login")
				d.sees("Already signed in", "")
			})
		})
	}
}

func TestSignInThatComesToNothing(t *testing.T) {
	for _, test := range []struct {
		name    string
		options fakeas.Options
		decide  func(*desk, fakeas.Request) error
		want    string
	}{
		{"declined", fakeas.Options{}, func(d *desk, r fakeas.Request) error { return d.as.Deny(r.UserCode) }, "was declined; nothing was stored"},
		{"expired", fakeas.Options{}, func(*desk, fakeas.Request) error { return nil }, "the code expired before the sign-in was finished; nothing was stored"},
	} {
		t.Run(test.name, func(t *testing.T) {
			sit(t, test.options, func(d *desk) {
				d.meanwhile(func(r fakeas.Request) error { return test.decide(d, r) })
				d.wants(failed, "login")
				if d.sees("", test.want); d.records() != 0 {
					t.Errorf("%d records are stored", d.records())
				}
				d.wants(failed, "status")
			})
		})
	}
}

func TestLessIsGrantedThanAskedFor(t *testing.T) {
	sit(t, fakeas.Options{Withhold: []string{"notes:write"}}, func(d *desk) {
		d.approves()
		d.wants(failed, "login", "-scopes", "notes:read notes:write")
		d.sees("", "without notes:write; see status")
		d.wants(done, "status")
		d.sees("   scopes  notes:read profile\n", "")
	})
}

func TestServerThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct {
		name      string
		behaviour fakeas.Behaviour
		want      string
	}{
		{"has no device flow", fakeas.Error(400, "unsupported_grant_type"), `does not offer device authorization to the client "notes-cli"`},
		{"refuses the client", fakeas.Error(403, "unauthorized_client"), "(error code unauthorized_client, HTTP status 403)"},
		{"is away", fakeas.Drop().Times(-1), "signing in is not possible now: device authorization: "},
		{"does not know the client", fakeas.Error(401, "invalid_client"), `at https://as.example.test can be reached, and knows the client "notes-cli"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			sit(t, fakeas.Options{}, func(d *desk) {
				d.as.Script(fakeas.DeviceAuthorization, test.behaviour)
				d.wants(failed, "login")
				d.sees("", test.want)
			})
		})
	}
}

// Several accounts stand beside each other; logging out of one leaves the others.
func TestAccounts(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.becomes("ada")
		d.wants(done, "login", "-account", "work")
		d.sees("Signed in to Notes (account work) as Ada Example (ada)\n", "To sign in to Notes (account work), ")
		d.becomes("bob")
		d.environment[accountVariable] = "private"
		d.wants(done, "login")
		d.sees("Signed in to Notes (account private) as bob\n", "To sign in to Notes (account private), ")
		d.wants(done, "status")
		if strings.Contains(d.out, "work") {
			t.Errorf("the account in the environment is not the only one that is shown: %q", d.out)
		}
		d.wants(done, "status", "-all")
		d.sees("(account work) as Ada", "")
		d.sees("(account private) as bob", "")
		delete(d.environment, accountVariable)
		d.wants(done, "status")
		d.sees("(account work) as Ada", "")
		d.wants(failed, "status", "-account", "")
		d.sees("Not signed in to Notes.\n", "")
		d.wants(done, "logout")
		d.sees("Not signed in to Notes: nothing to do.\n", "")
		d.wants(done, "logout", "-account", "work")
		d.wants(failed, "status", "-account", "work")
		d.wants(done, "status", "-account", "private")
		d.becomes("ada")
		d.wants(done, "login")
		d.wants(done, "logout", "-all")
		if strings.Count(d.out, "Logged out of Notes") != 2 || d.records() != 0 {
			t.Errorf("%q, and %d records are left", d.out, d.records())
		}
		d.wants(failed, "status")
		d.wants(done, "logout", "-all")
		d.sees("Not signed in to Notes: nothing to do.\n", "")
	})
}

func TestSaysThatAnotherPersonSignedIn(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.becomes("ada")
		d.wants(done, "login")
		d.becomes("bob")
		d.wants(done, "login", "-scopes", "notes:read")
		d.sees("as bob\n", "   for   notes:read, profile\n")
		d.sees("It was Ada Example (ada) before.", "To sign in")
	})
}

func TestTheServiceDoesNotSayWhoSignedIn(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.as.Script(fakeas.Me, fakeas.Unavailable(503, 0).Times(-1))
		d.approves()
		d.wants(done, "login")
		d.sees("as somebody: the service did not say who\n", "To sign in")
	})
}

func TestATokenOfTheOperatorTakesPrecedence(t *testing.T) {
	t.Setenv("NOTES_TOKEN", "canary-of-the-operator")
	sit(t, fakeas.Options{}, func(d *desk) {
		for _, store := range [][]string{nil, {"-store", "file", "-store-dir", d.dir, "-account", "work"}} {
			d.exits(done, append(store, "login", "-token-env", "NOTES_TOKEN")...)
			d.sees("Nobody needs to sign in to Notes: the token in NOTES_TOKEN takes precedence", "")
			d.exits(done, append(store, "status", "-token-env", "NOTES_TOKEN")...)
			d.sees("The token in NOTES_TOKEN is used for Notes, as somebody: the service did not say who\n", "")
			if strings.Contains(d.out, "canary") {
				t.Error("status shows the token")
			}
		}
		d.approves()
		d.wants(done, "login")
		d.wants(done, "status", "-token-env", "NOTES_TOKEN")
		d.sees("Signed in to Notes as Ada", "")
		d.wants(done, "logout", "-token-env", "NOTES_TOKEN")
		d.sees("tokens  ended", "")
		d.sees("The token in NOTES_TOKEN is used as before", "")
		d.exits(usage, "logout", "-token-env", "NOTES_TOKEN")
		if n := d.as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
			t.Errorf("%d sign-ins, want one", n)
		}
	})
}

// Whose the operator's token is, and for what, is told where the service tells it.
func TestWhoseTheOperatorsTokenIs(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.as.Script(fakeas.Me, fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}, "X-Oauth-Scopes": {"profile, notes:read"}}, `{"id":7,"login":"robot"}`))
		d.t.Setenv("NOTES_TOKEN", "canary-of-the-operator")
		d.exits(done, "status", "-token-env", "NOTES_TOKEN")
		if want := "The token in NOTES_TOKEN is used for Notes, as robot (7)\n   scopes  notes:read profile\n"; d.out != want {
			t.Errorf("status: %q, want %q", d.out, want)
		}
	})
}

func TestTheServerDoesNotEndTheTokens(t *testing.T) {
	sit(t, fakeas.Options{TokenLifetime: time.Hour, NoRefresh: true}, func(d *desk) {
		d.approves()
		d.wants(done, "login")
		d.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
		d.wants(failed, "logout")
		d.sees("   tokens  not ended\n", "the tokens may work elsewhere until ")
		if strings.Contains(d.out, "end more") {
			t.Error("it says what ending the tokens ended besides")
		}
		d.wants(failed, "status")
	})
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.approves()
		d.wants(done, "login")
		right := d.environment[keyVariable]
		wrong := base64.StdEncoding.EncodeToString([]byte("another key that is random enough")[:32])
		d.environment[keyVariable] = wrong
		for _, command := range []string{"login", "status", "logout"} {
			d.wants(failed, command)
			if d.sees("", "set NOTES_STORE_KEY to the key that the grants were sealed with"); strings.Contains(d.err, wrong) {
				t.Errorf("%s shows the key", command)
			}
		}
		if n := d.as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
			t.Error("somebody was asked to sign in for what cannot be kept")
		}
		d.environment[keyVariable] = wrong + "," + right
		d.wants(done, "status")
	})
}

func TestDamagedGrant(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		for _, command := range []string{"status", "logout", "login"} {
			d.approves()
			d.wants(done, "login")
			names, _ := filepath.Glob(filepath.Join(d.dir, "*"))
			for _, name := range names {
				if text, _ := os.ReadFile(name); len(text) > 0 && !strings.Contains(name, "damaged") {
					text[len(text)/2] ^= 1
					if err := os.WriteFile(name, text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			d.wants(failed, command, "-account", "")
			if !strings.Contains(d.err, "damaged record") || !strings.Contains(d.err, d.dir) {
				t.Errorf("%s says %q", command, d.err)
			}
		}
	})
}

func TestStoreThatOthersCouldRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not checked there")
	}
	sit(t, fakeas.Options{}, func(d *desk) {
		if err := os.MkdirAll(d.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"login", "status", "logout"} {
			d.wants(failed, command)
			d.sees("", "chmod 700 '"+d.dir+"'")
		}
	})
}

// A store that takes nothing: the person is told, and what they granted is given back.
func TestSignInThatCannotBeKept(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.meanwhile(func(r fakeas.Request) error {
			// Somebody puts a file where the folder is to be.
			return errors.Join(os.WriteFile(d.dir, nil, 0o600), d.as.Approve(r.UserCode))
		})
		d.wants(failed, "login")
		if d.sees("", "the sign-in cannot be kept: "); strings.Contains(d.out, "Signed in") {
			t.Errorf("it says %q", d.out)
		}
		if n := d.as.Count(fakeas.Revocation, fakeas.OK); n == 0 {
			t.Error("the tokens were not revoked")
		}
	})
}

func TestNoKeychainHere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there may be a keychain")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "nothing"))
	sit(t, fakeas.Options{}, func(d *desk) {
		for _, store := range []string{"keychain", "keychain,memory"} {
			for _, command := range []string{"login", "status", "logout"} {
				d.exits(failed, command, "-store", store)
				d.sees("", "there is no keychain in this session, as over ssh, in a container or under cron: give -store file")
			}
		}
		if n := d.as.Count(fakeas.DeviceAuthorization, ""); n > 0 {
			t.Error("somebody was asked to sign in for what cannot be kept")
		}
		log := filepath.Join(filepath.Dir(d.dir), "log")
		d.approves()
		d.exits(done, "login", "-store", "keychain,file", "-store-dir", d.dir, "-log", log)
		d.sees("   stored  encrypted in "+d.dir+"\n", "there is no keychain in this session: grants are kept encrypted in "+d.dir+"\n")
		if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "fell back") {
			t.Errorf("%s, %v; want the fallback in the log", text, err)
		}
		d.wants(done, "status")
	})
}

func TestInterruptedLogin(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		ctx, interrupt := context.WithCancel(d.t.Context())
		d.meanwhile(func(fakeas.Request) error { interrupt(); return nil })
		defer interrupt()
		if code := d.does(ctx, "login", "-store", "file", "-store-dir", d.dir); code != interrupted {
			t.Errorf("exit code %d, want 130", code)
		}
		if d.sees("", "interrupted; nothing was stored"); d.records() > 0 {
			t.Errorf("%d records are stored", d.records())
		}
	})
}

// Whatever comes first, what is said is what is so.
func TestInterruptedInTheMomentOfTheApproval(t *testing.T) {
	for _, test := range []struct {
		after  time.Duration // the first poll is after 5 s, and /me takes 2 s
		code   int
		stored bool
		say    string
	}{
		{4 * time.Second, interrupted, false, "nothing was stored"},
		{6 * time.Second, interrupted, false, "nothing was stored"},
		{8 * time.Second, done, true, ""},
	} {
		sit(t, fakeas.Options{}, func(d *desk) {
			ctx, interrupt := context.WithCancel(d.t.Context())
			defer interrupt()
			d.as.Script(fakeas.Me, fakeas.Pass().After(2*time.Second))
			d.meanwhile(func(r fakeas.Request) error {
				time.AfterFunc(test.after, interrupt)
				return d.as.Approve(r.UserCode)
			})
			code := d.does(ctx, "login", "-store", "file", "-store-dir", d.dir)
			if code != test.code || d.records() > 0 != test.stored || !strings.Contains(d.err, test.say) {
				d.t.Errorf("after %v: exit code %d, %d records\n%s%s", test.after, code, d.records(), d.out, d.err)
			}
		})
	}
}

// config returns what run makes of a command that keeps things in the file store.
func (d *desk) config(command string) (cfg *config, stdout, stderr *bytes.Buffer) {
	d.t.Helper()
	cfg, err := parseFlags([]string{
		command, "-issuer", d.as.Issuer(), "-client-id", fakeas.DefaultClientID, "-api", d.as.API(), "-flows", "device", "-store", "file", "-store-dir", d.dir,
	}, func(name string) string { return d.environment[name] })
	if err != nil {
		d.t.Fatal(err)
	}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cfg.process = started(nil, stdout, stderr)
	cfg.transport = d.as.Transport()
	if err := cfg.openLog(); err != nil {
		d.t.Fatal(err)
	}
	return cfg, stdout, stderr
}

// A stuckStore is one from which nothing can be removed.
type stuckStore struct{ store.Store }

func (s stuckStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	old, err := s.Load(ctx, key)
	if err == nil {
		_, err = change(old)
	}
	return errors.Join(err, errors.New("store: read-only file system"))
}

// Neither the store nor the authorization server lets go: nobody is told that they are
// logged out.
func TestLogoutThatRemovesNothing(t *testing.T) {
	for _, away := range []bool{false, true} {
		sit(t, fakeas.Options{}, func(d *desk) {
			d.approves()
			d.wants(done, "login")
			if away {
				d.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
			}
			cfg, stdout, stderr := d.config("logout")
			cfg.store = stuckStore{cfg.store}
			auth, err := newAuth(cfg, cfg.options())
			if err != nil {
				t.Fatal(err)
			}
			code := logout(d.t.Context(), cfg, auth)
			if code != failed || stdout.Len() > 0 || !strings.Contains(stderr.String(), "not logged out of Notes as Ada Example (ada): ") {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
			d.wants(done, "status")
			if err := auth.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The interrupt comes when the grant has just been written.
func TestInterruptedTooLate(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		d.approves()
		d.wants(done, "login")
		cfg, _, stderr := d.config("login")
		auth, err := newAuth(cfg, cfg.options())
		if err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(d.t.Context())
		interrupt()
		if code := interruptedLogin(ctx, cfg, auth, lazyauth.LocalUser, nil); code != interrupted || !strings.Contains(stderr.String(), "complete already, and is stored") {
			t.Errorf("exit code %d, %q", code, stderr.String())
		}
	})
}

// What is stored was written by somebody, not necessarily by this program.
func TestNamesInTheStoreCannotControlTheTerminal(t *testing.T) {
	sit(t, fakeas.Options{}, func(d *desk) {
		kept, err := store.UnencryptedFile(d.dir)
		if err != nil {
			t.Fatal(err)
		}
		d.approves()
		d.exits(done, "login", "-store", "unencrypted-file", "-store-dir", d.dir)
		keys, err := kept.Keys(d.t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		record, err := kept.Load(d.t.Context(), keys[0])
		if err != nil {
			t.Fatal(err)
		}
		hostile := strings.TrimSuffix(keys[0], `""`) + `"\x1b[2Jwork"` // the account is the end of the key
		record = bytes.ReplaceAll(record, []byte("Ada"), []byte(`\u001b[2JAda`))
		err = kept.Update(d.t.Context(), hostile, func([]byte) ([]byte, error) { return record, nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"status", "logout"} {
			d.exits(done, command, "-all", "-store", "unencrypted-file", "-store-dir", d.dir)
			if strings.Contains(d.out+d.err, "\x1b") || strings.Contains(d.out, "work") || !strings.Contains(d.out, "Ada Example") {
				t.Errorf("%s writes %q", command, d.out+d.err)
			}
		}
	})
}

func TestUsesTheNameThatItIsInstalledUnder(t *testing.T) {
	for _, path := range []string{"/usr/local/bin/notes-mcp", "notes-mcp.exe"} {
		for _, flag := range []string{"-help", "-unknown"} {
			var stderr bytes.Buffer
			p := started([]string{flag}, new(bytes.Buffer), &stderr)
			p.args[0] = filepath.FromSlash(path)
			p.run(t.Context())
			if !strings.Contains(stderr.String(), "notes-mcp ") || strings.Contains(stderr.String(), "stdio ") {
				t.Errorf("%s %s says %q", path, flag, stderr.String())
			}
		}
	}
}
