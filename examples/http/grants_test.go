package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// operates runs a command as a process, on the store of the server, and returns what it says. It must end with this
// exit code.
func (w *world) operates(code int, command string, flags ...string) (stdout, stderr string) {
	w.t.Helper()
	args := append([]string{"grants", command, "-issuer", w.as.Issuer(), "-client-id", "notes", "-by", "olga"}, flags...)
	program, said := hosttest.Program(w.t, args...)
	program.Env = append(program.Env, environment()...)
	out, err := program.Output()
	if err != nil && program.ProcessState == nil {
		w.t.Fatal(err)
	}
	if got := program.ProcessState.ExitCode(); got != code {
		w.t.Errorf("%s ends with %d, want %d: %s%s", command, got, code, out, said)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, secret := range w.secrets {
		if bytes.Contains(out, []byte(secret)) || strings.Contains(said.String(), secret) {
			w.t.Errorf("%s says %q, which is secret", command, secret)
		}
	}
	return string(out), said.String()
}

func has(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q: %s", part, text)
		}
	}
}

// Grants survive the server, and an operator sees, bars, erases and exports them while it runs.
func TestGrantsInAStore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "grants")
	w := started(t, "-store", dir)
	ada := w.host(server.ModernPath, "2026-07-28", w.bearer("ada"))
	ada.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	ada.WantAsked("profile")

	w.restarts()
	again := w.host(server.ModernPath, "2026-07-28", w.bearer("ada"))
	again.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	again.WantAsked()

	out, _ := w.operates(0, "list", "-person", "ada", "-store", dir)
	has(t, out, `"ada" of "`+w.as.Issuer()+`" has granted:`, "the account without a name: profile", "since         20", "renewed when a call needs it", "asked for by")
	out, _ = w.operates(0, "list", "-person", "eve", "-store", dir)
	has(t, out, "has granted nothing")

	out, _ = w.operates(0, "export", "-person", "ada", "-store", dir)
	var export lazyauth.Export
	if err := json.Unmarshal([]byte(out), &export); err != nil || len(export.Grants) != 1 || export.Subject != "ada" || export.Grants[0].Since.IsZero() {
		t.Errorf("the export is %s, %v", out, err)
	}

	w.tolerated = fakeas.RevokedTokenUsed // by the server, for at most half a minute
	out, _ = w.operates(0, "bar", "-person", "ada", "-store", dir, "-until", "2099-01-01")
	has(t, out, "is barred until 20", "1 grant")
	out, _ = w.operates(0, "bars", "-store", dir)
	has(t, out, `"ada" of "`, `by "olga"`)
	w.until("the server follows", func() bool {
		result := again.Call("whoami", nil)
		return result.IsError && result.Meta[metaReason] == "barred"
	})
	out, _ = w.operates(0, "lift", "-person", "ada", "-store", dir)
	has(t, out, "barred no more")
	out, _ = w.operates(0, "lift", "-person", "ada", "-store", dir)
	has(t, out, "was not barred")
	again.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	again.WantAsked("profile")

	out, _ = w.operates(0, "end", "-person", "ada", "-store", dir, "-account", "")
	has(t, out, "has lost 1 grant")
	out, _ = w.operates(0, "end", "-person", "ada", "-store", dir, "-all")
	has(t, out, "has lost 0 grants")
	audit := filepath.Join(t.TempDir(), "audit")
	out, _ = w.operates(0, "erase", "-person", "ada", "-store", dir, "-log", audit)
	has(t, out, "is erased, with 0 grants", "backups of the store")
	log, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(log), `"erased"`, `"operator":"olga"`)
	has(t, strings.Join(w.log(), "\n"), `"granted"`)
}

// What the authorization server does not end is said, and is no success.
func TestGrantsThatAreNotRevoked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "grants")
	w := started(t, "-store", dir)
	ada := w.host(server.LegacyPath, "2025-11-25", w.bearer("ada"))
	ada.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	ada.WantAsked("profile")
	gone := fakeas.Error(503, "temporarily_unavailable")
	w.as.Script(fakeas.Revocation, gone, gone)
	out, said := w.operates(1, "end", "-person", "ada", "-store", dir, "-all")
	has(t, out, "has lost 1 grant")
	has(t, said, "may work until it expires: end it there, too")
}

// The command line of an operator: what is wrong is said, with what would be right.
func TestSaysWhatIsWrongWithAnOperatorsCommandLine(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open-key")
	if err := os.WriteFile(open, []byte(storeKey), 0o644); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad-key")
	if err := os.WriteFile(bad, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"-issuer", "https://as.example.com", "-client-id", "c", "-store", dir}
	list := func(command string, flags ...string) []string {
		return append(append([]string{"grants", command}, base...), flags...)
	}
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", []string{"grants"}, "no command is given"},
		{"an unknown command", list("delete"), `"delete" is no command`},
		{"two commands", append(list("list", "-person", "ada"), "end"), `"end" is not a flag`},
		{"nobody", list("list"), "-person is missing"},
		{"no store", []string{"grants", "list", "-person", "ada", "-issuer", "https://as.example.com", "-client-id", "c"}, "-store is missing"},
		{"another folder", []string{"grants", "list", "-person", "ada", "-issuer", "https://as.example.com", "-client-id", "c", "-store", filepath.Join(dir, "else")}, "there is no folder"},
		{"no issuer", []string{"grants", "list", "-person", "ada"}, "-issuer is missing"},
		{"no client", []string{"grants", "list", "-person", "ada", "-issuer", "https://as.example.com"}, "-client-id is missing"},
		{"an end of what", list("end", "-person", "ada"), "needs either -account NAME"},
		{"an end of one and all", list("end", "-person", "ada", "-all", "-account", "work"), "needs either -account NAME"},
		{"a bar of an account", list("bar", "-person", "ada", "-account", "work"), "-account and -all are for end"},
		{"a list until", list("list", "-person", "ada", "-until", "2099-01-01"), "-until is for bar"},
		{"a bar that is over", list("bar", "-person", "ada", "-until", "2001-01-01"), "-until is over"},
		{"a bar until whenever", list("bar", "-person", "ada", "-until", "tomorrow"), "give a day such as"},
		{"one of all bars", list("bars", "-person", "ada"), "leave out -person"},
		{"an unknown flag", list("list", "-person", "ada", "-json"), "-json"},
		{"no key", list("list", "-person", "ada"), "-store needs a key of 32 random bytes"},
		{"a key file that is not there", list("list", "-person", "ada", "-store-key", filepath.Join(dir, "none")), "give a file that this user can read"},
		{"a key that is none", list("list", "-person", "ada", "-store-key", bad), "key 1 is not 32 bytes"},
		{"a key for all", list("list", "-person", "ada", "-store-key", open), "chmod 600"},
		{"a server's key without a store", with("-single-user", "-store-key", bad), "-store-key is for -store"},
		{"a store for one", with("-single-user", "-store", dir), "-store is for many people"},
		{"a server without a key", append(with("-demo-users", "ada"), "-store", dir), "-store needs a key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "a key for all" && runtime.GOOS == "windows" {
				t.Skip("there are no such permissions")
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, noEnvironment, &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if text := stderr.String(); !strings.Contains(text, test.want) || !strings.Contains(text, "-help") || strings.Contains(text, "canary") {
				t.Errorf("it says %q, want %q and where the help is", text, test.want)
			}
		})
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"grants", "-help"}, noEnvironment, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "http grants export") || stderr.Len() > 0 {
		t.Errorf("the help: %d, %s%s", code, &stdout, &stderr)
	}
}

// A key file that nobody else can read will do, as will an old key to read with; another key is said to be another.
func TestStoreKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	w := started(t, "-store", filepath.Join(dir, "grants"))
	ada := w.host(server.ModernPath, "2026-07-28", w.bearer("ada"))
	ada.WantAnswer("whoami", nil, `{"name":"Ada Example","sub":"ada"}`)
	ada.WantAsked("profile")
	other := hex.EncodeToString([]byte("another key, which has 32 bytes."))
	for text, code := range map[string]int{other + ", " + storeKey + "\n": 0, other: 1} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, said := w.operates(code, "list", "-person", "ada", "-store", filepath.Join(dir, "grants"), "-store-key", file)
		if code == 0 {
			has(t, out, "has granted:")
			continue
		}
		has(t, said, "Give the key that the server has")
		for _, command := range []string{"bar", "erase"} { // nothing of which is done
			audit := filepath.Join(dir, command)
			out, said := w.operates(code, command, "-person", "ada", "-store", filepath.Join(dir, "grants"), "-store-key", file, "-log", audit)
			has(t, said, "Give the key that the server has")
			log, err := os.ReadFile(audit)
			if err != nil || out != "" || strings.Contains(string(log), `"msg":"erased"`) || strings.Contains(string(log), `"msg":"barred"`) {
				t.Errorf("%s failed, and says %q, and in the log: %s, %v", command, out, log, err)
			}
		}
	}
}
