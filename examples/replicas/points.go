package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// points are where a replica can be made to die: before and after each step of the store, and before
// and after each request to the token endpoint. What is between two of them is what cannot be undone.
var (
	requestPoints = []string{"before request", "after request"}
	points        = append([]string{"before begin", "after begin", "before write", "after write", "before insert", "after insert"}, requestPoints...)
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

// stops is in front of a point at which the process is not to die, but to stand still, once.
const stops = "stop "

var stopped atomic.Bool

// die ends the process as a power cut does, or stops it as a laptop that is closed does, if this is where
// it is to.
func die(at, here string) {
	switch at {
	case here:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case stops + here:
		if !stopped.Swap(true) {
			fmt.Println(stoppedLine)
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
	}
}

// What a replica tells on its standard output.
const (
	stoppedLine = "stopped"
	doubtLine   = "in doubt"
)

// A dyingTransport dies before or after a request to the token endpoint.
type dyingTransport struct {
	next  http.RoundTripper
	dieAt string
}

func (t dyingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		return t.next.RoundTrip(r)
	}
	die(t.dieAt, "before request")
	res, err := t.next.RoundTrip(r)
	die(t.dieAt, "after request")
	return res, err
}

// A dyingStore dies before or after a step.
type dyingStore struct {
	store.Shared
	dieAt string
}

func (s dyingStore) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	die(s.dieAt, "before begin")
	row, fence, err := s.Shared.Begin(ctx, id, a)
	die(s.dieAt, "after begin")
	return row, fence, err
}

func (s dyingStore) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	die(s.dieAt, "before write")
	written, err := s.Shared.Write(ctx, id, fence, generation, c)
	die(s.dieAt, "after write")
	return written, err
}

func (s dyingStore) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	die(s.dieAt, "before insert")
	inserted, err := s.Shared.Insert(ctx, id, c)
	die(s.dieAt, "after insert")
	return inserted, err
}
