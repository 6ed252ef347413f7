package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
)

// A note is what a tool call adds, and the API is sent.
type note struct {
	Text string `json:"text"`
}

// An authServer is the authorization server and the API, with a journal in front.
type authServer struct {
	*fakeas.Server
	*journal
	url      string
	http     *http.Server
	slowOnes atomic.Int64 // one request of so many is answered slowly
}

const (
	// tokenLife is how long clients are told that a token lives: not long, so that there are many refreshes. It lives for
	// longer: whoever finishes a sign-in that a dead process has begun to store has to find out whose the token is.
	tokenLife = 3 * time.Second
	reallyFor = 5 * time.Minute
	// slowAnswer is how long the token endpoint takes to answer one request of slowUsually: long, and not too long.
	slowAnswer  = bound * 3 / 5
	slowUsually = 8
	slowAlways  = 1
	slowNever   = 1 << 30
)

func startAuthServer(ctx context.Context, public string, alive, stood func(string) bool, users []string) (*authServer, error) {
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
		Issuer: at, Interval: time.Second, TokenLifetime: reallyFor, DetectReuse: true, Latency: 20 * time.Millisecond, People: people,
		Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, RedirectURIs: []string{public + server.ConnectPath + "/callback"}, RedirectBelow: true}},
	})
	s := &authServer{Server: as, url: at, journal: newJournal(alive, stood)}
	s.slowOnes.Store(slowNever)
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }() // until it is closed
	return s, nil
}

// ServeHTTP notes in the journal what a request presents, and what it is given for it.
func (s *authServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.Server.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	if err != nil {
		return
	}
	r = r.WithContext(context.WithoutCancel(r.Context())) // whoever has died meanwhile: what was presented is used up
	r.Body = io.NopCloser(bytes.NewReader(body))
	began := time.Now()
	by, answer := r.Header.Get(nameHeader), &heard{ResponseWriter: w, status: http.StatusOK}
	defer answer.sends()
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		if form, err := url.ParseQuery(string(body)); err == nil {
			answered := s.presents(by, isLate(r.Header.Get(sentHeader)), form)
			defer answered()
		}
		if upTo(int(s.slowOnes.Load())) == 0 {
			time.Sleep(slowAnswer)
		}
		s.Server.ServeHTTP(answer, r)
		s.given(answer, by, time.Since(began))
	case strings.HasSuffix(r.URL.Path, "/device_authorization"):
		s.Server.ServeHTTP(answer, r)
		var issued struct {
			Code string `json:"user_code"`
		}
		if json.Unmarshal(answer.body, &issued) == nil {
			s.begins(issued.Code, by)
		}
	case strings.HasSuffix(r.URL.Path, "/notes"):
		var n note
		understood := json.Unmarshal(body, &n) == nil
		s.takesItsTime(n.Text)
		s.Server.ServeHTTP(answer, r)
		if understood && answer.status/100 == 2 {
			s.adds(n.Text, by)
		}
	default:
		s.Server.ServeHTTP(answer, r)
	}
}

// given notes the token in an answer, if there is one, and what the client is told of its life.
func (s *authServer) given(answer *heard, by string, took time.Duration) {
	var token map[string]any
	if answer.status != http.StatusOK || json.Unmarshal(answer.body, &token) != nil {
		return
	}
	access, _ := token["access_token"].(string)
	refresh, _ := token["refresh_token"].(string)
	about, ok := s.Introspect(access)
	if !ok {
		return
	}
	s.issues(about.Subject, refresh, by)
	token["expires_in"] = int((took + tokenLife).Seconds()) // which clients count from when they asked
	if text, err := json.Marshal(token); err == nil {
		answer.body = text
	}
}

// heard is an answer that is looked at before it is sent.
type heard struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (h *heard) WriteHeader(status int) { h.status = status }

func (h *heard) Write(text []byte) (int, error) {
	h.body = append(h.body, text...)
	return len(text), nil
}

func (h *heard) sends() {
	h.Header().Del("Content-Length")
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body) // whoever asked may have died
}
