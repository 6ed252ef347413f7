package main

import (
	"bytes"
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
		{"a URL for a host", with("-host", "https://github.example.com"), "-host is not a host"},
		{"a path after the host", with("-host", "github.example.com/api/v3"), "-host is not a host"},
		{"somebody at the host", with("-host", "me@github.example.com"), "-host is not a host"},
		{"a query after the host", with("-host", "github.example.com?a"), "-host is not a host"},
		{"no host", with("-host", ""), "-host is not a host"},
		{"a port alone", with("-host", ":8443"), "-host is not a host"},
		{"the API for the host", with("-host", "api.github.com"), "give github.com"},
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
	for host, want := range map[string]addresses{
		"GitHub.com": {
			name: "GitHub", deviceURL: "https://github.com/login/device/code", tokenURL: "https://github.com/login/oauth/access_token",
			api: "https://api.github.com", apiOrigin: "https://api.github.com",
		},
		"github.example.com:8443": {
			name: "GitHub Enterprise", deviceURL: "https://github.example.com:8443/login/device/code", tokenURL: "https://github.example.com:8443/login/oauth/access_token",
			api: "https://github.example.com:8443/api/v3", apiOrigin: "https://github.example.com:8443",
		},
		"octocorp.ghe.com": {
			name: "GitHub Enterprise", deviceURL: "https://octocorp.ghe.com/login/device/code", tokenURL: "https://octocorp.ghe.com/login/oauth/access_token",
			api: "https://api.octocorp.ghe.com", apiOrigin: "https://api.octocorp.ghe.com",
		},
		"[::1]:9070": {
			name: "GitHub Enterprise", deviceURL: "http://[::1]:9070/login/device/code", tokenURL: "http://[::1]:9070/login/oauth/access_token",
			api: "http://[::1]:9070/api/v3", apiOrigin: "http://[::1]:9070",
		},
	} {
		if got, err := addressesOf(host); err != nil || got != want {
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
