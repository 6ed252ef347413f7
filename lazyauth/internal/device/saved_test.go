package device_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// moved returns what another process makes of what this one has saved.
func moved(t *testing.T, c flow, a *device.Authorization, change func(*device.Saved)) *device.Authorization {
	t.Helper()
	text, err := json.Marshal(a.Save())
	if err != nil {
		t.Fatal(err)
	}
	var saved device.Saved
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&saved)
	}
	resumed, err := c.Resume(saved)
	if err != nil {
		t.Fatal(err)
	}
	return resumed
}

// Each poll is another process's: together they keep the pace, and a slow_down holds for all.
func TestSaved_GoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", pending, slowDown, pending, ok(granted))
		c := client(t, s, nil)
		a := authorize(t, c, s)
		first, start := *a, time.Now()
		for n := 1; ; n++ {
			a = moved(t, client(t, s, nil), a, nil)
			if a.UserCode != first.UserCode || a.VerificationURI != first.VerificationURI || !a.Expires.Equal(first.Expires) {
				t.Errorf("another prompt: %v", a)
			}
			time.Sleep(time.Until(a.Next()))
			token, event, err := c.Poll(t.Context(), a, n)
			if err != nil || event.Attempt != n {
				t.Fatalf("%+v, %v", event, err)
			}
			if token != nil {
				break
			}
		}
		if took := time.Since(start); took != 2*(5*time.Second+margin)+2*(10*time.Second+margin) {
			t.Errorf("took %v", took)
		}
		s.CheckClosed(t)
	})
}

// A code that the server does not know, after a process that may have polled, was interrupted. What the
// person has said is what it is.
func TestSaved_InDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		replies []reply
		want    error
		outcome device.Outcome
	}{
		"gone":                {[]reply{oauthError("invalid_grant")}, device.ErrInterrupted, device.Interrupted},
		"gone, after a fault": {[]reply{answer(503, "", ""), oauthError("invalid_grant")}, device.ErrInterrupted, device.Interrupted},
		"denied":              {[]reply{oauthError("access_denied")}, oauth.ErrDenied, device.Denied},
		"pending, then gone":  {[]reply{pending, oauthError("invalid_grant")}, device.ErrUnknownCode, device.UnknownCode},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", test.replies...)
				c := client(t, s, nil)
				a := moved(t, c, authorize(t, c, s), func(saved *device.Saved) { saved.Doubt = true })
				for n := 1; ; n++ {
					a = moved(t, c, a, nil)
					time.Sleep(time.Until(a.Next()))
					_, event, err := c.Poll(t.Context(), a, n)
					if err == nil {
						continue
					}
					if !errors.Is(err, test.want) || event.Outcome != test.outcome || errors.Is(err, device.ErrInterrupted) != (test.outcome == device.Interrupted) {
						t.Errorf("%+v, %v", event, err)
					}
					break
				}
			})
		})
	}
}

// What is bound to a verifier is shown it by whoever polls.
func TestSaved_Proof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", ok(granted))
		c := client(t, s, s256)
		a := moved(t, c, authorize(t, c, s), nil)
		time.Sleep(time.Until(a.Next()))
		_, _, err := c.Poll(t.Context(), a, 1)
		challenge, verifier := form(t, s.To("/device_authorization")[0]).Get("code_challenge"), form(t, s.To("/token")[0]).Get("code_verifier")
		if err != nil || oauth2.S256ChallengeFromVerifier(verifier) != challenge {
			t.Errorf("the verifier has %d characters, %v", len(verifier), err)
		}
	})
}

// Nothing that a server could not have said is believed of a record.
func TestSaved_NotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		c := client(t, s, nil)
		a := authorize(t, c, s)
		for name, change := range map[string]func(*device.Saved){
			"no device code":         func(s *device.Saved) { s.DeviceCode = "" },
			"a long device code":     func(s *device.Saved) { s.DeviceCode = strings.Repeat("x", 5000) },
			"a user code that talks": func(s *device.Saved) { s.UserCode = "call 555 now!" },
			"http":                   func(s *device.Saved) { s.VerificationURI = "http://as.example/device" },
			"a script":               func(s *device.Saved) { s.VerificationURI = "javascript:alert(1)" },
			"userinfo":               func(s *device.Saved) { s.VerificationURI = "https://as.example@evil.example/" },
			"no interval":            func(s *device.Saved) { s.Interval = 0 },
			"a long interval":        func(s *device.Saved) { s.Interval = 48 * time.Hour },
			"a long life":            func(s *device.Saved) { s.Life = 48 * time.Hour },
			"no life":                func(s *device.Saved) { s.Life = -1 },
			"a back-off":             func(s *device.Saved) { s.BackOff = time.Hour },
			"unread":                 func(s *device.Saved) { s.Unread = 3 },
			"a verifier":             func(s *device.Saved) { s.Verifier = "short" },
			"a verifier's letters":   func(s *device.Saved) { s.Verifier = strings.Repeat("=", 43) },
		} {
			saved := a.Save()
			change(&saved)
			if _, err := c.Resume(saved); err == nil {
				t.Errorf("%s is believed", name)
			}
		}
		far := a.Save()
		far.Expires, far.Next = time.Now().Add(1000*time.Hour), time.Now().Add(999*time.Hour)
		resumed, err := c.Resume(far)
		if err != nil || time.Until(resumed.Expires) > far.Life || resumed.Next().After(resumed.Expires) {
			t.Errorf("a clock that was set back: %v, %v", resumed, err)
		}
		link := a.Save()
		link.VerificationURIComplete = "https://as.example/device?user_code=" + link.UserCode
		if resumed, err := c.Resume(link); err != nil || resumed.VerificationURIComplete != "" {
			t.Errorf("a link with the code is shown, though nobody asked for that: %v", err)
		}
		if text := fmt.Sprintf("%v %+v %#v", link, link, link); strings.Contains(text, link.DeviceCode) || strings.Contains(text, link.UserCode) {
			t.Error("a code is shown")
		}
	})
}
