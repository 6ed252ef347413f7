package device_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

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
				s := new(server).on("/token", pending, fault, ok(granted))
				c := client(t, s, nil)
				var events []device.PollEvent
				token, err := c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
				if err != nil || token.Access != accessToken {
					t.Fatalf("login lost: %v", err)
				}
				if e := events[1]; e.Outcome != device.Fault || e.Fault == "" || e.Code != "" || e.Wait != 10*time.Second+margin {
					t.Errorf("event %+v", e)
				}
				if n := len(s.requests); n != 4 {
					t.Errorf("%d requests", n)
				}
				s.checkClosed(t)
			})
		})
	}
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		endless := func(req *http.Request) (*http.Response, error) {
			resp, err := ok("")(req)
			resp.Body = &body{Reader: zeros{&read}}
			return resp, err
		}
		s := new(server).on("/token", endless, ok(granted))
		c := client(t, s, nil)
		if _, err := c.Poll(t.Context(), authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		if read > 128<<10 {
			t.Errorf("%d bytes read", read)
		}
		s.checkClosed(t)
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

func TestBackingOffDoublesUpToHalfAMinuteUntilThereIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/token",
			broken(io.EOF), answer(503, "", ""), broken(io.EOF), broken(io.EOF), pending, slowDown, broken(io.EOF), ok(granted))
		c := client(t, s, nil)
		if _, err := c.Poll(t.Context(), authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		var want []time.Duration
		for _, seconds := range []int{10, 20, 30, 30, 5, 10, 20} {
			want = append(want, time.Duration(seconds)*time.Second+margin)
		}
		if got := gaps(s); !slices.Equal(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
	})
}

func TestAStalledPollIsGivenUpAfterHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/token", stall, ok(granted))
		c := client(t, s, nil)
		var events []device.PollEvent
		if _, err := c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) }); err != nil {
			t.Fatal(err)
		}
		if e := events[0]; e.Took != 30*time.Second || e.Fault != "no answer in time" || e.Wait != 10*time.Second+margin {
			t.Errorf("event %+v", e)
		}
	})
}

func TestAServerThatStaysAwayUntilTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/token", pending, broken(errors.New("dial tcp 192.0.2.1:443: connection refused")))
		c := client(t, s, nil)
		start := time.Now()
		_, err := c.Poll(t.Context(), authorize(t, c, s), nil)
		e := wantError(t, err, device.ErrExpired)
		if time.Since(start) != 15*time.Minute {
			t.Errorf("after %v", time.Since(start))
		}
		if !strings.Contains(e.Detail, "connection refused") || strings.Contains(e.Error(), "192.0.2.1") {
			t.Errorf("%v, detail %s", e, e.Detail)
		}
	})
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
				s := new(server).on("/token", test.reply, test.reply, pending, test.reply, broken(io.EOF), test.reply, test.reply, ok(granted))
				c := client(t, s, nil)
				var events []device.PollEvent
				_, err := c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
				e := wantError(t, err, device.ErrInvalid)
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

// The connection breaks while the token is on its way. What servers say of a used code
// then is not the person's word: they have approved.
func TestFaults_TheTokenIsLostOnItsWay(t *testing.T) {
	denied, gone, late := oauthError("access_denied"), oauthError("invalid_grant"), oauthError("expired_token")
	dial := broken(&net.OpError{Op: "dial", Err: syscall.ETIMEDOUT})
	for name, test := range map[string]struct {
		replies []reply
		want    error
		lost    bool
	}{
		"reset":             {[]reply{pending, faults["reset"], denied}, device.ErrUnknownCode, true},
		"end of file":       {[]reply{broken(io.EOF), denied}, device.ErrUnknownCode, true},
		"cut off":           {[]reply{cutOff, denied}, device.ErrUnknownCode, true},
		"no answer in time": {[]reply{stall, denied}, device.ErrUnknownCode, true},
		"unreadable":        {[]reply{ok("{"), denied}, device.ErrUnknownCode, true},
		"behind a gateway":  {[]reply{answer(502, "", ""), denied}, device.ErrUnknownCode, true},
		"invalid_grant":     {[]reply{broken(io.EOF), gone}, device.ErrUnknownCode, true},
		"expired_token":     {[]reply{broken(io.EOF), late}, device.ErrUnknownCode, true},
		"a word of its own": {[]reply{broken(io.EOF), oauthError("code_already_used")}, device.ErrUnknownCode, true},
		"two in a row":      {[]reply{broken(io.EOF), answer(503, "", ""), dial, denied}, device.ErrUnknownCode, true},

		"nothing was lost":          {[]reply{pending, denied}, device.ErrDenied, false},
		"at once":                   {[]reply{denied}, device.ErrDenied, false},
		"an answer in between":      {[]reply{broken(io.EOF), pending, denied}, device.ErrDenied, false},
		"slow_down in between":      {[]reply{broken(io.EOF), slowDown, denied}, device.ErrDenied, false},
		"a limit is no answer":      {[]reply{broken(io.EOF), answer(429, "", `{"error":"x"}`), denied}, device.ErrUnknownCode, true},
		"never sent":                {[]reply{dial, denied}, device.ErrDenied, false},
		"refused connection":        {[]reply{faults["refused"], denied}, device.ErrDenied, false},
		"unknown host":              {[]reply{broken(&net.DNSError{Err: "no such host"}), denied}, device.ErrDenied, false},
		"busy":                      {[]reply{answer(503, "", ""), denied}, device.ErrDenied, false},
		"not a word about codes":    {[]reply{broken(io.EOF), oauthError("invalid_client")}, device.ErrRefused, false},
		"forgotten, nothing lost":   {[]reply{pending, gone}, device.ErrUnknownCode, false},
		"late, and nothing is lost": {[]reply{pending, late}, device.ErrExpired, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).on("/token", test.replies...)
				c := client(t, s, nil)
				var last device.PollEvent
				_, err := c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { last = e })
				wantError(t, err, test.want)
				if errors.Is(err, device.ErrAnswerLost) != test.lost || errors.Is(err, device.ErrDenied) != (test.want == device.ErrDenied) {
					t.Errorf("%v", err)
				}
				if test.lost && last.Outcome != device.UnknownCode {
					t.Errorf("event %+v", last)
				}
			})
		})
	}
	t.Run("polled by two calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).on("/token", stall, denied)
			c := client(t, s, nil)
			auth := authorize(t, c, s)
			ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
			defer cancel()
			_, err := c.Poll(ctx, auth, nil) // gives up in the middle of a poll
			wantError(t, err, context.DeadlineExceeded)
			_, err = c.Poll(t.Context(), auth, nil)
			wantError(t, err, device.ErrAnswerLost)
		})
	})
	t.Run("expired by the clock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).on("/device_authorization", ok(with("expires_in", "20"))).on("/token", broken(io.EOF), late)
			c := client(t, s, nil)
			_, err := c.Poll(t.Context(), authorize(t, c, s), nil)
			wantError(t, err, device.ErrExpired)
		})
	})
}

func TestRetryAfterIsHonouredAndBounded(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		wait   time.Duration
	}{
		"seconds":            {[]string{"Retry-After", "42"}, 42 * time.Second},
		"less than interval": {[]string{"Retry-After", "1"}, 10*time.Second + margin},
		"zero":               {[]string{"Retry-After", "0"}, 10*time.Second + margin},
		"negative":           {[]string{"Retry-After", "-5"}, 10*time.Second + margin},
		"huge":               {[]string{"Retry-After", "99999999999999999999"}, 5 * time.Minute},
		"infinite":           {[]string{"Retry-After", "Inf"}, 5 * time.Minute},
		"nonsense":           {[]string{"Retry-After", "soon"}, 10*time.Second + margin},
		// A bubble's clock starts at midnight UTC 2000-01-01; 5.25 s later we poll.
		"date":             {[]string{"Retry-After", "Sat, 01 Jan 2000 00:01:05 GMT"}, 59750 * time.Millisecond},
		"date in the past": {[]string{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"}, 10*time.Second + margin},
		"date far off":     {[]string{"Retry-After", "Sat, 01 Jan 9999 00:00:00 GMT"}, 5 * time.Minute},
		"by its own clock": {[]string{"Retry-After", "Sun, 01 Feb 2026 10:00:40 GMT", "Date", "Sun, 01 Feb 2026 10:00:00 GMT"}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).on("/token", answer(503, "", "", test.header...), ok(granted))
				c := client(t, s, nil)
				if _, err := c.Poll(t.Context(), authorize(t, c, s), nil); err != nil {
					t.Fatal(err)
				}
				if got := gaps(s); !slices.Equal(got, []time.Duration{test.wait}) {
					t.Errorf("waited %v, want %v", got, test.wait)
				}
			})
		})
	}
}

func TestA429WithAnUnheardOfCodeIsSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/token", answer(429, "application/json", `{"error":"too_many_polls"}`, "Retry-After", "13"), ok(granted))
		c := client(t, s, nil)
		var events []device.PollEvent
		if _, err := c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) }); err != nil {
			t.Fatal(err)
		}
		if e := events[0]; e.Outcome != device.SlowDown || e.Code != device.CodeOther || e.Wait != 13*time.Second {
			t.Errorf("event %+v", e)
		}
	})
}

// Whatever a server does, no two polls come closer together than the interval it
// has asked for so far, each poll is one request, and everything ends.
func TestPollsAreNeverTooClose(t *testing.T) {
	names := make([]string, 0, len(faults))
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			interval := time.Duration(1+random.IntN(20)) * time.Second
			s := new(server).on("/device_authorization", ok(with("interval", fmt.Sprint(interval.Seconds()))))
			var required []time.Duration // after each poll
			s.on("/token", func(req *http.Request) (*http.Response, error) {
				do := pending
				switch random.IntN(6) {
				case 0:
					do = slowDown
					interval += 5 * time.Second
				case 1:
					stated := time.Duration(random.IntN(60)) * time.Second
					do = answer(200, "", fmt.Sprintf("error=slow_down&interval=%d", int(stated.Seconds())))
					interval = max(interval+5*time.Second, stated)
				case 2:
					do = faults[names[random.IntN(len(names))]]
				case 3:
					do = answer(503, "", "", "Retry-After", []string{"0", "7", "-1", "1e99", "x"}[random.IntN(5)])
				case 4:
					if random.IntN(20) == 0 {
						do = stall
					}
				}
				required = append(required, interval)
				return slowly(time.Duration(random.IntN(7000))*time.Millisecond, do)(req)
			})
			c := client(t, s, nil)
			start, polls := time.Now(), 0
			_, err := c.Poll(t.Context(), authorize(t, c, s), func(device.PollEvent) { polls++ })
			if !errors.Is(err, device.ErrInvalid) { // three successes that cannot be read
				wantError(t, err, device.ErrExpired)
			}
			if time.Since(start) > 15*time.Minute || polls != len(s.to("/token")) {
				t.Errorf("seed %d: %d polls reported, %d seen, in %v", seed, polls, len(s.to("/token")), time.Since(start))
			}
			for i, gap := range gaps(s) {
				if gap < required[i] {
					t.Errorf("seed %d: poll %d came %v after the answer before it, not %v", seed, i+2, gap, required[i])
				}
			}
			s.checkClosed(t)
		})
	}
}
