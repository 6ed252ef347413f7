package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func noEnvironment(string) string { return "" }

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
		{"both ways", append([]string{"-token-url", "https://a.example/t"}, nowhere...), "exclude each other"},
		{"no client", slices.Delete(slices.Clone(nowhere), 2, 4), "-client-id is missing"},
		{"no API", nowhere[:4], "-api is missing"},
		{"an API that is a path", append(slices.Clone(nowhere), "-api", "/v1"), "-api is not a base URL"},
		{"an API that is not https", append(slices.Clone(nowhere), "-api", "http://api.example.com"), "https"},
		{"an issuer that is not https", append(slices.Clone(nowhere), "-issuer", "http://as.example.com"), "https"},
		{"negative patience", append(slices.Clone(nowhere), "-patience", "-1s"), "-patience is negative"},
		{"patience without a unit", append(slices.Clone(nowhere), "-patience", "55"), "-patience"},
		{"an unknown flag", append(slices.Clone(nowhere), "-port", "80"), "-port"},
		{"an argument", append(slices.Clone(nowhere), "serve"), `"serve" is not a flag`},
		{"a log that cannot be", append(slices.Clone(nowhere), "-log", t.TempDir()), "-log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run(t.Context(), test.args, noEnvironment, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), test.want) || !strings.Contains(stderr.String(), "stdio -help") {
				t.Errorf("it says %q, want %q and where the help is", stderr.String(), test.want)
			}
		})
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, noEnvironment, &stderr); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, flag := range []string{"issuer", "device-url", "token-url", "client-id", "client-secret", "api", "patience", "log"} {
		if !strings.Contains(stderr.String(), "\n  -"+flag+" ") {
			t.Errorf("the help does not explain -%s", flag)
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

func TestPatienceIsWhatTheFlagSays(t *testing.T) {
	cfg, err := parseFlags(append(slices.Clone(nowhere), "-patience", "2m"), noEnvironment)
	if err != nil || cfg.patience != 2*time.Minute {
		t.Errorf("%+v, %v", cfg, err)
	}
}
