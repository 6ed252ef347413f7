package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// step is a command of docs/http.md and what it prints.
var step = regexp.MustCompile("(?s)```sh\n(.*?)```\n\n```text\n(.*?)```")

// blanks are what cannot be seen at the end of a line.
var blanks = regexp.MustCompile("[ \t\r]+\n")

// The conversation in docs/http.md is run as it is written, by a shell and curl,
// and must go as it says.
func TestTheConversationInTheDocumentation(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test runs %s, which is not installed", program)
		}
	}
	doc, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := step.FindAllStringSubmatch(string(doc), -1)
	if n := strings.Count(string(doc), "```sh\n"); len(steps) != n || n != 6 {
		t.Fatalf("%d steps, %d of them with what they print; want 6", n, len(steps))
	}
	w := started(t, "-demo-users", "ada,eve")
	here := strings.NewReplacer("http://127.0.0.1:8080", w.base, "127.0.0.1:9070", strings.TrimPrefix(w.as.Issuer(), "http://"))
	// The steps in which a call waits, and what has happened by then.
	byThen := map[int]struct {
		calls   int
		printed string
	}{2: {2, ""}, 4: {3, "answered"}}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()

	for n, step := range steps {
		printed, err := os.Create(filepath.Join(dir, "printed"))
		if err != nil {
			t.Fatal(err)
		}
		said := func() string {
			text, err := os.ReadFile(printed.Name())
			if err != nil {
				t.Fatal(err)
			}
			return blanks.ReplaceAllString(string(text), "\n")
		}
		command := exec.CommandContext(ctx, "sh", "-e", "-c", here.Replace(step[1]))
		command.Dir, command.WaitDelay = dir, enough
		var complaints bytes.Buffer
		command.Stdout, command.Stderr = printed, &complaints
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if by, waits := byThen[n]; waits { // the person does their part
			w.until("the call waits", func() bool {
				return w.counters()["waiting"] >= by.calls && strings.Contains(said(), by.printed)
			})
			request := w.request()
			if err := fakeas.Visit(ctx, nil, request.VerificationURI, request.UserCode, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := command.Wait(); err != nil {
			t.Errorf("%v: %s", err, complaints.String())
		}
		got, want := strings.TrimSpace(said()), strings.TrimSpace(here.Replace(step[2]))
		if !regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$").MatchString(got) {
			t.Errorf("step %d\n%s\nprints\n%s\nwant\n%s", n+1, step[1], got, want)
		}
		printed.Close()
	}
}

func TestTheCommandInTheHelp(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?s)  curl .*?\}'\n`).FindString(help)
	w := started(t, "-demo-users", "ada,eve")
	command := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.ReplaceAll(line, "http://127.0.0.1:8080", w.base))
	answer, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(answer), w.request().UserCode) {
		t.Errorf("%s\nprints %s, %v; want link and code", line, answer, err)
	}
}

// block returns the first block of docs/http.md in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```"+language+"\n")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("there is no block of %s", language)
	}
	return text
}

// The service that is shown starts this program, with the variables that are named beside it.
func TestTheServiceInTheDocumentation(t *testing.T) {
	unit := strings.ReplaceAll(block(t, "ini"), "\\\n", " ")
	line := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(unit)
	if line == nil {
		t.Fatal("it starts nothing")
	}
	args := strings.Fields(line[1])[1:]
	for n, arg := range args {
		if args[max(n-1, 0)] == "-store" {
			if folder, _, _ := strings.Cut(strings.TrimPrefix(arg, "/var/lib/"), "/"); !strings.Contains(unit, "StateDirectory="+folder+"\n") {
				t.Errorf("%s is not a folder of the service", arg)
			}
			args[n] = t.TempDir()
		}
	}
	variables := map[string]string{clientSecretVariable: "s", introspectionSecretVariable: "s", storeKeyVariable: storeKey}
	cfg, err := parseFlags(args, func(name string) string { return variables[name] })
	if err != nil || cfg.PublicURL != "https://mcp.example.com" {
		t.Errorf("%+v, %v", cfg, err)
	}
	doc, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range variables {
		if !strings.Contains(string(doc), name) {
			t.Errorf("%s is not named", name)
		}
	}
}

// The proxies that are shown lead to where this program listens, wait for as long as calls wait, and
// log nothing that belongs to a sign-in.
func TestTheProxiesInTheDocumentation(t *testing.T) {
	nginx, caddy := block(t, "nginx"), block(t, "caddyfile")
	cfg, err := parseFlags(with("-demo-users", "ada"), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nginx": nginx, "caddy": caddy} {
		if !strings.Contains(text, cfg.Listen) {
			t.Errorf("%s does not lead to %s", name, cfg.Listen)
		}
	}
	longest := time.Duration(0)
	for _, host := range cfg.hosts() {
		longest = max(longest, host.MaxWait, host.MaxWaitWithProgress)
	}
	found := regexp.MustCompile(`proxy_read_timeout (\d+s);`).FindStringSubmatch(nginx)
	if found == nil {
		t.Fatal("nginx waits for 60 s")
	}
	if wait, err := time.ParseDuration(found[1]); err != nil || wait <= longest {
		t.Errorf("nginx waits for %v, and calls for %v", wait, longest)
	}
	format := regexp.MustCompile(`log_format (\w+) '([^']*)'`).FindStringSubmatch(nginx)
	if format == nil || !strings.Contains(nginx, "access_log /var/log/nginx/mcp.log "+format[1]+";") {
		t.Fatal("nginx logs by its usual format")
	}
	for variable := range strings.FieldsFuncSeq(format[2], func(r rune) bool { return !strings.ContainsRune("$_abcdefghijklmnopqrstuvwxyz", r) }) {
		switch variable {
		case "$request", "$request_uri", "$args", "$query_string", "$http_referer", "$is_args", "$http_cookie":
			t.Errorf("%s has f, code or state in it", variable)
		}
	}
	if !strings.Contains(format[2], "$uri") || !strings.Contains(nginx, "proxy_buffering off;") || !strings.Contains(nginx, "X-Forwarded-For $proxy_add_x_forwarded_for;") {
		t.Errorf("nginx: %s", nginx)
	}
}
