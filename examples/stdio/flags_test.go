package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func noEnvironment(string) string { return "" }

func noBrowser(context.Context, string) error {
	return errors.New("no browser can be opened on this machine")
}

// started returns the program as it is started with these arguments.
func started(args []string, stdout, stderr io.Writer) process {
	return process{args: append([]string{"/usr/local/bin/stdio"}, args...), getenv: noEnvironment, stdout: stdout, stderr: stderr, openBrowser: noBrowser}
}

func TestSaysWhatIsWrongWithTheCommandLine(t *testing.T) {
	withoutIssuer := nowhere[2:]
	for _, test := range []struct {
		name string
		args []string
		want string // in what it says
	}{
		{"nothing", nil, "-issuer is missing"},
		{"no issuer", withoutIssuer, "-issuer is missing"},
		{"half the endpoints", append([]string{"-device-url", "https://a.example/d"}, withoutIssuer...), "-token-url is missing"},
		{"the other half", append([]string{"-token-url", "https://a.example/t"}, withoutIssuer...), "-device-url is missing"},
		{"an endpoint in clear beside an issuer", append([]string{"-token-url", "http://a.example/t"}, nowhere...), "the token endpoint is not https"},
		{"an unknown client authentication", append(slices.Clone(nowhere), "-client-auth", "jwt"), "give basic, for client_secret_basic, or post"},
		{"no client", slices.Delete(slices.Clone(nowhere), 2, 4), "-client-id is missing"},
		{"no API", nowhere[:4], "-api is missing"},
		{"an API that is a path", append(slices.Clone(nowhere), "-api", "/v1"), "-api is not a base URL"},
		{"an API that is not https", append(slices.Clone(nowhere), "-api", "http://api.example.com"), "https"},
		{"an issuer that is not https", append(slices.Clone(nowhere), "-issuer", "http://as.example.com"), "https"},
		{"an unknown mode", append(slices.Clone(nowhere), "-mode", "busy"), "give lazy, explicit or eager"},
		{"negative patience", append(slices.Clone(nowhere), "-patience", "-1s"), "-patience is negative"},
		{"patience without a unit", append(slices.Clone(nowhere), "-patience", "55"), "-patience"},
		{"an unknown flag", append(slices.Clone(nowhere), "-port", "80"), "-port"},
		{"an argument", append(slices.Clone(nowhere), "serve"), `"serve" is not a flag`},
		{"two commands", append([]string{"login"}, append(nowhere, "status")...), "login and status are two commands"},
		{"a command that is no command", append([]string{"signin"}, nowhere...), "login, status and logout"},
		{"an unknown store", append(slices.Clone(nowhere), "-store", "disk"), `"disk" is no kind of store`},
		{"a fallback for what is always there", append(slices.Clone(nowhere), "-store", "file,keychain"), "nothing but a keychain can be absent"},
		{"a chain of fallbacks", append(slices.Clone(nowhere), "-store", "keychain,file,memory"), "nothing but a keychain can be absent"},
		{"the keychain instead of itself", append(slices.Clone(nowhere), "-store", "keychain,keychain"), "nothing but a keychain can be absent"},
		{"a folder for the keychain", append(slices.Clone(nowhere), "-store", "keychain", "-store-dir", "/x"), "-store-dir is for"},
		{"no key", append(slices.Clone(nowhere), "-store", "file", "-store-dir", "/x"), "openssl rand -base64 32"},
		{"login without a store", append([]string{"login"}, nowhere...), "login needs a store that outlives it"},
		{"status without a store", append([]string{"status"}, nowhere...), "status needs a store that outlives it"},
		{"logout of the memory", append([]string{"logout", "-store", "memory"}, nowhere...), "logout needs a store that outlives it"},
		{"scopes for the server", append(slices.Clone(nowhere), "-scopes", "notes:read"), "are for login"},
		{"scopes that are none", append([]string{"login", "-store", "keychain", "-scopes", `"`}, nowhere...), "-scopes is not a list of scopes"},
		{"a code for the server", append(slices.Clone(nowhere), "-device"), "-scopes, -device and -no-qr are for login"},
		{"a code, and a list of flows", append([]string{"login", "-store", "keychain", "-device", "-flows", "redirect"}, nowhere...), "-device and -flows exclude each other"},
		{"an unknown flow", append(slices.Clone(nowhere), "-flows", "implicit"), `-flows: "implicit" is not a list of flows`},
		{"a flow twice", append(slices.Clone(nowhere), "-flows", "device,device"), "is not a list of flows"},
		{"a redirect without an issuer", append([]string{"-device-url", "https://a.example/d", "-token-url", "https://a.example/t", "-flows", "redirect,device"}, withoutIssuer...), "-flows redirect needs -issuer"},
		{"somewhere to come back to, and nobody who does", append(slices.Clone(nowhere), "-flows", "device", "-redirect-uri", "http://127.0.0.1:8085/"), "-redirect-uri is for -flows redirect"},
		{"somewhere else to come back to", append(slices.Clone(nowhere), "-redirect-uri", "https://notes.example/callback"), "the redirect URI is not http"},
		{"a browser for codes", append(slices.Clone(nowhere), "-flows", "device", "-open-browser"), "-open-browser is for -flows redirect"},
		{"all for login", append([]string{"login", "-store", "keychain", "-all"}, nowhere...), "-all is for status and logout"},
		{"all and one", append([]string{"status", "-store", "keychain", "-all", "-account", "a"}, nowhere...), "-all and -account exclude each other"},
		{"an account that clears the screen", append(slices.Clone(nowhere), "-account", "\x1b[2J"), "-account is not a name"},
		{"a log that cannot be", append(slices.Clone(nowhere), "-log", t.TempDir()), "-log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := started(test.args, &stdout, &stderr).run(t.Context()); code != 2 || stdout.Len() > 0 {
				t.Errorf("exit code %d, stdout %q; want 2 and nothing", code, stdout.String())
			}
			if !strings.Contains(stderr.String(), test.want) || !strings.Contains(stderr.String(), "stdio -help") {
				t.Errorf("it says %q, want %q and where the help is", stderr.String(), test.want)
			}
		})
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var stdout, stderr bytes.Buffer
	help := started([]string{"-help"}, &stdout, &stderr)
	help.args[0] = "notes-mcp"
	if code := help.run(t.Context()); code != 0 || stdout.Len() > 0 {
		t.Errorf("exit code %d, stdout %q; want 0 and nothing", code, stdout.String())
	}
	for _, name := range []string{
		"issuer", "device-url", "token-url", "revocation-url", "client-id", "client-secret", "client-auth", "api", "store", "store-dir",
		"account", "token-env", "mode", "patience", "scopes", "no-qr", "all", "log",
		"flows", "redirect-uri", "open-browser", "device",
	} {
		if !strings.Contains(stderr.String(), "\n  -"+name+" ") {
			t.Errorf("the help does not explain -%s", name)
		}
	}
	for line := range strings.Lines(stderr.String()) {
		if len(line) > 81 || strings.Contains(line, "{}") {
			t.Errorf("not a line of 80 columns: %q", line)
		}
	}
}

func TestClientAuthIsTaken(t *testing.T) {
	for text, want := range map[string]oauth2.AuthStyle{"basic": oauth2.AuthStyleInHeader, "post": oauth2.AuthStyleInParams} {
		cfg, err := parseFlags(append(slices.Clone(nowhere), "-client-auth", text, "-device-url", "https://a.example/d"), noEnvironment)
		if err != nil || cfg.clientAuth != want || cfg.deviceURL != "https://a.example/d" || cfg.issuer == "" {
			t.Errorf("%s: %+v, %v", text, cfg, err)
		}
	}
}

func TestClientSecretComesFromFlagOrEnvironment(t *testing.T) {
	environment := func(name string) string { return map[string]string{secretVariable: "from the environment"}[name] }
	cfg, err := parseFlags(nowhere, environment)
	if err != nil || cfg.clientSecret != "from the environment" {
		t.Errorf("%+v, %v", cfg, err)
	}
	cfg, err = parseFlags(append(slices.Clone(nowhere), "-client-secret", "from the flag"), environment)
	if err != nil || cfg.clientSecret != "from the flag" {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// What needs no metadata goes on needing none.
func TestFlowsAreWhatTheFlagSaysOrWhatCanBe(t *testing.T) {
	endpoints := []string{"-device-url", "https://a.example/d", "-token-url", "https://a.example/t"}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "[redirect device]"},
		{[]string{"-flows", "device,redirect"}, "[device redirect]"},
		{[]string{"-flows", "redirect"}, "[redirect]"},
		{endpoints[:2], "[redirect device]"},
		{endpoints, "[device]"},
		{append([]string{"-flows", "redirect"}, endpoints...), "[redirect]"},
		{[]string{"login", "-store", "keychain", "-device"}, "[device]"},
	} {
		cfg, err := parseFlags(append(test.args, nowhere...), noEnvironment)
		if err != nil || fmt.Sprint(cfg.flows) != test.want {
			t.Errorf("%q: %v, %v; want %s", test.args, cfg, err, test.want)
		}
	}
}

func TestTheServerOpensABrowserIfItIsToldTo(t *testing.T) {
	for _, args := range [][]string{nil, {"-open-browser"}} {
		cfg, err := parseFlags(append(args, nowhere...), noEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		cfg.openBrowser = noBrowser
		if got := cfg.options().OpenBrowser != nil; got != (args != nil) {
			t.Errorf("%q: %t", args, got)
		}
	}
}

func TestMaxWaitIsWhatTheFlagSays(t *testing.T) {
	cfg, err := parseFlags(append(slices.Clone(nowhere), "-patience", "2m"), noEnvironment)
	if err != nil || cfg.patience != 2*time.Minute {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestAKeyIsBase64OrHexadecimal(t *testing.T) {
	key := []byte("0123456789 ~~~~~~ \xff\xfe\xfd and some more")[:32]
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key), base64.URLEncoding.EncodeToString(key),
		hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), " " + hex.EncodeToString(key) + "\n",
	} {
		keys, err := parseKeys(text)
		if err != nil || len(keys) != 1 || !bytes.Equal(keys[0], key) {
			t.Errorf("%q is read as %x, %v", text, keys, err)
		}
	}
	if keys, err := parseKeys(hex.EncodeToString(key) + "," + base64.StdEncoding.EncodeToString(make([]byte, 32))); err != nil || len(keys) != 2 || !bytes.Equal(keys[0], key) {
		t.Errorf("two keys are read as %x, %v", keys, err)
	}
	for _, text := range []string{
		"", " ", "correct horse battery staple", base64.StdEncoding.EncodeToString(key[:31]), hex.EncodeToString(key)[:62],
		strings.Repeat("g", 64), hex.EncodeToString(key) + ",", strings.Repeat("a", 42) + "é",
	} {
		keys, err := parseKeys(text)
		if err == nil || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("%q is read as %x, %v; want an error that says how to make a key", text, keys, err)
		}
		if err != nil && len(text) > 2 && strings.Contains(err.Error(), text) {
			t.Errorf("%v repeats the key", err)
		}
	}
}

func TestTheTokenComesFromTheVariableThatIsNamed(t *testing.T) {
	t.Setenv("NOTES_TOKEN", "a token")
	if cfg, err := parseFlags(nowhere, noEnvironment); err != nil || cfg.options().Token != nil {
		t.Errorf("without the flag: %v; want no token", err)
	}
	args := append([]string{"-token-env", "NOTES_TOKEN"}, nowhere...)
	if cfg, err := parseFlags(args, noEnvironment); err != nil || cfg.options().Token == nil {
		t.Errorf("%v; want the token in the options", err)
	}
	t.Setenv("NOTES_TOKEN", "")
	if cfg, err := parseFlags(args, noEnvironment); err != nil || cfg.options().Token != nil {
		t.Errorf("the variable is empty: %v; want no token", err)
	}
}

func TestAccountComesFromFlagOrEnvironment(t *testing.T) {
	environment := func(name string) string { return map[string]string{accountVariable: "work"}[name] }
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "work"},
		{[]string{"-account", "private"}, "private"},
		{[]string{"-account", ""}, ""},
	} {
		cfg, err := parseFlags(append(test.args, nowhere...), environment)
		if err != nil || cfg.account != test.want || !cfg.accountGiven {
			t.Errorf("%q: account %q (given: %t), %v; want %q", test.args, cfg.account, cfg.accountGiven, err, test.want)
		}
	}
}
