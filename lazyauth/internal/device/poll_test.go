package device_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var (
	pending  = oauthError("authorization_pending")
	slowDown = oauthError("slow_down")
)

func TestApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", pending, pending, ok(granted))
		c := client(t, s, nil)
		start := time.Now()
		var events []device.PollEvent
		token, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
		if err != nil {
			t.Fatal(err)
		}
		want := oauth.Token{
			Access: accessToken, Refresh: refreshToken, Type: "Bearer",
			Expires: time.Now().Add(time.Hour), Scopes: scopes.Of("profile", "notes:read"),
		}
		if !token.Expires.Equal(want.Expires) || token.Access != want.Access || token.Refresh != want.Refresh ||
			token.Type != want.Type || token.Scopes != want.Scopes {
			t.Errorf("token %v", token)
		}
		if took := time.Since(start); took != 3*(5*time.Second+margin) {
			t.Errorf("took %v", took)
		}
		wait := 5*time.Second + margin
		if !slices.Equal(events, []device.PollEvent{
			{Attempt: 1, Outcome: device.Pending, Code: "authorization_pending", Status: 400, Wait: wait},
			{Attempt: 2, Outcome: device.Pending, Code: "authorization_pending", Status: 400, Wait: wait},
			{Attempt: 3, Outcome: device.Granted, Status: 200},
		}) {
			t.Errorf("events %+v", events)
		}
		s.CheckClosed(t)
	})
}

// faults are answers that say nothing about the login.
var faults = map[string]reply{
	"reset":                 broken(fmt.Errorf("read tcp: %w", syscall.ECONNRESET)),
	"end of file":           broken(io.EOF),
	"refused":               broken(fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)),
	"no such host":          broken(errors.New("dial tcp: lookup as.example: no such host")),
	"cut off":               cutOff,
	"neither":               func(*http.Request) (*http.Response, error) { return nil, nil },
	"500":                   answer(500, "text/html", "<html>oops</html>"),
	"502":                   answer(502, "", ""),
	"503":                   answer(503, "text/plain", "try again"),
	"429":                   answer(429, "", ""),
	"empty 400":             answer(400, "", ""),
	"empty 401":             answer(401, "application/json", ""),
	"404":                   answer(404, "text/html", "<html>"),
	"200 {}":                ok("{}"),
	"200 empty":             ok(""),
	"200 HTML":              answer(200, "text/html", `<html><a href="/?x=1&error=access_denied">sign in to the hotel's network</a>`),
	"200 half":              ok(`{"access_token":"` + accessToken),
	"200 null token":        ok(`{"access_token":null,"error":null}`),
	"200 number":            ok(`{"access_token":7}`),
	"400 with a token":      answer(400, "application/json", granted),
	"error is an object":    answer(400, "application/json", `{"error":{"code":31,"message":"pending"}}`),
	"error is empty":        answer(400, "application/json", `{"error":""}`),
	"too large":             ok(strings.Repeat(" ", 64<<10) + granted),
	"redirect":              answer(302, "", "", "Location", "https://evil.example/token"),
	"permanent redirect":    answer(308, "text/html", "<html>", "Location", "https://evil.example/token"),
	"HTML labelled as form": answer(200, "application/x-www-form-urlencoded", "<html>error=access_denied"),
}

func TestTheLoginSurvivesAnyFault(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", pending, fault, ok(granted))
				c := client(t, s, nil)
				var events []device.PollEvent
				token, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
				if err != nil || token.Access != accessToken {
					t.Fatalf("login lost: %v", err)
				}
				if e := events[1]; e.Outcome != device.Fault || e.Fault == "" || e.Code != "" || e.Wait != 10*time.Second+margin {
					t.Errorf("event %+v", e)
				}
				if n := len(s.Requests); n != 4 {
					t.Errorf("%d requests", n)
				}
				s.CheckClosed(t)
			})
		})
	}
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		endless := func(req *http.Request) (*http.Response, error) {
			resp, err := ok("")(req)
			resp.Body = &scripted.Body{Reader: zeros{&read}}
			return resp, err
		}
		s := new(server).On("/token", endless, ok(granted))
		c := client(t, s, nil)
		if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		if read > 128<<10 {
			t.Errorf("%d bytes read", read)
		}
		s.CheckClosed(t)
	})
}

// zeros never ends, short of a megabyte.
type zeros struct{ read *int }

func (z zeros) Read(p []byte) (int, error) {
	if *z.read += len(p); *z.read > 1<<20 {
		return 0, io.EOF
	}
	return len(p), nil
}

// What succeeds and cannot be read will not become readable: the login ends with what is
// wrong, and not after a quarter of an hour with an expiry that is none.
func TestFaults_SuccessesThatCannotBeRead(t *testing.T) {
	gzip := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + accessToken
	for name, test := range map[string]struct {
		reply  reply
		reason string
		detail string
	}{
		"gzip without its header": {answer(200, "application/json", gzip), "the answer is neither JSON nor a form", `"application/json", a body of 33 bytes that are not text, and begin with 1f8b0800`},
		"too large":               {ok(`{"access_token":"` + accessToken + `","x":"` + strings.Repeat("x", 64<<10) + `"}`), "the answer is too large", "a body of 65537 bytes"},
		"a page":                  {answer(200, "text/html", "<html>maintenance</html>"), "the answer is neither JSON nor a form", `"text/html", body "<html>maintenance</html>"`},
		"half a token":            {ok(`{"access_token":"` + accessToken), "the answer is neither JSON nor a form", "a body of 40 bytes"},
		"nothing":                 {answer(204, "", ""), "the answer is empty", ""},
		"no token":                {ok(`{"status":"maintenance"}`), "the answer has neither a token nor an error", `body "{\"status\":\"maintenance\"}"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", test.reply, test.reply, pending, test.reply, broken(io.EOF), test.reply, test.reply, ok(granted))
				c := client(t, s, nil)
				var events []device.PollEvent
				_, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
				e := wantError(t, err, oauth.ErrInvalid)
				if !strings.Contains(e.Error(), "three successes could not be read: "+test.reason) || !strings.Contains(e.Detail, test.detail) {
					t.Errorf("%v, detail %s", e, e.Detail)
				}
				if len(events) != 7 || events[6].Outcome != device.Invalid || events[5].Outcome != device.Fault {
					t.Errorf("events %+v", events)
				}
				for _, e := range events {
					checkNoSecret(t, e)
					if e.Outcome == device.Fault && e.Status != 0 && (e.Fault != test.reason || !strings.Contains(e.Detail, test.detail)) {
						t.Errorf("event %+v", e)
					}
				}
			})
		})
	}
}

// A token that cannot be used ends the login at the first poll: the next one will be no
// better.
func TestPoll_UnusableTokens(t *testing.T) {
	for name, text := range map[string]string{
		"line end in the token":  `{"access_token":"a\r\nX-Evil: 1"}`,
		"refresh token line end": `{"access_token":"a","refresh_token":"a\n"}`,
		"too long":               `{"access_token":"` + strings.Repeat("a", 16<<10+1) + `"}`,
		"DPoP":                   `{"access_token":"a","token_type":"DPoP"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", ok(text))
				c := client(t, s, nil)
				var last device.PollEvent
				_, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { last = e })
				if e := wantError(t, err, oauth.ErrInvalid); errors.Is(e, oauth.ErrTokenType) != (name == "DPoP") {
					t.Errorf("it is %v", e)
				}
				if last.Outcome != device.Invalid || last.Attempt != 1 {
					t.Errorf("event %+v", last)
				}
			})
		})
	}
}

// What was left out of a token's scopes is told to the operator, without the token.
func TestPoll_TellsWhatCannotBeScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", ok(`{"access_token":"`+accessToken+`","scope":"profile \\`+accessToken+`"}`))
		c := client(t, s, nil)
		var last device.PollEvent
		token, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { last = e })
		if err != nil {
			t.Fatal(err)
		}
		if token.Missing.String() != "notes:read" || last.Detail != "scopes: "+token.Dropped || !strings.HasSuffix(token.Dropped, `"\\[secret]"`) {
			t.Errorf("%+v, missing %q", last, token.Missing)
		}
		checkNoSecret(t, token)
		checkNoSecret(t, last)
	})
}

func TestCancelledWhileWaitingAndWhileAsking(t *testing.T) {
	reason := errors.New("closed")
	for name, after := range map[string]time.Duration{"at once": 0, "while waiting": 3 * time.Second, "while asking": 7 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", stall)
				c := client(t, s, nil)
				auth := authorize(t, c, s)
				ctx, cancel := context.WithCancelCause(t.Context())
				if after == 0 {
					cancel(reason)
				}
				time.AfterFunc(after, func() { cancel(reason) })
				start := time.Now()
				_, err := poll(ctx, c, auth, nil)
				wantError(t, err, context.Canceled)
				if !errors.Is(err, reason) || time.Since(start) != after {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestATokenThatArrivedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := new(server)
		s.On("/token", func(req *http.Request) (*http.Response, error) {
			cancel()
			return ok(granted)(req)
		})
		c := client(t, s, nil)
		if token, err := poll(ctx, c, authorize(t, c, s), nil); err != nil || token.Access != accessToken {
			t.Errorf("the token was dropped: %v", err)
		}
	})
}

func TestPollRefusesAForeignAuthorization(t *testing.T) {
	s := new(server)
	c := client(t, s, nil)
	for _, auth := range []*device.Authorization{nil, {}, {UserCode: userCode, Expires: time.Now().Add(time.Hour)}} {
		if _, _, err := c.Poll(t.Context(), auth, 1); err == nil {
			t.Error("accepted")
		}
	}
	if len(s.Requests) != 0 {
		t.Errorf("%d requests", len(s.Requests))
	}
}

// Whatever answers a poll, the login ends with a token or an error that is true, and in
// time.
func FuzzPollAnswer(f *testing.F) {
	for _, a := range scripted.Seen {
		f.Add(a.Status, a.ContentType, a.Text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/token", answer(status, contentType, text), oauthError("access_denied"))
			c := client(t, s, nil)
			start := time.Now()
			var events []device.PollEvent
			_, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
			if took := time.Since(start); took > 15*time.Minute {
				t.Errorf("it took %v", took)
			}
			if err != nil {
				scripted.CheckFuzzed(t, err)
			}
			for _, e := range events {
				for i := range len(e.Detail) {
					if e.Detail[i] < ' ' || e.Detail[i] > '~' {
						t.Fatalf("detail %q", e.Detail)
					}
				}
				if len(e.Detail) > 4000 {
					t.Errorf("a detail of %d bytes", len(e.Detail))
				}
			}
			for _, gap := range gaps(s) {
				if gap < 5*time.Second {
					t.Errorf("polled after %v", gap)
				}
			}
			s.CheckClosed(t)
		})
	})
}
