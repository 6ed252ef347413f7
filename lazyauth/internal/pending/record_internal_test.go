package pending

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var at = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// samples are records in each state.
func samples() map[string]*record {
	code := &device.Saved{
		DeviceCode: "d", UserCode: "WDJB-MJHT", VerificationURI: "https://as.example/device", Scopes: scopes.Of("profile"),
		Expires: at.Add(10 * time.Minute), Life: 10 * time.Minute, Interval: 5 * time.Second, Next: at.Add(5 * time.Second),
	}
	who := asker{"https://as.example", "https://as.example/device", "https://as.example/token", "notes"}
	return map[string]*record{
		"waiting":  {Version: recordVersion, ID: "f", Asker: who, Code: code, By: "p"},
		"come":     {Version: recordVersion, ID: "f", Asker: who, Code: code, By: "p", Grant: grantOf(&oauth.Token{Access: "a<&>", Refresh: "r", Scopes: scopes.Of("profile"), Expires: at}, at)},
		"over":     {Version: recordVersion, ID: "f", Asker: who, Over: overWith(&oauth.Error{Kind: device.ErrInterrupted, Code: "invalid_grant", Status: 400}, at)},
		"declined": {Version: recordVersion, Declines: []decline{{programHash("codex"), at}}},
	}
}

func TestRecord(t *testing.T) {
	for name, r := range samples() {
		read, err := decode(r.encode())
		if err != nil || !reflect.DeepEqual(read, r) {
			t.Errorf("%s: %+v, %v", name, read, err)
		}
	}
	if r, err := decode(nil); err != nil || r.encode() != nil {
		t.Errorf("nothing is %+v, %v", r, err)
	}
}

// What cannot be a record is none, and is not quoted.
func TestRecord_Unreadable(t *testing.T) {
	for name, change := range map[string]func(*record){
		"no flight":         func(r *record) { r.ID = "" },
		"no code":           func(r *record) { r.Code = nil },
		"two states":        func(r *record) { r.Over, r.Grant = &over{Kind: "denied"}, &grant{Access: "a"} },
		"an unheard end":    func(r *record) { r.Over = &over{Kind: "secret-kind"} },
		"a token to inject": func(r *record) { r.Grant = &grant{Access: "a\r\nX: secret"} },
		"a long name":       func(r *record) { r.By = strings.Repeat("x", 3000) },
		"many declines":     func(r *record) { r.Declines = make([]decline, 9) },
	} {
		r := samples()["waiting"]
		change(r)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(text); !errors.Is(err, errUnreadable) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decode([]byte(`{"v":2,"id":"x"}`)); !errors.Is(err, errForeign) {
		t.Errorf("another version: %v", err)
	}
	if _, err := decode([]byte(strings.Repeat(" ", maxRecord) + "{}")); !errors.Is(err, errUnreadable) {
		t.Errorf("a long one: %v", err)
	}
}

// What one process hears, another says; nothing that is in a record gets into that but known words.
func TestOver(t *testing.T) {
	for _, k := range kinds {
		o := overWith(&oauth.Error{Op: "poll", Kind: k.err, Code: "invalid_grant", Status: 400}, at)
		if err := o.err(); o.Kind != k.name || !errors.Is(err, k.err) {
			t.Errorf("%s is %q: %v", k.name, o.Kind, err)
		}
	}
	o := &over{Kind: "denied", Code: "made up <b>", Status: 9999}
	if text := o.err().Error(); strings.Contains(text, "made up") || strings.Contains(text, "9999") {
		t.Error(text)
	}
	refused := &over{Kind: "refused", At: at}
	for after, want := range map[time.Duration]bool{0: true, 59 * time.Second: true, 61 * time.Second: false, -2 * time.Minute: false} {
		if refused.isVain(at.Add(after)) != want {
			t.Errorf("after %v it is vain: %t", after, !want)
		}
	}
}

// The process that polled last polls when it is due, and others once it has missed that for a whole interval;
// if it has left, whoever comes polls. Nobody polls early.
func TestTurn(t *testing.T) {
	for name, test := range map[string]struct {
		by    string
		after time.Duration // the poll is due
		late  bool
		want  move
		next  time.Duration // after it is due
	}{
		"mine, not due":       {"me", -time.Second, false, wait, 0},
		"mine":                {"me", 0, false, poll, 0},
		"mine, nearly late":   {"me", 2 * time.Second, false, poll, 0},
		"mine, too late":      {"me", 3 * time.Second, false, take, 0},
		"mine, taken anew":    {"me", 3 * time.Second, true, poll, 0},
		"nobody's, not due":   {"", -time.Second, false, wait, 0},
		"nobody's":            {"", 0, false, take, 0},
		"another's, not due":  {"p", -3 * time.Second, false, wait, time.Second},
		"another's, due":      {"p", 0, false, wait, time.Second},
		"another's, missed":   {"p", 7 * time.Second, false, wait, 7*time.Second + 250*time.Millisecond},
		"another's, for long": {"p", 7*time.Second + 250*time.Millisecond, false, take, 0},
	} {
		r := samples()["waiting"]
		r.By = test.by
		now := r.Code.Next.Add(test.after)
		m, next := r.decide("me", now, test.late)
		if m != test.want || m == wait && next.Sub(r.Code.Next) != test.next {
			t.Errorf("%s: %v, %v after it is due", name, m, next.Sub(r.Code.Next))
		}
	}
	r := samples()["waiting"]
	for by, doubt := range map[string]bool{"p": true, "": false, "me": false} {
		r.By = by
		if taken := r.taken("me", at); taken.By != "me" || taken.Code.Doubt != doubt || !taken.Code.Next.Equal(at) || r.Code.Doubt {
			t.Errorf("taken from %q: in doubt %t", by, taken.Code.Doubt)
		}
	}
	// The last poll is sent just before the code's end: there is no interval left to wait.
	r.By, r.Code.Next = "p", r.Code.Expires.Add(-2*time.Second)
	if got := r.takeover(); !got.Equal(r.Code.Expires.Add(-time.Second)) {
		t.Errorf("taken over %v before the end", r.Code.Expires.Sub(got))
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range samples() {
		f.Add(r.encode())
	}
	f.Add([]byte(`{"v":1,"id":"x","code":null,"over":{}}`))
	f.Add([]byte(`{"v":1,"page":{"code":"x","scopes":"a","expires":"2026-01-01T00:00:00Z","by":"p","turn":-1,"over":{"kind":"denied"}}}`))
	server, err := oauth.New(oauth.Config{
		Endpoints:   oauth.Endpoints{DeviceAuthorization: "https://as.example/device", Token: "https://as.example/token"},
		Credentials: oauth.Credentials{ID: "notes"},
	})
	if err != nil {
		f.Fatal(err)
	}
	client, err := device.New(server, device.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decode(text)
		if err != nil {
			return
		}
		if again := r.encode(); again != nil {
			if _, err := decode(again); err != nil {
				t.Fatalf("it cannot be read again: %v", err)
			}
		}
		now := time.Now()
		if r.Over != nil {
			_ = r.Over.err().Error()
		}
		if r.Code == nil || r.Over != nil {
			return
		}
		auth, err := client.Resume(*r.Code)
		if err != nil {
			return
		}
		if time.Until(auth.Expires) > time.Hour || time.Until(auth.Next()) > time.Hour {
			t.Fatal("there is a wait of more than an hour")
		}
		if m, next := r.decide("me", now, false); m == wait && r.By != "me" && next.Sub(now) > mostLook {
			t.Fatalf("it is looked at after %v", next.Sub(now))
		}
	})
}

// What an earlier release has written reads as it did, and is written like that; what a later one has added is passed over.
// The texts are never to be changed: of processes that share a store some are of the release before.
func TestRecord_WrittenBefore(t *testing.T) {
	const asker = `"asker":{"issuer":"https://as.example","device":"https://as.example/device","token":"https://as.example/token","client":"notes"}`
	for _, text := range []string{
		`{"v":1,"id":"f",` + asker + `,"code":{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device",` +
			`"verification_uri_complete":"https://as.example/device?user_code=WDJB-MJHT","scopes":"profile","expires":"2026-11-26T12:10:00Z","life":600000000000,` +
			`"interval":5000000000,"next":"2026-11-26T12:00:05Z","rare":true,"backoff":1000000000,"unread":1,"lost":true,"doubt":true,"verifier":"verifier"},"by":"p",` +
			`"grant":{"access":"access","refresh":"refresh","expires":"2026-11-26T12:00:00Z","scopes":"profile","missing":"notes:read","client":"notes","confidential":true,` +
			`"got":"2026-11-26T12:00:00Z","until":"2026-11-26T12:01:30Z"},"declines":[{"program":"57de4cf40144bdf7d00010f2f5557a7d","at":"2026-11-26T12:00:00Z"}]}`,
		`{"v":1,"id":"f",` + asker + `,"over":{"kind":"interrupted","code":"invalid_grant","status":400,"at":"2026-11-26T12:00:00Z"}}`,
		`{"v":1,"page":{"code":"0123456789abcdefghijkl","scopes":"notes:read profile","expires":"2026-11-26T12:10:00Z","by":"p","turn":1,` +
			asker + `,"over":{"kind":"denied","at":"2026-11-26T12:00:00Z"}}}`,
	} {
		for _, written := range []string{text, text[:len(text)-1] + `,"later":{"than":"this"}}`} {
			r, err := decode([]byte(written))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(string(r.encode())); got != text {
				t.Errorf("it is written as\n%s, and was\n%s", got, text)
			}
		}
	}
}
