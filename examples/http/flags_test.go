package main

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

func noEnvironment(string) string { return "" }

func secrets(name string) string {
	return map[string]string{clientSecretVariable: "of the client", introspectionSecretVariable: "of introspection"}[name]
}

var (
	service = []string{"-issuer", "https://as.example.com", "-client-id", "c", "-api", "https://api.example.com"}
	checked = with("-introspection-url", "https://as.example.com/introspect", "-introspection-id", "i")
)

// with returns the flags of a service and some more.
func with(flags ...string) []string { return slices.Concat(service, flags) }

func TestSaysWhatIsWrongWithTheCommandLine(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string // in what it says
	}{
		{"nothing", nil, "-issuer is missing"},
		{"no client", slices.Concat(service[:2], service[4:]), "-client-id is missing"},
		{"no API", service[:4], "-api is missing"},
		{"an API that is a path", with("-api", "/v1"), "-api is not a base URL"},
		{"an API that is not https", with("-single-user", "-api", "http://api.example.com"), "https"},
		{"an issuer that is not https", with("-single-user", "-issuer", "http://as.example.com"), "https"},
		{"a device endpoint that is not https", with("-single-user", "-device-url", "http://as.example.com/d"), "the device authorization endpoint is not https"},
		{"an unknown client authentication", with("-single-user", "-client-auth", "jwt"), "give basic, for client_secret_basic, or post"},
		{"proxies that are no networks", with("-single-user", "-proxies", "10.0.0.1"), "give networks such as"},
		{"a connect page without demo users", slices.Concat(checked, []string{"-connect"}), "-connect needs -demo-users"},
		{"a connect page on any port", with("-demo-users", "ada", "-connect", "-listen", "127.0.0.1:0"), "-connect needs a -listen with a port"},
		{"nobody's calls", service, "whose calls these are"},
		{"two ways to tell", with("-single-user", "-demo-users", "ada"), "exclude each other"},
		{"introspection in clear", with("-introspection-url", "http://as.example.com/i", "-introspection-id", "i"), "-introspection-url is neither"},
		{"introspection by nobody", checked[:len(checked)-2], "-introspection-id"},
		{"a single user for all the world", with("-single-user", "-listen", "0.0.0.0:8080"), "give a loopback -listen"},
		{"a single user on all interfaces", with("-single-user", "-listen", ":8080"), "give a loopback -listen"},
		{"a single user on a name", with("-single-user", "-listen", "localhost.example.com:8080"), "give a loopback -listen"},
		{"a single user behind a proxy", with("-single-user", "-public-url", "https://mcp.example.com"), "no -public-url with them but one on loopback"},
		{"demo users for all the world", with("-demo-users", "ada", "-listen", "192.0.2.1:8080"), "give a loopback -listen"},
		{"nowhere to listen", with("-single-user", "-listen", "8080"), "-listen is not an address"},
		{"no public name", slices.Concat(checked, []string{"-listen", "0.0.0.0:8080"}), "-public-url is missing"},
		{"a public name in clear", slices.Concat(checked, []string{"-public-url", "http://mcp.example.com"}), "-public-url is not an origin"},
		{"a public path", slices.Concat(checked, []string{"-public-url", "https://mcp.example.com/notes"}), "-public-url is not an origin"},
		{"public counters", with("-single-user", "-debug", "0.0.0.0:8081"), "-debug is not a loopback address"},
		{"negative patience", with("-single-user", "-patience", "-1s"), "-patience is negative"},
		{"an unknown flag", with("-port", "80"), "-port"},
		{"an argument", with("serve"), `"serve" is not a flag`},
		{"a store that is a database", with("-demo-users", "ada", "-store", "postgres://u:hunter2@db/db"), "-store is a folder"},
		{"a log that cannot be", with("-single-user", "-log", t.TempDir()), "-log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, secrets, &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), test.want) || !strings.Contains(stderr.String(), "http -help") {
				t.Errorf("it says %q, want %q and where the help is", stderr.String(), test.want)
			}
			if strings.Contains(stderr.String(), "hunter2") {
				t.Errorf("it repeats a password: %q", stderr.String())
			}
		})
	}
}

func TestIntrospectionNeedsASecret(t *testing.T) {
	if _, err := parseFlags(checked, noEnvironment); err == nil || !strings.Contains(err.Error(), introspectionSecretVariable) {
		t.Errorf("%v, want an error that names the variable", err)
	}
	cfg, err := parseFlags(checked, secrets)
	if err != nil || cfg.ClientSecret != "of the client" || cfg.IntrospectionSecret != "of introspection" {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestFlagsAreTaken(t *testing.T) {
	cfg, err := parseFlags(with("-demo-users", "ada,eve", "-patience", "2m", "-listen", "[::1]:0", "-api", "https://api.example.com/v1/", "-client-auth", "post"), noEnvironment)
	if err != nil || cfg.ClientAuth != oauth2.AuthStyleInParams || !slices.Equal(cfg.DemoUsers, []string{"ada", "eve"}) || cfg.patience != 2*time.Minute ||
		cfg.API != "https://api.example.com/v1" || cfg.Service().APIOrigins[0] != "https://api.example.com" {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// A proxy of this machine may stand in front of demo users, for TLS.
func TestAPublicURLOnLoopback(t *testing.T) {
	cfg, err := parseFlags(with("-demo-users", "ada", "-connect", "-listen", "127.0.0.1:0", "-public-url", "https://127.0.0.1:8443/"), noEnvironment)
	if err != nil || cfg.PublicURL != "https://127.0.0.1:8443" {
		t.Fatalf("%+v, %v", cfg, err)
	}
}

func TestAMaxWaitGoesForAllHosts(t *testing.T) {
	for name, host := range (&config{patience: time.Minute}).hosts() {
		if host.MaxWait != 0 || host.MaxWaitWithProgress != 0 || host.ShowsProgress != lazyauth.KnownHosts()[name].ShowsProgress {
			t.Errorf("%s: %+v", name, host)
		}
	}
	if !maps.Equal(new(config).hosts(), lazyauth.KnownHosts()) {
		t.Error("without one it is not what is known of them")
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	w := started(t, "-single-user")
	for _, flag := range []string{"-listen", "-debug"} {
		var stdout, stderr bytes.Buffer
		args := with("-single-user", "-listen", "127.0.0.1:0", "-log", filepath.Join(t.TempDir(), "log"), flag, w.address)
		if code := run(t.Context(), args, noEnvironment, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "listen tcp") {
			t.Errorf("%s: exit code %d, it says %q", flag, code, stderr.String())
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, noEnvironment, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
	for _, flag := range []string{
		"issuer", "device-url", "client-id", "client-auth", "api", "introspection-url", "introspection-id", "demo-users", "single-user",
		"listen", "public-url", "proxies", "debug", "patience", "log", "help",
	} {
		if !strings.Contains(stdout.String(), "\n  -"+flag+" ") {
			t.Errorf("the help does not explain -%s", flag)
		}
	}
	for text := range strings.SplitSeq(stdout.String(), "\n") {
		if len(text) > 80 && !strings.Contains(text, "-introspection-url URL -introspection-id ID") {
			t.Errorf("a line is too wide for a terminal: %s", text)
		}
	}
}
