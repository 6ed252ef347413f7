//go:build unix

package browser_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect/browser"
)

// A program that ends tells its status; one that does not is left alone, with nothing of ours.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	script := func(text string) string {
		name := filepath.Join(dir, "program")
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if err := browser.Run(t.Context(), script("exit 0"), "a b"); err != nil {
		t.Errorf("that ends: %v", err)
	}
	if err := browser.Run(t.Context(), script("exit 3")); err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("that fails: %v", err)
	}
	if err := browser.Run(t.Context(), script(`[ "$1" = "a b" ] && ! read -r line && echo out && echo err >&2`), "a b"); err != nil {
		t.Errorf("with its argument, and without input: %v", err)
	}
	note := filepath.Join(dir, "pid")
	began := time.Now()
	if err := browser.Run(t.Context(), script("echo $$ >"+note+"; exec sleep 600")); err != nil {
		t.Errorf("that stays: %v", err)
	}
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("waited %v", took)
	}
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it does not run any more: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := browser.Run(ctx, script("exit 0")); err == nil {
		t.Error("run with an ended context")
	}
}
