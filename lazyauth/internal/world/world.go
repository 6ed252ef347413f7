package world

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The two eras of MCP: of the first a call blocks, of the second it is suspended.
const (
	Legacy = "2025-11-25"
	Modern = "2026-07-28"
)

// MaxState is the length of the longest requestState.
const MaxState = 16 << 10

// ResponseKey is the key of the host's answer to our prompt.
const ResponseKey = "authorization"

// Eras are both, for stories that are the same in each.
var Eras = []string{Legacy, Modern}

// InBothEras runs a story in virtual time, once in each era.
func InBothEras(t *testing.T, story func(t *testing.T, era string)) {
	t.Helper()
	for _, era := range Eras {
		t.Run(era, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story(t, era) })
		})
	}
}

// A World is everything in a story but the host: the authorization server with
// its API, and an MCP server with the tools of the examples. When the story
// ends it checks what must hold in each: the authorization server saw no
// violation, and no secret went where it must not go.
type World struct {
	T      *testing.T
	AS     *fakeas.Server
	Auth   *lazyauth.Interceptor
	Server *mcp.Server
	Trace  Events

	Wire Journal // what the server sent to hosts
	Log  Buffer
	Slog Buffer

	Counters lazyauth.Counters
	Secrets  Secrets
	errs     []string // texts of errors that programs saw

	Tolerated      []fakeas.Rule   // violations that the story is about
	CodesMayFollow lazyauth.Reason // in whose text codes may be, other than pending
	Mixed          bool            // eras in one session, of whose results the SDK gives the type by the session's

	mu      sync.Mutex
	started map[string]int // handlers started, by tool
	ended   map[string]int
}

// A Setup says what is unlike the default in a world.
type Setup struct {
	AS      fakeas.Options
	Shared  *fakeas.Server // instead of one with those options: another world's
	Service func(*lazyauth.Service)
	Options lazyauth.Options
	Tools   func(*World) // which to add; nil: those of AddTools
}

// New makes a world, and has it checked when the test ends.
func New(t *testing.T, s Setup) *World {
	t.Helper()
	as := s.Shared
	if as == nil {
		as = fakeas.New(&s.AS)
	}
	w := &World{T: t, AS: as, started: map[string]int{}, ended: map[string]int{}}
	service := lazyauth.Service{
		Name: "Notes", Issuer: w.AS.Issuer(), ClientID: fakeas.DefaultClientID,
		Scopes: scopes.Of("profile"), APIOrigins: []string{w.AS.API()},
	}
	if s.Service != nil {
		s.Service(&service)
	}
	if service.ClientSecret != "" {
		w.Secrets.Add(service.ClientSecret)
	}
	next := s.Options.Transport
	if next == nil {
		next = w.AS.Transport()
	}
	s.Options.Transport = w.Secrets.Listen(next)
	if len(s.Options.StateKeys) == 0 {
		s.Options.StateKeys = [][]byte{bytes.Repeat([]byte("canary-key-8byte"), 2)}
	}
	w.Secrets.Add("canary-key-8byte")
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&w.Log), zap.DebugLevel))
	plain := slog.New(slog.NewJSONHandler(&w.Slog, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Options.Trace = lazyauth.CombineTraces(w.Trace.trace(), lazyauth.ZapTrace(log), lazyauth.SlogTrace(plain), w.Counters.Trace(), s.Options.Trace)
	auth, err := lazyauth.New(service, &s.Options)
	if err != nil {
		t.Fatal(err)
	}
	w.Auth = auth
	w.Server = mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	if s.Tools != nil {
		s.Tools(w)
	} else {
		w.AddTools()
	}
	t.Cleanup(func() {
		if err := auth.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if inBubble() { // a call that Close ended may still say so
			synctest.Wait()
		}
		w.check()
	})
	return w
}

// Later lets virtual time pass. In real time, where there is always something to wait for, it
// panics.
func Later(d time.Duration) {
	if !inBubble() {
		panic("world.Later outside a synctest bubble")
	}
	time.Sleep(d)
}

// inBubble reports whether time is virtual: then it begins with the year 2000.
func inBubble() bool { return time.Now().Year() <= 2020 }
