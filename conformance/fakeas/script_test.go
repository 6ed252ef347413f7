package fakeas_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// The same script is met in process and on a listener.
func TestScript(t *testing.T) {
	script := []fakeas.Behaviour{
		fakeas.Pass(),
		fakeas.Error(http.StatusInternalServerError, "server_error"),
		fakeas.Error(http.StatusOK, "access_denied"),
		fakeas.Raw(http.StatusTeapot, http.Header{"X-Odd": {"yes"}}, "short and stout"),
		fakeas.Unavailable(http.StatusServiceUnavailable, 90*time.Second),
		fakeas.Drop(),
		fakeas.Reset(),
		fakeas.Lose(),
		fakeas.Cut(),
		fakeas.Pending().Times(2),
	}
	play := func(t *testing.T, p *peer) {
		t.Helper()
		p.as.Script(fakeas.DeviceAuthorization, script...)
		for step := range 12 {
			a, err := p.do(p.form(fakeas.DeviceAuthorization, "scope", "profile"))
			switch step {
			case 0, 11:
				if err != nil || a.text("device_code") == "" {
					t.Errorf("step %d, passed: %d %v", step, a.status, err)
				}
			case 1:
				if err != nil || a.status != 500 || outcome(a) != "server_error" {
					t.Errorf("500: %d %s %v", a.status, a.body, err)
				}
			case 2:
				if err != nil || a.status != 200 || outcome(a) != "access_denied" {
					t.Errorf("200: %d %s %v", a.status, a.body, err)
				}
			case 3:
				if err != nil || a.status != 418 || a.body != "short and stout" || a.header.Get("X-Odd") != "yes" {
					t.Errorf("raw: %d %q %v", a.status, a.body, err)
				}
			case 4:
				if err != nil || a.status != 503 || a.header.Get("Retry-After") != "90" || !strings.Contains(a.body, "<h1>Service Unavailable") {
					t.Errorf("503: %d %q %v", a.status, a.body, err)
				}
			case 5, 7:
				if !errors.Is(err, io.EOF) {
					t.Errorf("step %d, dropped: %v", step, err)
				}
			case 6:
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("reset: %v", err)
				}
			case 8:
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("cut: %v", err)
				}
			case 9, 10:
				if err != nil || outcome(a) != "authorization_pending" {
					t.Errorf("pending: %s %v", a.body, err)
				}
			}
		}
		if n := len(p.as.Waiting()); n != 4 {
			t.Errorf("%d device authorizations were processed, not those passed, lost and cut", n)
		}
		var outcomes []string
		for _, e := range p.as.Journal() {
			outcomes = append(outcomes, e.Outcome)
		}
		wantOutcomes(t, outcomes, "ok", "server_error", "access_denied", "status 418", "status 503", "dropped", "reset", "lost", "cut",
			"authorization_pending", "authorization_pending", "ok")
		p.flawless()
	}
	t.Run("in process", func(t *testing.T) { play(t, newPeer(t, nil)) })
	t.Run("listener", func(t *testing.T) { play(t, listen(t, fakeas.Options{})) })
}

func TestStallEndsWithTheClient(t *testing.T) {
	stall := func(t *testing.T, p *peer) {
		t.Helper()
		p.as.Script(fakeas.DeviceAuthorization, fakeas.Stall())
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := p.do(p.form(fakeas.DeviceAuthorization, "scope", "profile").WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stalled: %v", err)
		}
	}
	t.Run("in process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, &fakeas.Options{Latency: time.Hour})
			stall(t, p)
			if j := p.as.Journal(); len(j) != 1 || j[0].Outcome != "gone" || j[0].Took != 50*time.Millisecond || j[0].Status != 0 {
				t.Errorf("journal: %+v", j)
			}
			p = newPeer(t, nil)
			stall(t, p)
			if n := p.as.Count(fakeas.DeviceAuthorization, "stalled"); n != 1 {
				t.Errorf("journal: %+v", p.as.Journal())
			}
		})
	})
	t.Run("listener", func(t *testing.T) { stall(t, listen(t, fakeas.Options{})) })
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{Latency: time.Second})
		p.as.Script(fakeas.DeviceAuthorization, fakeas.Pass().After(time.Minute), fakeas.Unavailable(503, 0).Times(-1))
		start := time.Now()
		p.authorize("profile")
		if took := time.Since(start); took != 61*time.Second {
			t.Errorf("took %v", took)
		}
		for range 3 {
			if a := p.must(p.form(fakeas.DeviceAuthorization)); a.status != http.StatusServiceUnavailable {
				t.Errorf("for good: %d", a.status)
			}
		}
	})
}

// A scripted slow_down binds the client as a real one does.
func TestScriptedSlowDownBinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		code := p.authorize("profile").text("device_code")
		raw := fakeas.Raw(http.StatusOK, nil, `{"error":"slow_down","interval":40}`)
		p.as.Script(fakeas.Poll, fakeas.SlowDown(0), fakeas.SlowDown(30*time.Second), raw)
		for _, seconds := range []int{0, 10, 30, 40} {
			time.Sleep(time.Duration(seconds) * time.Second)
			p.poll(code)
		}
		p.flawless()
		time.Sleep(40*time.Second - 1)
		p.poll(code)
		if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.PolledEarly}) {
			t.Errorf("violations: %v", p.as.Violations())
		}
	})
}

// Scripted answers end polling as real ones do, if they are final.
func TestScriptedEndsBind(t *testing.T) {
	for body, ends := range map[string]bool{
		`{"error":"expired_token"}`:         true,
		`{"error":"server_error"}`:          true,
		`{"access_token":"x"}`:              true,
		`{"error":"authorization_pending"}`: false,
		`{}`:                                false,
		`<html>`:                            false,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, nil)
			code := p.authorize("profile").text("device_code")
			p.as.Script(fakeas.Poll, fakeas.Raw(http.StatusBadRequest, nil, body))
			p.poll(code)
			time.Sleep(time.Minute)
			p.poll(code)
			if got := slices.Contains(p.broke(), fakeas.PolledAfterEnd); got != ends {
				t.Errorf("%s: ends polling: %v", body, got)
			}
		})
	}
}
