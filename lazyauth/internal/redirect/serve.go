package redirect

import (
	"context"
	"crypto/sha256"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	headerTime = 5 * time.Second  // until a request's head is there
	readTime   = 10 * time.Second // until it is there as a whole
	writeTime  = 45 * time.Second // until it is answered
	pushTime   = 40 * time.Second // of that, for a request that is pushed first
	idleTime   = 10 * time.Second

	// maxHeader bounds a request's head. A browser sends the cookies of all that was ever
	// visited on this machine's loopback.
	maxHeader = 64 << 10

	// mostStarts is how often the start page begins a new attempt, and mostRetired how many attempts before
	// the current one are remembered, to tell their windows what has become of them.
	mostStarts  = 50
	mostRetired = 8

	// doneTime is how long the last page is held back until it can say how the sign-in ended. After that
	// it says that it is under way, and loads itself again.
	doneTime = 4 * time.Second
)

func newServer(ctx context.Context, a *Authorization) *http.Server {
	return &http.Server{
		Handler:                      a,
		ReadHeaderTimeout:            headerTime,
		ReadTimeout:                  readTime,
		WriteTimeout:                 writeTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // it quotes what anybody sends
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // on the goroutine of Serve, which is waited for, too
				a.served.Add(1)
			case http.StateClosed:
				a.served.Done()
			}
		},
	}
}

// ServeHTTP answers the callback, the start page and the last page. Everything else is refused without an
// effect: other methods, names of this machine that are not the redirect URI's, and what a page
// loads or sends, rather than a person's browser shows.
func (a *Authorization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	nonce, isStart := strings.CutPrefix(path, startPrefix)
	switch {
	case !isHost(r.Host, a.flow.target.host, a.port):
		a.show(w, nothing, http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		a.show(w, nothing, http.StatusMethodNotAllowed)
	case r.ContentLength != 0, !isNavigation(r.Header, "http://"+r.Host):
		a.show(w, nothing, http.StatusForbidden)
	case isStart && same(nonce, a.nonce):
		a.start(w, r)
	case path == a.flow.target.path:
		a.callback(w, r)
	case path == donePath:
		a.done(w, r)
	default:
		a.show(w, nothing, http.StatusNotFound)
	}
}

// isNavigation reports whether a browser loads the address in a window of its own, as far as it
// says (Fetch Metadata, RFC 6454 §7): not as part of a page, not in a frame, not ahead of time.
func isNavigation(h http.Header, own string) bool {
	only := func(name, value string) bool {
		list := h.Values(name)
		return len(list) == 0 || len(list) == 1 && strings.EqualFold(list[0], value)
	}
	return only("Origin", own) && only("Sec-Fetch-Mode", "navigate") && only("Sec-Fetch-Dest", "document") &&
		len(h.Values("Sec-Purpose")) == 0 && len(h.Values("Purpose")) == 0 && len(h.Values("X-Moz")) == 0
}

func (a *Authorization) startLink() string {
	return originOf(a.uri) + startPrefix + a.nonce
}

// originOf returns scheme, host and port of the redirect URI.
func originOf(uri string) string {
	rest := strings.TrimPrefix(uri, "http://")
	host, _, _ := strings.Cut(rest, "/")
	return "http://" + host
}

// start begins an attempt in this browser, in place of the one before, and sends it to the
// authorization server.
func (a *Authorization) start(w http.ResponseWriter, r *http.Request) {
	at := &attempt{state: newSecret(), verifier: newSecret(), cookie: newSecret()}
	a.mu.Lock()
	a.reached = true
	a.starts++
	over, often := a.over, a.starts > mostStarts
	a.mu.Unlock()
	switch {
	case over:
		a.show(w, ended, http.StatusGone)
		return
	case often:
		a.show(w, tooOften, http.StatusTooManyRequests)
		return
	}
	address := a.flow.address(a.form(at, true))
	if a.flow.endpoints.Features.PushedOnly {
		ctx, cancel := context.WithTimeout(r.Context(), pushTime)
		defer cancel()
		var err error
		if address, _, err = a.push(ctx, at); err != nil {
			a.tell(Event{What: PushFailed, Detail: detail(err)})
			a.show(w, unreachable, http.StatusBadGateway)
			return
		}
	}
	a.mu.Lock()
	if a.over {
		a.mu.Unlock()
		a.show(w, ended, http.StatusGone)
		return
	}
	a.retire()
	a.attempts = append(a.attempts, at)
	a.mu.Unlock()
	a.tell(Event{What: Started})
	a.setCookie(w, a.cookie, at.cookie, a.flow.target.path, time.Until(a.until))
	a.send(w, address)
}

// retire puts the attempts of start pages behind a new one; a.mu is held. That of a link that is
// shown stays, since others may be shown it.
func (a *Authorization) retire() {
	var begun []*attempt
	for _, at := range a.attempts {
		if at.cookie != "" {
			at.retired = true
			begun = append(begun, at)
		}
	}
	if len(begun) > mostRetired {
		a.attempts = slices.DeleteFunc(a.attempts, func(at *attempt) bool { return at == begun[0] })
	}
}

// callback takes the authorization response.
func (a *Authorization) callback(w http.ResponseWriter, r *http.Request) {
	got, ok := readAnswer(r.URL.RawQuery)
	if !ok {
		a.show(w, nothing, http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	at := a.find(got.state)
	if at != nil {
		a.reached = true
	}
	over := a.over
	a.mu.Unlock()
	cookie := ""
	if c, err := r.Cookie(a.cookie); err == nil {
		cookie = c.Value
	}
	endpoints := &a.flow.endpoints
	refuse := func(v view, status int, why string) {
		a.tellRefused(why)
		a.show(w, v, status)
	}
	isBrowser := at != nil && (at.cookie == "" || same(cookie, at.cookie))
	switch {
	case over && !isBrowser:
		a.show(w, ended, http.StatusGone)
	case at == nil:
		refuse(nothing, http.StatusBadRequest, "the state is not that of this sign-in")
	case !isBrowser:
		refuse(foreign, http.StatusForbidden, "the sign-in was begun in another browser, or this one keeps no cookies")
	case got.iss == "" && endpoints.Features.IssuerInResponse:
		refuse(mixedUp, http.StatusBadRequest, "the answer does not name its issuer, as the metadata promises (RFC 9207)")
	case got.iss != "" && endpoints.Issuer == "":
		refuse(mixedUp, http.StatusBadRequest, "the answer names an issuer, and none is configured to compare it with: "+quote(got.iss))
	case got.iss != "" && got.iss != endpoints.Issuer:
		refuse(mixedUp, http.StatusBadRequest, "the answer names another issuer (RFC 9207): "+quote(got.iss))
	default:
		a.submit(w, at, got)
	}
}

// find returns the attempt of a state; a.mu is held. It looks at all of them.
func (a *Authorization) find(state string) *attempt {
	var found *attempt
	for _, at := range a.attempts {
		if same(state, at.state) {
			found = at
		}
	}
	return found
}

// submit hands what a browser brought to Wait, unless it was brought before, and sends the browser on to the
// last page, so that nothing of it stays in the address.
func (a *Authorization) submit(w http.ResponseWriter, at *attempt, got answer) {
	a.mu.Lock()
	key := sha256.Sum256([]byte(got.code + "\x00" + got.error))
	s := a.codes[key]
	v, status := ended, http.StatusGone
	if s == nil {
		switch {
		case a.granted:
			v = already
		case a.over:
		case at.retired:
			v = newer
		case len(a.codes) >= mostRefused+1:
			v = tooOften
		default:
			s = &submission{attempt: at, code: got.code, ticket: newSecret(), settled: make(chan struct{})}
			if got.code == "" {
				s.failure = got.failure()
			}
			a.codes[key], a.tickets[s.ticket] = s, s
			if s.failure == nil {
				a.tell(Event{What: Came})
			}
			a.arrived <- s // there is room for all of them
		}
	}
	a.mu.Unlock()
	if s == nil {
		a.show(w, v, status)
		return
	}
	a.setCookie(w, a.ticket, s.ticket, donePath, linger+a.life())
	a.send(w, originOf(a.uri)+donePath)
}

// life is how long the sign-in may last from now.
func (a *Authorization) life() time.Duration { return max(0, time.Until(a.until)) }

// done says how the sign-in ended that this browser brought an answer for. Others are told nothing: the
// account is nobody else's business.
func (a *Authorization) done(w http.ResponseWriter, r *http.Request) {
	var s *submission
	if c, err := r.Cookie(a.ticket); err == nil {
		a.mu.Lock()
		s = a.tickets[c.Value]
		a.mu.Unlock()
	}
	if s == nil {
		a.show(w, nothing, http.StatusNotFound)
		return
	}
	timer := time.NewTimer(doneTime)
	defer timer.Stop()
	for _, step := range []<-chan struct{}{s.settled, a.finished} {
		select {
		case <-step:
		case <-timer.C:
			a.show(w, working, http.StatusOK)
			return
		case <-r.Context().Done():
			return
		}
		if v, ok := viewOf[s.verdict]; ok {
			a.show(w, v, http.StatusOK)
			return
		}
	}
	if a.outcome.Failed {
		a.show(w, unfinished, http.StatusOK)
		return
	}
	a.show(w, signedIn, http.StatusOK)
}

// viewOf says how the last page tells what came of what a browser brought, unless it was accepted.
var viewOf = map[verdict]view{
	refused: again, lost: again, denied: refusedByPerson, failed: unfinished, late: ended,
}

func (a *Authorization) setCookie(w http.ResponseWriter, name, value, path string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // there is no https on loopback, and so no Secure
		Name: name, Value: value, Path: path, MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// send sends the browser on.
func (a *Authorization) send(w http.ResponseWriter, address string) {
	dress(w.Header())
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
