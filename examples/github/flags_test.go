package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSaysWhatIsWrongWithTheCommandLine(t *testing.T) {
	with := func(more ...string) []string { return append([]string{"-client-id", clientID}, more...) }
	for _, test := range []struct {
		name string
		args []string
		want string // in what it says
	}{
		{"nothing", nil, "-client-id is missing"},
		{"a URL for a host", with("-host", "https://github.example.com"), "is not a host"},
		{"a path after the host", with("-host", "github.example.com/api/v3"), "is not a host"},
		{"somebody at the host", with("-host", "me@github.example.com"), "is not a host"},
		{"a query after the host", with("-host", "github.example.com?a"), "is not a host"},
		{"no host", with("-host", ""), "the host is empty"},
		{"a port alone", with("-host", ":8443"), "is not a host"},
		{"the API for the host", with("-host", "api.github.com"), "is not an Enterprise host"},
		{"negative patience", with("-patience", "-1s"), "-patience is negative"},
		{"patience without a unit", with("-patience", "55"), "-patience"},
		{"an unknown flag", with("-token", "x"), "-token"},
		{"an argument", with("serve"), `"serve" is not a flag`},
		{"a log that cannot be", with("-log", t.TempDir()), "-log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run(t.Context(), test.args, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), test.want) || !strings.Contains(stderr.String(), "github -help") {
				t.Errorf("it says %q, want %q and where the help is", stderr.String(), test.want)
			}
		})
	}
}

func TestHelpNamesEveryFlagAndFitsATerminal(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &stderr); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, flag := range []string{"client-id", "host", "patience", "log", "help"} {
		if !strings.Contains(stderr.String(), "\n  -"+flag+" ") {
			t.Errorf("the help does not explain -%s", flag)
		}
	}
	for line := range strings.Lines(stderr.String()) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("more than 80 columns: %q", line)
		}
	}
}

func TestAddresses(t *testing.T) {
	for host, want := range map[string]struct{ name, device, api, origin string }{
		"GitHub.com": {"GitHub", "https://github.com/login/device/code", "https://api.github.com", "https://api.github.com"},
		"github.example.com:8443": {
			"GitHub Enterprise", "https://github.example.com:8443/login/device/code",
			"https://github.example.com:8443/api/v3", "https://github.example.com:8443",
		},
		"octocorp.ghe.com": {"GitHub Enterprise", "https://octocorp.ghe.com/login/device/code", "https://api.octocorp.ghe.com", "https://api.octocorp.ghe.com"},
		"[::1]:9070":       {"GitHub Enterprise", "http://[::1]:9070/login/device/code", "http://[::1]:9070/api/v3", "http://[::1]:9070"},
	} {
		got, err := addressOf(host, clientID)
		if s := got.service; err != nil || s.Name != want.name || s.Endpoint.DeviceAuthURL != want.device || got.api != want.api || !slices.Equal(s.APIOrigins, []string{want.origin}) {
			t.Errorf("%s: %+v, %v, want %+v", host, got, err, want)
		}
	}
}

func TestMaxWaitIsWhatTheFlagSays(t *testing.T) {
	cfg, err := parseFlags([]string{"-client-id", clientID, "-patience", "2m"})
	if err != nil || cfg.patience != 2*time.Minute {
		t.Errorf("%+v, %v", cfg, err)
	}
}
