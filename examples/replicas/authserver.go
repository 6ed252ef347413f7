package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// A note is what a tool call adds, and the API is sent.
type note struct {
	Text string `json:"text"`
}

// A journal is what an authorization server and an API have seen of the replicas. It is what the
// figures are taken from: a replica that is killed tells nothing.
type journal struct {
	alive func(name string) bool // whether a process runs, and has not been stopped since

	mu         sync.Mutex
	presented  map[[sha256.Size]byte]*presentation // refresh tokens and authorization codes
	polling    map[[sha256.Size]byte]string        // device codes, while a poll is answered
	concurrent []string                            // how a credential was presented by two processes that live
	late       int                                 // credentials that were on their way for longer than their senders waited
	again      int                                 // credentials presented once more, after whoever did before was dead
	notes      map[string]int
	begun      sync.Map // slow notes, by their texts
}

// A presentation is one of a credential that is good once.
type presentation struct {
	by string
	at time.Time
}

// An authServer is the authorization server, with its journal in front.
type authServer struct {
	*fakeas.Server
	*journal
	url  string
	http *http.Server
}

// tokenLife is short, so that there are many refreshes.
const tokenLife = 3 * time.Second

func startAuthServer(ctx context.Context, public string, alive func(string) bool, users []string) (*authServer, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := "http://" + listener.Addr().String()
	var people []fakeas.Person
	for _, user := range users {
		people = append(people, fakeas.Person{Subject: user, Name: strings.ToUpper(user[:1]) + user[1:]})
	}
	as := fakeas.New(&fakeas.Options{
		Issuer: at, Interval: time.Second, TokenLifetime: tokenLife, DetectReuse: true, Latency: 20 * time.Millisecond, People: people,
		Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, RedirectURIs: []string{public + server.ConnectPath + "/callback"}, RedirectBelow: true}},
	})
	s := &authServer{Server: as, url: at, journal: &journal{
		alive: alive, presented: map[[sha256.Size]byte]*presentation{}, polling: map[[sha256.Size]byte]string{}, notes: map[string]int{},
	}}
	s.http = &http.Server{Handler: s.journal.before(as), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }() // until it is closed
	return s, nil
}

// before notes what a request presents, and has next answer it.
func (j *journal) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case strings.HasSuffix(r.URL.Path, "/token"):
			if form, err := url.ParseQuery(string(body)); err == nil {
				defer j.presents(r.Header.Get(nameHeader), isLate(r.Header.Get(sentHeader)), form)()
			}
		case strings.HasSuffix(r.URL.Path, "/notes"):
			var n note
			answer := &answered{ResponseWriter: w}
			if w = answer; json.Unmarshal(body, &n) == nil {
				j.takesItsTime(n.Text)
				defer func() {
					if answer.status == http.StatusCreated || answer.status == http.StatusOK {
						j.mu.Lock()
						defer j.mu.Unlock()
						j.notes[n.Text]++
					}
				}()
			}
		}
		next.ServeHTTP(w, r)
	})
}

// answered knows what was answered.
type answered struct {
	http.ResponseWriter
	status int
}

func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// presents notes that a process presents a credential, and returns what is to be called when it has its
// answer.
func (j *journal) presents(by string, late bool, form url.Values) (answered func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if late {
		j.late++
		return func() {}
	}
	if code := form.Get("device_code"); code != "" {
		sum := sha256.Sum256([]byte(code))
		if other := j.polling[sum]; other != "" && other != by && j.alive(other) {
			j.concurrent = append(j.concurrent, fmt.Sprintf("a device code by %s, whose poll is being answered, and by %s", other, by))
		}
		j.polling[sum] = by
		return func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			if j.polling[sum] == by {
				delete(j.polling, sum)
			}
		}
	}
	credential := form.Get("refresh_token") + form.Get("code")
	if credential == "" {
		return func() {}
	}
	sum := sha256.Sum256([]byte(credential))
	before := j.presented[sum]
	switch {
	case before == nil:
	case before.by != by && j.alive(before.by):
		j.concurrent = append(j.concurrent, fmt.Sprintf("a %s by %s, %v ago, and by %s", form.Get("grant_type"), before.by, time.Since(before.at).Round(time.Millisecond), by))
	default:
		j.again++
	}
	j.presented[sum] = &presentation{by, time.Now()}
	return func() {}
}

// isLate reports whether a request was on its way for longer than its sender waits for an answer.
func isLate(sent string) bool {
	at, err := strconv.ParseInt(sent, 10, 64)
	return err == nil && time.Since(time.UnixMilli(at)) > bound
}

// figures are what the journal says in the end.
func (j *journal) figures() (concurrent []string, again, doubleRuns, runs int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range j.notes {
		runs += n
		if n > 1 {
			doubleRuns++
		}
	}
	return slices.Clone(j.concurrent), j.again, doubleRuns, runs
}

func (j *journal) arrivedLate() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.late
}

// ran returns how often a handler has created this note.
func (j *journal) ran(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.notes[text]
}
