package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// These say how much comes in each flood, and how much of it in a second.
	manyVariable = "LAZYAUTH_FLOOD"
	rateVariable = "LAZYAUTH_FLOOD_RATE"
	usualFlood   = 250
	usualRate    = 200

	quietCalls = 300
	mostMemory = 256 // MiB, at its peak

	// With -short, where nobody reads the figures.
	shortFlood = 50
	shortQuiet = 50
)

// BenchmarkFloods has this program, as a process of its own, flooded in each of the ways in which
// callers could have it hold much, and reports what it held at its peak (MiB-peak, beyond the
// limit of which it fails), and how long the calls of somebody else took, in parts of what they
// took before the flood (x-quiet, their mean; x-quiet-p99). The flood comes from another process
// and many addresses, at a steady rate.
func BenchmarkFloods(b *testing.B) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		b.Skip("the peak is read from /proc")
	}
	usual, before := usualFlood, quietCalls
	if testing.Short() {
		usual, before = shortFlood, shortQuiet
	}
	many, perSecond := number(b, manyVariable, usual), number(b, rateVariable, usualRate)
	for _, kind := range slices.Sorted(maps.Keys(floods)) {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				p := besiege(b, floods[kind].flags...)
				quiet := p.calls(func(n int) bool { return n == before })
				f := p.flooded(b, kind, many, perSecond)
				meanwhile := p.calls(func(int) bool { return f.isOver() })
				peak := p.peak(b)
				b.ReportMetric(peak, "MiB-peak")
				b.ReportMetric(mean(meanwhile)/mean(quiet), "x-quiet")
				b.ReportMetric(centile(meanwhile, 99)/centile(quiet, 99), "x-quiet-p99")
				b.ReportMetric(mean(quiet)*1000, "ms-quiet")
				b.ReportMetric(float64(many)/f.took.Seconds(), "/s")
				b.Logf("%d calls of somebody else's meanwhile; the flood was answered %v", len(meanwhile), f.answers(b))
				if peak > mostMemory {
					b.Errorf("%.0f MiB at its peak, want %d at most", peak, mostMemory)
				}
				p.end()
			}
		})
	}
}

// number returns what a variable says, or the usual number.
func number(b *testing.B, variable string, usual int) int {
	b.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		b.Fatalf("%s is %q", variable, text)
	}
	return n
}

func mean(all []time.Duration) float64 {
	var sum time.Duration
	for _, one := range all {
		sum += one
	}
	return sum.Seconds() / float64(len(all))
}

func centile(all []time.Duration, percent int) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*percent/100].Seconds()
}

// A besieged program is this one, with an authorization server and an API of the benchmark's,
// and with somebody who is signed in and calls.
type besieged struct {
	b       *testing.B
	address string
	program *exec.Cmd
	call    func() error
}

func besiege(b *testing.B, flags ...string) *besieged {
	b.Helper()
	as := httptest.NewUnstartedServer(nil)
	b.Cleanup(as.Close)
	p := &besieged{b: b}
	issuer := "http://" + as.Listener.Addr().String()
	fake := fakeas.New(&fakeas.Options{
		Issuer: issuer, Interval: time.Second, TokenLifetime: 2 * time.Hour,
		Clients: []fakeas.Client{{ID: "notes", Secret: clientKey, RedirectURIs: []string{"http://127.0.0.1/connect/callback"}, RedirectBelow: true}},
	})
	var isSignedIn atomic.Bool
	as.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/introspect" { // every name is a token
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{
				"active": true, "sub": r.PostFormValue("token"), "aud": "http://" + p.address, "exp": time.Now().Add(time.Hour).Unix(),
			})
			return
		}
		if !isSignedIn.Load() {
			fake.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder() // the flood's codes are polled as usual, and not as fast as the other person's
		fake.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_, _ = io.WriteString(w, strings.Replace(answer.Body.String(), `"interval":1,`, `"interval":5,`, 1))
	})
	as.Start()
	args := append([]string{"-issuer", issuer, "-client-id", "notes", "-api", issuer, "-log", os.DevNull, "-debug", "127.0.0.1:0"}, flags...)
	if !slices.Contains(flags, "-demo-users") {
		args = append(args, "-introspection-url", issuer+"/introspect", "-introspection-id", introID)
	}
	p.start(args)

	client := mcp.NewClient(&mcp.Implementation{Name: "somebody else's", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if strings.Contains(req.Params.URL, server.ConnectPath) {
				visits(b, "http://"+p.address, "ada").connects(fake, "ada", req.Params.URL)
				return &mcp.ElicitResult{Action: "accept"}, nil
			}
			request, err := fake.WaitForRequest(ctx)
			if err != nil {
				return nil, err
			}
			return &mcp.ElicitResult{Action: "accept"}, fake.ApproveAs("ada", request.UserCode)
		},
	})
	session, err := client.Connect(b.Context(), &mcp.StreamableClientTransport{
		Endpoint: "http://" + p.address + server.ModernPath, HTTPClient: &http.Client{Transport: bearing("ada")},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	p.call = func() error {
		result, err := session.CallTool(b.Context(), &mcp.CallToolParams{Name: "whoami"})
		if err == nil && result.IsError {
			err = errors.New(hosttest.Text(result))
		}
		return err
	}
	if err := p.call(); err != nil { // and sign in
		b.Fatal(err)
	}
	isSignedIn.Store(true)
	return p
}

// start starts the program, and returns when it listens.
func (p *besieged) start(args []string) {
	p.b.Helper()
	program, _, said, stdout := listens(p.b, args, func(program *exec.Cmd) {
		program.Env = append(program.Env, clientSecretVariable+"="+clientKey, introspectionSecretVariable+"="+introKey, "GOMEMLIMIT=192MiB") // as it is deployed
	})
	p.program, p.address = program, said["listens on"]
	go func() { _, _ = io.Copy(io.Discard, stdout) }() // ends with the program
}

// end ends the program at once: it would finish what the flood has begun.
func (p *besieged) end() {
	_ = p.program.Process.Kill()
	_ = p.program.Wait() // it says that it was killed
}

// calls has the other person call until it is enough, and returns how long each call took.
func (p *besieged) calls(isEnough func(n int) bool) (took []time.Duration) {
	p.b.Helper()
	for len(took) == 0 || !isEnough(len(took)) {
		began := time.Now()
		if err := p.call(); err != nil {
			p.b.Fatalf("somebody else's call: %v", err)
		}
		took = append(took, time.Since(began))
	}
	return took
}

// peak returns what the program has held at most, in MiB.
func (p *besieged) peak(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.program.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatal("/proc does not say what it has held")
	return 0
}

// A flooding is a flood in progress: a process.
type flooding struct {
	out  bytes.Buffer
	over atomic.Bool
	err  error // once it is over
	took time.Duration
}

// flooded begins a flood of the program.
func (p *besieged) flooded(b *testing.B, kind string, many, perSecond int) *flooding {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	f, began := new(flooding), time.Now()
	cmd := exec.CommandContext(b.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %s", floodVariable, kind, many, perSecond, p.address))
	cmd.Stdout, cmd.Stderr = &f.out, os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		f.err = cmd.Wait()
		f.took = time.Since(began)
		f.over.Store(true)
	}()
	return f
}

func (f *flooding) isOver() bool { return f.over.Load() }

// answers returns how many requests were answered in which way, once it is over.
func (f *flooding) answers(b *testing.B) map[string]int {
	b.Helper()
	var answers map[string]int
	if err := errors.Join(f.err, json.Unmarshal(f.out.Bytes(), &answers)); err != nil {
		b.Fatal(err)
	}
	return answers
}
