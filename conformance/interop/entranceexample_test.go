package interop_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"golang.org/x/oauth2"
)

// examples/oidc as a process, with bearer tokens that are JWTs for it, at an issuer with pairwise subjects.
func TestSignIn_Example(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "oidc.exe") // the suffix is needed on one system and harmless on the others
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir = filepath.Join("..", "..", "examples", "oidc")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building examples/oidc: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	port, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close() })
	listen := port.Addr()
	base, as := "http://"+listen, world.apart
	client := as.register(t, oidcClient{Auth: "client_secret_basic", Name: "Connect page", RedirectURIs: []string{base + "/connect/signed-in"}, GrantTypes: byRedirect})

	// It says where browsers come back to from the service only when it runs, which is what a client is registered
	// with: it is started twice, as people do who set it up.
	redirectURI := ""
	start := func(service string, more ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, binary, append([]string{
			"-public-url", base, "-listen", listen, "-issuer", as.Issuer, "-client-id", client.ID, "-service-client-id", service, "-api", as.api.URL,
		}, more...)...)
		inOwnGroup(cmd)
		cmd.Env = append(os.Environ(), "OIDC_CLIENT_SECRET="+client.Secret)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		buffer := make([]byte, 1<<10)
		for !strings.Contains(said.String(), "listens ") {
			n, err := out.Read(buffer)
			said.Write(buffer[:n])
			if err != nil {
				break
			}
		}
		redirectURI = ""
		for line := range strings.Lines(said.String()) {
			if rest, ok := strings.CutPrefix(line, "service"); ok {
				redirectURI = strings.TrimSpace(rest)
			}
		}
		stop := func() {
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait() // how it ended is not the point
		}
		switch {
		case redirectURI == "":
			stop()
			t.Logf("it ended: %s", stderr.String())
			if !strings.Contains(stderr.String(), "another subject for the same person") {
				t.Errorf("it does not say why")
			}
		case service == "none-yet":
			stop()
		default:
			t.Cleanup(stop)
		}
	}
	start("none-yet")
	if redirectURI != "" {
		t.Fatal("compared by subject it starts")
	}
	byClaim := []string{"-identity", "claim:employee_id"}
	start("none-yet", byClaim...)
	notes := as.register(t, oidcClient{Auth: "none", Name: "Notes", RedirectURIs: []string{redirectURI}, GrantTypes: byRedirect})
	start(notes.ID, byClaim...)

	e := &entrance{T: t, ctx: ctx, as: as, base: base, hosts: as.register(t, hostClient), endpoint: as.endpoints(t)}
	ada, eve := newPerson("ada-of-the-example"), newPerson("eve-of-the-example")
	for name, token := range map[string]*oauth2.Token{
		"another server's":  e.bearer(ada, "mcp", oauth2.SetAuthURLParam("resource", "https://other.example/mcp")),
		"no server's":       e.bearer(ada, "openid profile"),
		"somebody's ID":     {AccessToken: e.bearer(ada, "openid").Extra("id_token").(string)},
		"no token's at all": {AccessToken: "x"},
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/mcp", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token.AccessToken)
		res, err := direct.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s token: %s", name, res.Status)
		}
	}
	c := e.callsWith(e.bearer(ada, "mcp", oauth2.SetAuthURLParam("resource", base+"/mcp")), modern)
	c.is(c.goes(eve, c.at(eve, c.link, "signed-out", http.StatusForbidden), ""), "foreign", http.StatusForbidden)
	ada.changeBrowser()
	c.passes(ada)
}
