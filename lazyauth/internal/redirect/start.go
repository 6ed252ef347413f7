package redirect

import (
	"context"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"net/http"
	"slices"
	"time"
)

const (
	// mostStarts is how often the start page begins a new attempt, and mostRetired how many
	// attempts before the current one are remembered, to tell their windows what has become of
	// them.
	mostStarts  = 50
	mostRetired = 8

	// pushTime is how long a request that is pushed first may take, within writeTime.
	pushTime = 40 * time.Second
)

func (a *Authorization) startLink() string {
	return a.flow.target.origin(a.port) + startPrefix + a.nonce
}

// start begins an attempt in this browser, in place of the one before, and sends it to the
// authorization server.
func (a *Authorization) start(w http.ResponseWriter, r *http.Request) {
	at := &attempt{state: authcode.NewSecret(), verifier: authcode.NewSecret(), cookie: authcode.NewSecret()}
	a.mu.Lock()
	a.reach()
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
		defer keep(r)()
		var err error
		if address, _, err = a.push(ctx, at); err != nil {
			a.tell(authcode.Event{What: authcode.PushFailed, Detail: authcode.Detail(err)})
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
	a.tell(authcode.Event{What: authcode.Started})
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
