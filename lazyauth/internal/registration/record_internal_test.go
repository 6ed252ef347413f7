package registration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

func aServer(t testing.TB) *oauth.Client {
	t.Helper()
	server, err := oauth.New(oauth.Config{Endpoints: oauth.Endpoints{Token: "https://as.example.test/token"}})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// A registration is read as it was written.
func TestRecord(t *testing.T) {
	r := &registered{at: time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC), row: 3}
	r.Credentials = oauth.Credentials{ID: "id", Secret: "s3cr3t", AuthStyle: oauth2.AuthStyleInHeader}
	r.SecretExpires, r.ManagementToken, r.ManagementURI = r.at.Add(time.Hour), "s3cr3t-token", "https://as.example.test/register/s3cr3t"
	text := r.encode()
	got, client, err := decode(aServer(t), text)
	if err != nil || *got != *r || client.ClientID() != "id" {
		t.Errorf("%+v, %v, %v", got, client, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, r) + fmt.Sprintf(verb, *r) + fmt.Sprintf(verb, client); strings.Contains(text, "s3cr3t") {
			t.Errorf("%s writes a secret: %s", verb, text)
		}
	}
}

func TestRecord_Unreadable(t *testing.T) {
	for text, foreign := range map[string]bool{
		`{"v":2,"client_id":"id"}`: true, `{"client_id":"id"}`: true, `s3cr3t`: false, `{"v":1}`: false, `{"v":1,"client_id":"s3cr3t\u0000"}`: false,
		`{"v":1,"client_id":"id","client_secret":"s3cr3t\n"}`: false, `{"v":1,"client_id":"id","auth_style":9}`: false,
		`{"v":1,"client_id":"` + strings.Repeat("x", maxRecord) + `"}`: false,
	} {
		got, _, err := decode(aServer(t), []byte(text))
		if got != nil || err == nil || errors.Is(err, errForeign) != foreign || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%.40s: %v, %v", text, got, err)
		}
	}
}

// A clock that was set back, or a record of nonsense, makes nobody wait for long.
func TestRecord_Pause(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		r    registered
		most time.Duration
	}{
		{registered{at: now.Add(time.Hour)}, 0},
		{registered{at: now, row: 1 << 40}, 9 * time.Hour},
		{registered{at: now, row: 2}, 4 * time.Minute},
		{registered{at: now, row: 5, Registration: oauth.Registration{SecretExpires: now}}, time.Minute},
		{registered{}, 0},
	} {
		if pause := test.r.pause(); pause > test.most {
			t.Errorf("%+v: %v", test.r, pause)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"client_id":"id","client_secret":"s","auth_style":1,"client_secret_expires_at":"2026-11-01T00:00:00Z","at":"2026-11-01T00:00:00Z","row":3}`))
	f.Add([]byte(`{"v":1,"client_id":"id","registration_access_token":"t","registration_client_uri":"https://as.example.test/x"}`))
	f.Add([]byte(`{"v":2}`))
	server := aServer(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, client, err := decode(server, text)
		if err != nil {
			if r != nil || client != nil {
				t.Error("an error and a client")
			}
			return
		}
		if client.ClientID() == "" || r.row < 0 || r.row > mostRow {
			t.Errorf("%+v", r)
		}
		r.pause()
		r.next()
		r.hasEnded()
		if r.at.Year() < 0 || r.at.Year() > 9999 || r.SecretExpires.Year() < 0 || r.SecretExpires.Year() > 9999 {
			return
		}
		if again, _, err := decode(server, r.encode()); err != nil || again.Credentials != r.Credentials || again.row != r.row {
			t.Errorf("%+v is read as %+v, %v", r, again, err)
		}
	})
}

// What an earlier release has written reads as it did, and is written like that; what a later one has added is passed over.
// The text is never to be changed: of processes that share a store some are of the release before.
func TestRecord_WrittenBefore(t *testing.T) {
	const text = `{"v":1,"client_id":"id","client_secret":"s3cr3t","auth_style":2,"client_secret_expires_at":"2026-11-01T03:03:04Z",` +
		`"registration_access_token":"s3cr3t-token","registration_client_uri":"https://as.example.test/register/s3cr3t","at":"2026-11-01T02:03:04Z","row":3}`
	for _, written := range []string{text, text[:len(text)-1] + `,"later":{"than":"this"}}`} {
		r, _, err := decode(aServer(t), []byte(written))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.encode()); got != text {
			t.Errorf("it is written as\n%s, and was\n%s", got, text)
		}
	}
}
