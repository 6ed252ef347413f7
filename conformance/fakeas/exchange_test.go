package fakeas_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// pollUntil polls as a client should until the answer is not pending, and
// returns all answers.
func (p *peer) pollUntil(deviceCode string) (outcomes []string) {
	p.t.Helper()
	for interval := 5 * time.Second; ; {
		time.Sleep(interval)
		outcome := p.poll(deviceCode)
		outcomes = append(outcomes, outcome)
		switch outcome {
		case "authorization_pending":
		case "slow_down":
			interval += 5 * time.Second
		default:
			return outcomes
		}
	}
}

func TestExchange_Approved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		d := p.authorize("profile notes:read")
		if d.members["interval"] != 5.0 || d.members["expires_in"] != 600.0 ||
			d.text("verification_uri_complete") != d.text("verification_uri")+"?user_code="+d.text("user_code") {
			t.Errorf("device authorization: %s", d.body)
		}
		var outcomes []string
		var polling sync.WaitGroup
		polling.Go(func() { outcomes = p.pollUntil(d.text("device_code")) })
		time.Sleep(12 * time.Second)
		if err := p.as.Approve(strings.ToLower(d.text("user_code"))); err != nil {
			t.Fatal(err)
		}
		polling.Wait()
		wantOutcomes(t, outcomes, "authorization_pending", "authorization_pending", "ok")
		if err := p.as.Approve(d.text("user_code")); !errors.Is(err, fakeas.ErrNotWaiting) {
			t.Errorf("approved twice: %v", err)
		}
		p.flawless()
	})
}

func TestExchange_Denied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		d := p.authorize("profile")
		if err := p.as.Deny(d.text("user_code")); err != nil {
			t.Fatal(err)
		}
		wantOutcomes(t, p.pollUntil(d.text("device_code")), "access_denied")
		p.flawless()
	})
}

func TestExchange_Expired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{CodeLifetime: 11 * time.Second})
		d := p.authorize("profile")
		wantOutcomes(t, p.pollUntil(d.text("device_code")), "authorization_pending", "authorization_pending", "expired_token")
		if err := p.as.Approve(d.text("user_code")); !errors.Is(err, fakeas.ErrNotWaiting) {
			t.Errorf("approved an expired code: %v", err)
		}
		if waiting := p.as.Waiting(); len(waiting) != 0 {
			t.Errorf("still waiting: %v", waiting)
		}
		p.flawless()
	})
}

func TestExchange_RestartForgetsDeviceCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		token := p.login("profile").text("access_token")
		d := p.authorize("profile")
		p.as.Restart()
		wantOutcomes(t, p.pollUntil(d.text("device_code")), "invalid_grant")
		if a := p.call(fakeas.Me, token); a.status != http.StatusOK {
			t.Errorf("tokens do not outlive a restart: %d", a.status)
		}
		p.flawless()
	})
}

func TestPace_SlowsDownWhoHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		code := p.authorize("profile").text("device_code")
		outcomes := []string{p.poll(code)}
		for _, wait := range []time.Duration{
			4999 * time.Millisecond, // too early: now 10 s
			5 * time.Second,         // too early: now 15 s
			15 * time.Second,
		} {
			time.Sleep(wait)
			outcomes = append(outcomes, p.poll(code))
		}
		wantOutcomes(t, outcomes, "authorization_pending", "slow_down", "slow_down", "authorization_pending")
		if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.PolledEarly, fakeas.PolledEarly}) {
			t.Errorf("violations: %v", p.as.Violations())
		}
	})
}

// The interval counts from the previous answer, not from the request.
func TestPace_CountsFromTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{Latency: 3 * time.Second})
		code := p.authorize("profile").text("device_code")
		p.poll(code)
		time.Sleep(2 * time.Second) // five after the request, two after its answer
		p.poll(code)
		if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.PolledEarly}) {
			t.Errorf("violations: %v", p.as.Violations())
		}
	})
}

func TestExchange_GrantsLess(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Withhold: []string{"notes:write"}})
	token := p.login("profile notes:write")
	if token.text("scope") != "profile" {
		t.Errorf("granted %q", token.text("scope"))
	}
	if scope, ok := p.login("notes:write").members["scope"]; !ok || scope != "" {
		t.Errorf("everything withheld: scope %q", scope)
	}
	d := p.authorize("profile notes:write")
	if err := p.as.Approve(d.text("user_code"), "notes:write"); err != nil {
		t.Fatal(err)
	}
	if a := p.must(p.pollRequest(d.text("device_code"))); a.text("scope") != "notes:write" {
		t.Errorf("granted %q, the test said notes:write", a.text("scope"))
	}
	if err := p.as.Approve(p.authorize("profile").text("user_code"), "two words"); err == nil || errors.Is(err, fakeas.ErrNotWaiting) {
		t.Errorf("approved what is no scope: %v", err)
	}
}

func TestExchange_AnotherPersonApproves(t *testing.T) {
	p := newPeer(t, nil)
	p.call(fakeas.CreateNote, p.login("notes:write").text("access_token"))
	d := p.authorize("profile notes:read")
	if err := p.as.ApproveAs("mallory", d.text("user_code")); err != nil {
		t.Fatal(err)
	}
	token := p.must(p.pollRequest(d.text("device_code"))).text("access_token")
	if a := p.call(fakeas.Me, token); a.text("sub") != "mallory" {
		t.Errorf("GET /me: %s", a.body)
	}
	if a := p.call(fakeas.ListNotes, token); a.body != `{"notes":[]}` {
		t.Errorf("somebody else's notes: %s", a.body)
	}
}

func TestControl_WaitForRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		go func() {
			time.Sleep(time.Minute)
			p.must(p.form(fakeas.DeviceAuthorization, "scope", "notes:read profile", "resource", "https://api.example.test"))
			p.authorize("profile")
		}()
		start := time.Now()
		r, err := p.as.WaitForRequest(t.Context())
		if err != nil || time.Since(start) != time.Minute {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		synctest.Wait()
		if !slices.Equal(r.Scopes, []string{"notes:read", "profile"}) || r.ClientID != fakeas.DefaultClientID ||
			r.Extra.Get("resource") != "https://api.example.test" || !r.Expires.Equal(start.Add(11*time.Minute)) {
			t.Errorf("request: %+v", r)
		}
		if again, _ := p.as.WaitForRequest(t.Context()); again.UserCode != r.UserCode {
			t.Error("not the oldest")
		}
		if err := p.as.Deny(r.UserCode); err != nil {
			t.Fatal(err)
		}
		second, err := p.as.WaitForRequest(t.Context())
		if err != nil || second.UserCode == r.UserCode {
			t.Errorf("decided, and yet waiting: %v", err)
		}
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.as.WaitForRequest(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expired, and yet waiting: %v", err)
		}
	})
}

// However many clients there are, three answers after 100 ms each take 300 ms.
func TestExchange_ManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 2_000 // the race detector gives up at 8,128 goroutines
		p := newPeer(t, &fakeas.Options{Latency: 100 * time.Millisecond})
		start := time.Now()
		var clients sync.WaitGroup
		for range many {
			clients.Go(func() {
				token := p.login("profile").text("access_token")
				if a := p.call(fakeas.Me, token); a.status != http.StatusOK {
					t.Errorf("GET /me: %d", a.status)
				}
			})
		}
		clients.Wait()
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if got := p.as.Count(fakeas.Me, fakeas.OK); got != many || len(p.as.Journal()) != 3*many {
			t.Errorf("%d calls, %d entries", got, len(p.as.Journal()))
		}
		p.flawless()
	})
}
