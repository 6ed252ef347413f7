package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/rotate"
)

// Without a server it says what it does not take, and no password.
func TestRun(t *testing.T) {
	environment := map[string]string{
		"DATABASE_URL": "mysql://lazyauth:hunter2@db/db", rotate.KeysVariable: base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")),
	}
	for _, args := range [][]string{nil, {"-url", "x"}, {environment["DATABASE_URL"]}, {"-format", "two"}} {
		var out strings.Builder
		err := rotate.Run(t.Context(), engine, args, func(name string) string { return environment[name] }, &out)
		if err == nil || strings.Contains(err.Error()+out.String(), "hunter2") {
			t.Errorf("%q: %v: %s", args, err, out.String())
		}
	}
	delete(environment, "DATABASE_URL")
	err := rotate.Run(t.Context(), engine, nil, func(name string) string { return environment[name] }, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL is empty") {
		t.Errorf("without a URL: %v", err)
	}
}
