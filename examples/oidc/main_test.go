package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// What is wrong on the command line is said, and nothing is served. What the server does is told with a real issuer, in
// conformance/interop.
func TestRun_Misused(t *testing.T) {
	good := []string{
		"-public-url", "https://mcp.example.com", "-issuer", "https://login.example.com", "-client-id", "c", "-service-client-id", "s", "-api", "https://api.example.com",
	}
	for name, story := range map[string]struct {
		more []string
		want string
	}{
		"a path":                   {[]string{"-public-url", "https://mcp.example.com/x"}, "no origin"},
		"no public URL":            {[]string{"-public-url", ""}, "no origin"},
		"a public URL in clear":    {[]string{"-public-url", "http://mcp.example.com"}, "PublicURL is not https"},
		"no client of the service": {[]string{"-service-client-id", ""}, "-service-client-id"},
		"no client of the page":    {[]string{"-client-id", ""}, "ClientID is missing"},
		"no API":                   {[]string{"-api", ""}, "-api"},
		"an identity of nobody's":  {[]string{"-identity", "name"}, "give subject, entra, or claim:NAME"},
		"an identity to choose":    {[]string{"-identity", "claim:email"}, "email"},
		"proxies that are none":    {[]string{"-proxies", "127.0.0.1/32,proxy"}, "networks"},
		"what is no flag":          {[]string{"x"}, "not a flag"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), slices.Concat(good, story.more), func(string) string { return "s3cret" }, &stdout, &stderr)
		if code == 0 || !strings.Contains(stderr.String(), story.want) || stdout.Len() > 0 || strings.Contains(stderr.String(), "s3cret") {
			t.Errorf("%s: %d, %s", name, code, stderr.String())
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, func(string) string { return "" }, &stdout, &stderr); code != 0 || stdout.String() != help {
		t.Errorf("%d, %s%s", code, stdout.String(), stderr.String())
	}
}

// Behind a proxy people are limited by their own addresses, as the proxy has them: one of them does not use up everybody's
// tries. Who is no proxy can say nothing of an address.
func TestRun_BehindAProxy(t *testing.T) { synctest.Test(t, testBehindAProxy) } // no tries come back meanwhile

func testBehindAProxy(t *testing.T) {
	cfg, err := parseFlags([]string{
		"-public-url", "https://mcp.example.com", "-service-client-id", "s", "-api", "https://api.example.com", "-proxies", "10.1.0.0/16,::1/128",
	}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	limiter := cfg.limiter()
	tries := func(connection, forwarded string) bool {
		r := httptest.NewRequest(http.MethodGet, "/connect", nil)
		r.RemoteAddr = connection
		r.Header.Set("X-Forwarded-For", forwarded)
		_, ok := limiter.Try(r)
		return ok
	}
	for tries("10.1.2.3:1", "192.0.2.1") {
	}
	if !tries("10.1.2.3:1", "192.0.2.2") || !tries("[::1]:1", "192.0.2.3") {
		t.Error("somebody else at the same proxy is limited, too")
	}
	for tries("192.0.2.9:1", "192.0.2.4") {
	}
	if tries("192.0.2.9:1", "192.0.2.5") {
		t.Error("who is no proxy is believed")
	}
}
