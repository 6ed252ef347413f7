package device_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// margin is what Poll adds to every interval.
const margin = 250 * time.Millisecond

// gaps are the times from each answer to the next poll.
func gaps(s *server) []time.Duration {
	var list []time.Duration
	polls := s.To("/token")
	for i := 1; i < len(polls); i++ {
		list = append(list, polls[i].Received.Sub(polls[i-1].Answered))
	}
	return list
}

// pollTimes are when polls were sent, counted from the device authorization request.
func pollTimes(s *server) []time.Duration {
	var list []time.Duration
	for _, poll := range s.To("/token") {
		list = append(list, poll.Received.Sub(s.To("/device_authorization")[0].Received))
	}
	return list
}

func TestSlowDownWithAndWithoutAnInterval(t *testing.T) {
	slow := func(interval string) reply {
		return answer(400, "application/json", `{"error":"slow_down","interval":`+interval+`}`)
	}
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token",
			slowDown,      // 5 → 10
			slow("12"),    // less than +5: 15
			slow(`"31"`),  // 31
			slow("-7"),    // 36
			slow(`"NaN"`), // 41
			slow("10000"), // milliseconds, and less than +5: 46
			slow("70"),    // 70
			pending, ok(granted))
		c := client(t, s, nil)
		if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		var want []time.Duration
		for _, seconds := range []int{10, 15, 31, 36, 41, 46, 70, 70} {
			want = append(want, time.Duration(seconds)*time.Second+margin)
		}
		if got := gaps(s); !slices.Equal(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
	})
}

// The wait starts at the answer, so that a slow server does not get polls back to
// back.
func TestASlowServerIsNotHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", slowly(20*time.Second, pending), slowly(4900*time.Millisecond, pending), ok(granted))
		c := client(t, s, nil)
		if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		if got := gaps(s); !slices.Equal(got, []time.Duration{5*time.Second + margin, 5*time.Second + margin}) {
			t.Errorf("gaps %v", got)
		}
	})
}

func TestPollingThatStartsLateDoesNotWaitAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", ok(granted))
		c := client(t, s, nil)
		auth := authorize(t, c, s)
		<-time.After(time.Minute)
		start := time.Now()
		if _, err := poll(t.Context(), c, auth, nil); err != nil || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestExpiresByOurOwnClock(t *testing.T) {
	for name, lifetime := range map[string]string{"15m0s": "900", "1h0m0s": "1e9", "15m1s": `"901"`, "3s": "3", "15m": "-1"} {
		want, _ := time.ParseDuration(name)
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/device_authorization", ok(with("expires_in", lifetime))).On("/token", pending)
			c := client(t, s, nil)
			auth := authorize(t, c, s)
			start := time.Now()
			_, err := poll(t.Context(), c, auth, nil)
			if e := wantError(t, err, device.ErrExpired); e.Status != 0 || time.Since(start) != want {
				t.Errorf("%s: after %v: %v", name, time.Since(start), e)
			}
			polls := len(s.To("/token"))
			if most := max(1, int(want/(5*time.Second+margin))); polls != most {
				t.Errorf("%s: %d polls, want %d", name, polls, most)
			}
			// Once expired it stays so, and nobody asks the server again.
			_, err = poll(t.Context(), c, auth, nil)
			wantError(t, err, device.ErrExpired)
			if len(s.To("/token")) != polls {
				t.Errorf("%s: polled after expiry", name)
			}
		})
	}
}

// The last poll is sent just before the code's end: somebody may approve in the last
// moment, and sees a page that says that all is well.
func TestPoll_TheLastOneIsJustBeforeTheEnd(t *testing.T) {
	for _, test := range []struct {
		lifetime, interval string
		first              []reply
		last               time.Duration // when the last poll is sent
	}{
		{"900", "5", nil, 898 * time.Second},
		{"901", "5", nil, 899 * time.Second},
		{"20", "5", nil, 18 * time.Second},
		{"60", "20", nil, 58 * time.Second},
		{"60", "31", nil, 58 * time.Second},
		{"60", "59", nil, 59 * time.Second}, // not closer than the interval
		{"5.1", "5", nil, 5 * time.Second},
		{"900", "450", nil, 898 * time.Second},
		{"3600", "120", nil, 3598 * time.Second},
		{"3600", "2000", nil, 3598 * time.Second}, // no milliseconds: it is shorter than the life
		// A server that needs four seconds has to be asked earlier.
		{"60", "5", []reply{slowly(4*time.Second, pending)}, 52 * time.Second},
		{"57", "5", []reply{slowly(4*time.Second, pending)}, 49 * time.Second},
		// What was a fault is tried again then.
		{"20", "5", []reply{broken(io.EOF)}, 18 * time.Second},
		{"30", "5", []reply{pending, pending, pending, broken(io.EOF)}, 28 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/device_authorization", ok(strings.Replace(with("interval", test.interval), ":900", ":"+test.lifetime, 1)))
			if test.first == nil {
				test.first = []reply{pending}
			}
			s.On("/token", test.first...)
			c := client(t, s, nil)
			_, err := poll(t.Context(), c, authorize(t, c, s), nil)
			wantError(t, err, device.ErrExpired)
			times := pollTimes(s)
			if last := times[len(times)-1]; last != test.last {
				t.Errorf("%s s, every %s s: the last of %d polls at %v", test.lifetime, test.interval, len(times), last)
			}
			interval, _ := time.ParseDuration(test.interval + "s")
			for _, gap := range append(gaps(s), times[0]) {
				if gap < interval {
					t.Errorf("%s s, every %s s: polls at %v", test.lifetime, test.interval, times)
				}
			}
		})
	}
}

// An interval that is not shorter than the code's life leaves one poll, at the end.
func TestPoll_IntervalLongerThanTheLife(t *testing.T) {
	for _, test := range []struct {
		lifetime, interval string
		replies            []reply
		want               []time.Duration
	}{
		{"5", "10", []reply{ok(granted)}, []time.Duration{4500 * time.Millisecond}},
		{"60", "60", []reply{ok(granted)}, []time.Duration{58 * time.Second}},
		{"600", "1e300", []reply{pending}, []time.Duration{598 * time.Second}},
		{"3", "5", []reply{broken(io.EOF)}, []time.Duration{2700 * time.Millisecond}},
		{"900", "5000", []reply{ok(granted)}, []time.Duration{5250 * time.Millisecond}}, // milliseconds
		// The same, said at slow_down.
		{"60", "5", []reply{answer(400, "", `{"error":"slow_down","interval":99999999}`), pending},
			[]time.Duration{5250 * time.Millisecond, 58 * time.Second}},
		{"12", "5", []reply{answer(400, "", `{"error":"slow_down","interval":99999999}`), pending},
			[]time.Duration{5250 * time.Millisecond}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/device_authorization", ok(strings.Replace(with("interval", test.interval), ":900", ":"+test.lifetime, 1)))
			s.On("/token", test.replies...)
			c := client(t, s, nil)
			auth := authorize(t, c, s)
			_, err := poll(t.Context(), c, auth, nil)
			if err != nil {
				wantError(t, err, device.ErrExpired)
			}
			if got := pollTimes(s); !slices.Equal(got, test.want) {
				t.Errorf("%s s, every %s s: polls at %v, want %v", test.lifetime, test.interval, got, test.want)
			}
		})
	}
}

func TestAPollInFlightEndsAtTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/device_authorization", ok(with("expires_in", "12"))).On("/token", pending, stall)
		c := client(t, s, nil)
		start := time.Now()
		_, err := poll(t.Context(), c, authorize(t, c, s), nil)
		wantError(t, err, device.ErrExpired)
		if time.Since(start) != 12*time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
}

// Given up and polled again: the server sees one client that keeps its interval.
func TestPollingAgainKeepsTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", slowDown, stall, pending, pending, pending, ok(granted))
		c := client(t, s, nil)
		auth := authorize(t, c, s)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 17*time.Second)
			_, err := poll(ctx, c, auth, nil)
			wantError(t, err, context.DeadlineExceeded)
			cancel()
		}
		if _, err := poll(t.Context(), c, auth, nil); err != nil {
			t.Fatal(err)
		}
		if len(s.To("/token")) != 6 {
			t.Errorf("%d polls", len(s.To("/token")))
		}
		for _, gap := range gaps(s) {
			if gap < 10*time.Second {
				t.Errorf("gaps %v", gaps(s))
			}
		}
	})
}

func TestBackingOffDoublesUpToHalfAMinuteUntilThereIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token",
			broken(io.EOF), answer(503, "", ""), broken(io.EOF), broken(io.EOF), pending, slowDown, broken(io.EOF), ok(granted))
		c := client(t, s, nil)
		if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
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
		s := new(server).On("/token", stall, ok(granted))
		c := client(t, s, nil)
		var events []device.PollEvent
		if _, err := poll(t.Context(), c, authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) }); err != nil {
			t.Fatal(err)
		}
		if e := events[0]; e.Took != 30*time.Second || e.Fault != "no answer in time" || e.Wait != 10*time.Second+margin {
			t.Errorf("event %+v", e)
		}
	})
}

func TestAServerThatStaysAwayUntilTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", pending, broken(errors.New("dial tcp 192.0.2.1:443: connection refused")))
		c := client(t, s, nil)
		start := time.Now()
		_, err := poll(t.Context(), c, authorize(t, c, s), nil)
		e := wantError(t, err, device.ErrExpired)
		if time.Since(start) != 15*time.Minute {
			t.Errorf("after %v", time.Since(start))
		}
		if !strings.Contains(e.Detail, "connection refused") || strings.Contains(e.Error(), "192.0.2.1") {
			t.Errorf("%v, detail %s", e, e.Detail)
		}
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
				s := new(server).On("/token", answer(503, "", "", test.header...), ok(granted))
				c := client(t, s, nil)
				if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
					t.Fatal(err)
				}
				if got := gaps(s); !slices.Equal(got, []time.Duration{test.wait}) {
					t.Errorf("waited %v, want %v", got, test.wait)
				}
			})
		})
	}
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
			s := new(server).On("/device_authorization", ok(with("interval", fmt.Sprint(interval.Seconds()))))
			var required []time.Duration // after each poll
			s.On("/token", func(req *http.Request) (*http.Response, error) {
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
			_, err := poll(t.Context(), c, authorize(t, c, s), func(device.PollEvent) { polls++ })
			if !errors.Is(err, oauth.ErrInvalid) { // three successes that cannot be read
				wantError(t, err, device.ErrExpired)
			}
			if time.Since(start) > 15*time.Minute || polls != len(s.To("/token")) {
				t.Errorf("seed %d: %d polls reported, %d seen, in %v", seed, polls, len(s.To("/token")), time.Since(start))
			}
			for i, gap := range gaps(s) {
				if gap < required[i] {
					t.Errorf("seed %d: poll %d came %v after the answer before it, not %v", seed, i+2, gap, required[i])
				}
			}
			s.CheckClosed(t)
		})
	}
}
