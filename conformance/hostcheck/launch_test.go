package hostcheck_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// What a host is told: in its arguments, its environment and its configuration.
func TestLaunch_WhatAHostIsTold(t *testing.T) {
	_, seen := badHost(t, "dump", hostcheck.Config{
		Timeout:    patience,
		Host:       []string{"{tool}", "--at={server}", "{scenario}/{protocol}/{transport}", "{server}", "{arguments}", "{config}"},
		Transports: []string{hostcheck.HTTP},
		Template:   `{"mcpServers": {{json .Task.Server.Name}}, "url": {{json .URL}}}`, TemplateName: "sub/settings.json",
	})
	one := func(key string) string {
		if len(seen[key]) != 1 {
			t.Fatalf("%s: %q", key, seen[key])
		}
		return seen[key][0]
	}
	address := one("URL")
	want := []string{"notes_search", "--at=" + address, "advertising/2026-07-28/http", address}
	args := seen["arg"]
	if len(args) != 6 {
		t.Fatalf("arguments: %q", args)
	}
	for i, w := range want {
		if args[i] != w {
			t.Errorf("argument %d is %q, not %q", i, args[i], w)
		}
	}
	if !strings.Contains(args[4], `"call":"first"`) || !strings.HasSuffix(args[5], filepath.FromSlash("sub/settings.json")) {
		t.Errorf("arguments: %q", args)
	}
	if got := one("config"); got != `{"mcpServers": "hostcheck", "url": "`+address+`"}` {
		t.Errorf("the configuration file is %s", got)
	}
	if one("SCENARIO") != "advertising" || one("PROTOCOL") != hostcheck.Modern || one("COMMAND") != "" ||
		!strings.Contains(one("TASK"), address) || !strings.HasPrefix(one("CONTROL"), "http://127.0.0.1:") {
		t.Errorf("the environment says %q", seen)
	}
	// Nothing serves by now, though the ports may be others' already.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, one("CONTROL")+"/task", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Errorf("%s is still there", one("CONTROL"))
		}
	}
}

// The command line of a stdio server is several arguments where it stands
// alone, and quoted for a shell elsewhere.
func TestLaunch_ServerCommandInArguments(t *testing.T) {
	_, seen := badHost(t, "dump", hostcheck.Config{
		Timeout: patience,
		Host:    []string{"{server}", "run {server}"}, Stub: []string{"/opt/it's here/hostcheck", "stub"},
	})
	args := seen["arg"]
	if len(args) != 5 || args[0] != "/opt/it's here/hostcheck" || args[1] != "stub" || args[2] != "--control" {
		t.Fatalf("arguments: %q", args)
	}
	if want := `run '/opt/it'\''s here/hostcheck' 'stub' '--control' '` + args[3] + `'`; args[4] != want {
		t.Errorf("the last argument is %s, not %s", args[4], want)
	}
}
