package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// points are where a replica can be made to die, or to stand still: before and after each step of the store on what
// people have, and each request. What is between two of them is what cannot be undone. What a process does to its own
// rows as it starts is none of them.
var (
	storePoints   = around("begin", "write", "start") // of an attempt, of what came of it, of a handler
	requestPoints = around("request", "handler")      // to the token endpoint, and by a handler in its middle to the API
	forwardPoints = around("forward")                 // to another replica
	points        = slices.Concat(storePoints, requestPoints, forwardPoints)
)

func around(steps ...string) (all []string) {
	for _, step := range steps {
		all = append(all, before+step, after+step)
	}
	return all
}

const (
	before = "before "
	after  = "after "
	// stops is in front of a point at which the process is not to die, but to stand still, once.
	stops = "stop "
)

// nameHeader says to the journal which process sends a request.
const nameHeader = "Demo-Replica"

// sentHeader says when, by the clock of this machine: what arrives after its sender has given it up was
// on its way for longer than anything here can know of.
const sentHeader = "Demo-Sent"

// named is a transport that says which process it is of.
type named struct {
	name string
	next http.RoundTripper
}

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(nameHeader, n.name)
	r.Header.Set(sentHeader, strconv.FormatInt(time.Now().UnixMilli(), 10))
	return n.next.RoundTrip(r)
}

// standing is the one time that the process stands still, for all who come to the point within gatherWait.
var standing sync.Once

const gatherWait = 200 * time.Millisecond

// die ends the process as a power cut does, or stops it as a laptop that is closed does, if this is where
// it is to. It reports whether it stood still.
func die(at, here string) (stood bool) {
	switch at {
	case here:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case stops + here:
		came := time.Now()
		standing.Do(func() { // the others wait
			time.Sleep(gatherWait)
			fmt.Println(stoppedLine)
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			time.Sleep(time.Second) // it takes effect when the kernel comes to it, and this goes on until then
		})
		return time.Since(came) > time.Second
	}
	return false
}

// What a replica tells on its standard output.
const (
	stoppedLine = "stopped"
	doubtLine   = "in doubt"
	wroteLine   = "wrote " // and the hash of what
	cameLine    = "came "  // and that of a token that a sign-in has brought, which is not a grant yet
)

// A dyingTransport dies before or after a request that is one of these steps; empty: it is none.
type dyingTransport struct {
	next  http.RoundTripper
	dieAt string
	step  func(*http.Request) string
}

func (t dyingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	step := t.step(r)
	die(t.dieAt, before+step)
	res, err := t.next.RoundTrip(r)
	die(t.dieAt, after+step)
	return res, err
}

func ofService(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		return "request"
	case strings.HasSuffix(r.URL.Path, "/notes"):
		return "handler"
	}
	return ""
}

func ofForwarder(*http.Request) string { return "forward" }

// A dyingStore dies before or after a step.
type dyingStore struct {
	store.Shared
	dieAt string
}

// These are the kinds of rows that are about people. The others a process writes as it starts.
const (
	recordKind = "record"
	markKind   = "mark"
)

func (s dyingStore) at(point, kind string, id store.ID) (stood bool) {
	return id.Kind == kind && die(s.dieAt, point)
}

func (s dyingStore) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	s.at(before+"begin", recordKind, id)
	row, fence, err := s.Shared.Begin(ctx, id, a)
	s.at(after+"begin", recordKind, id)
	return row, fence, err
}

func (s dyingStore) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	if s.at(before+"write", recordKind, id) { // it has left the process, and is late, which nobody waits for any more
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
		defer cancel()
		ctx = late
	}
	written, err := s.Shared.Write(ctx, id, fence, generation, c)
	s.at(after+"write", recordKind, id)
	return written, err
}

func (s dyingStore) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	s.at(before+"start", markKind, id)
	inserted, err := s.Shared.Insert(ctx, id, c)
	s.at(after+"start", markKind, id)
	return inserted, err
}

// A tellingStore tells which refresh tokens and codes are safe: those of records whose write has returned.
type tellingStore struct{ store.Store }

// Unwrap leads to what else the store can do.
func (s tellingStore) Unwrap() store.Store { return s.Store }

// These are in a record, of a grant or of a device flow, which may have brought a token.
var (
	refreshToken = regexp.MustCompile(`"refresh":"([^"]+)"`)
	codeShown    = regexp.MustCompile(`"user_code":"([^"]+)"`)
)

// Update implements [store.Store].
func (s tellingStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	var written []byte
	err := s.Store.Update(ctx, key, func(old []byte) (record []byte, err error) {
		record, err = change(old)
		written = record
		return record, err
	})
	if err != nil {
		return err
	}
	line := wroteLine
	if code := codeShown.FindSubmatch(written); code != nil {
		fmt.Println(wroteLine + told(string(code[1])))
		line = cameLine
	}
	if token := refreshToken.FindSubmatch(written); token != nil {
		fmt.Println(line + told(string(token[1])))
	}
	return nil
}

// told is what is told of a credential in place of it.
func told(credential string) string {
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:])
}
