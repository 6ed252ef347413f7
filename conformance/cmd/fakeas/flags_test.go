package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string // of the error or the usage
	}{
		{[]string{"-addr", "0.0.0.0:9070"}, "not a loopback address; see -allow-remote"},
		{[]string{"-addr", ":9070"}, "not a loopback address"},
		{[]string{"-addr", "example.com:80"}, "not a loopback address"},
		{[]string{"-addr", "127.0.0.1"}, "missing port"},
		{[]string{"-interval", "1500ms"}, "not a whole number of seconds"},
		{[]string{"-interval", "0"}, "at least 1s"},
		{[]string{"-token-ttl", "-1s"}, "not a whole number of seconds"},
		{[]string{"-latency", "-1s"}, "not negative"},
		{[]string{"-scopes", "ok,b\"d"}, "no scope"},
		{[]string{"-client-secret-post"}, "cannot use authentication method"},
		{[]string{"-client-id", ""}, "empty or registered twice"},
		{[]string{"-issuer", "no URL"}, "no base URL"},
		{[]string{"serve"}, "unexpected argument"},
		{[]string{"-no-such-flag"}, "-no-such-flag"},
		{[]string{"-pkce", "sometimes"}, "none of its words"},
		{[]string{"-push", ""}, "none of its words"},
		{[]string{"-push-ttl", "0"}, "at least 1s"},
		{[]string{"-code-ttl", "100ms"}, "at least 1s"},
		{[]string{"-redirect-uri", "http://app.example.test/"}, "cannot have the redirect URI"},
		{[]string{"-demand", "page:x"}, "no such operation"},
		{[]string{"-demand", "refresh:"}, "no parameter"},
		{[]string{"-client-document", "no-such-file"}, "no such file"},
		{[]string{"-client-document", "flags.go"}, "no JSON object with a client_id"},
		{[]string{"-help"}, "Whoever can reach it can then\n        approve"},
	} {
		var log strings.Builder
		_, err := parse(test.args, &log)
		if err == nil || !strings.Contains(err.Error()+log.String(), test.says) {
			t.Errorf("%q: %v %s", test.args, err, log.String())
		}
		if help := test.args[0] == "-help"; help != errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", test.args, err)
		}
	}
	document := filepath.Join(t.TempDir(), "client.json")
	if err := os.WriteFile(document, []byte(`{"client_id":"https://app.example.test/client.json"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-pkce", "optional", "-device-pkce", "required", "-push", "required", "-push-ttl", "5m", "-no-iss", "-registration"},
		{"-redirect-uri", "http://127.0.0.1/a", "-redirect-uri", "http://127.0.0.1/b", "-exact-ports", "-demand", "refresh:resource=https://api.example"},
		{"-client-document", document, "-client-hosts", "app.example.test,other.example.test", "-no-device"},
		nil,
		{"-addr", "[::1]:0"},
		{"-addr", "localhost:9070"},
		{"-addr", "0.0.0.0:9070", "-allow-remote", "-issuer", "https://as.example.com"},
		{"-token-ttl", "0", "-client-id", "a", "-client-secret", "b", "-client-secret-post", "-withhold", "notes:write"},
	} {
		if _, err := parse(args, io.Discard); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// What the flags say is what the server is told.
func TestFlagsBecomeOptions(t *testing.T) {
	dir := t.TempDir()
	var args []string
	for _, name := range []string{"one", "two"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(`{"client_id":"https://app.example.test/`+name+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-client-document", file)
	}
	f, err := parse(append(args, "-redirect-uri", "http://127.0.0.1/a", "-redirect-uri", "http://127.0.0.1/b",
		"-demand", "refresh:resource", "-demand", "refresh:audience=x", "-wrong-iss", "https://evil.example"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{
		"https://app.example.test/one": true, "https://app.example.test/two": true, "https://app.example.test/three": false,
	} {
		if text, ok := f.options.ClientDocument(id); ok != want || ok && !strings.Contains(string(text), id) {
			t.Errorf("%s: %s", id, text)
		}
	}
	if got := strings.Join(f.options.Clients[0].RedirectURIs, " "); got != "http://127.0.0.1/a http://127.0.0.1/b" {
		t.Errorf("redirect URIs: %s", got)
	}
	if got := strings.Join(f.options.Demand["refresh"], " "); got != "resource audience=x" || f.iss != "https://evil.example" {
		t.Errorf("demands %q, iss %q", got, f.iss)
	}
}

// Help is read in a terminal of 80 columns.
func TestFlags_HelpIsNarrow(t *testing.T) {
	var log strings.Builder
	_, _ = parse([]string{"-help"}, &log)
	lines := 0
	for line := range strings.Lines(log.String()) {
		lines++
		if width := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width > 80 || strings.Contains(line, "\t") {
			t.Errorf("%d columns: %q", width, line)
		}
	}
	if lines < 50 || !strings.Contains(log.String(), "\n  -quiet\n        do not log requests and violations\n  -redirect-uri URI\n") {
		t.Errorf("it prints %s", log.String())
	}
}
