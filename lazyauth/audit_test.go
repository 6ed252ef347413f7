package lazyauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"golang.org/x/oauth2"
)

// A sign-in, one for more, one that is somebody else's, and the ends by the server's word and the operator's.
func TestAudit_Entries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var verify error
		o := newAudited(t, store.Memory(), nil, func(options *lazyauth.Options) {
			options.VerifyUser = func(context.Context, lazyauth.Principal, *oauth2.Token) error { return verify }
			options.Account = nil
		})
		h := o.Host(world.Modern, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		o.Approves()
		(<-call).Succeeds(t, "Ada")
		call = h.Call(t.Context(), "create_note", world.Note{Text: "one"})
		o.Approves()
		(<-call).Succeeds(t, "one")
		world.Later(2 * time.Hour)
		o.AS.RevokeRefreshTokens()
		verify = errors.New("somebody else")
		call = h.Call(t.Context(), "whoami", nil)
		o.Approves()
		(<-call).Fails(t, lazyauth.ReasonUnverified)
		if got, want := o.audit(), "granted by person, stepped_up by person, ended by authorization_server, refused by server"; got != want {
			t.Fatalf("the audit has %s, want %s", got, want)
		}
		ids := make(map[string]int)
		for _, e := range o.entries {
			ids[e.ID]++
			if e.Service != "Notes" || e.Person != `"ada" of "https://idp.example"` || e.Time.IsZero() || e.Lost != 0 {
				t.Errorf("%+v", e)
			}
			if strings.HasPrefix(string(e.Event), "ended") != (e.Tool == "") {
				t.Errorf("the tool of %s is %q", e.Event, e.Tool)
			}
		}
		if ids[o.entries[1].ID] != 2 || o.entries[2].ID != o.entries[1].ID || len(ids) != 3 {
			t.Errorf("the ids are %v", ids)
		}
		if got := o.entries[1].Scopes.String(); got != "notes:write profile" {
			t.Errorf("stepped up to %q", got)
		}
	})
}

// With a key, nothing names anybody: not the entries, and not what is formatted.
func TestAudit_HashKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := []byte("canary-of-the-audit")
		var entries []lazyauth.AuditEntry
		audit := &lazyauth.Audit{HashKey: key, Record: func(_ context.Context, e lazyauth.AuditEntry) { entries = append(entries, e) }}
		o := newAudited(t, store.Memory(), nil, func(options *lazyauth.Options) { options.Audit = audit })
		h := o.Host(world.Modern, world.Accepts)
		o.signsIn(h, "work")
		o.signsIn(h, "home")
		op := lazyauth.NewOperator(o.Auth, "olga")
		if _, err := op.Bar(t.Context(), ada, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := op.Lift(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		if _, err := op.Export(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		if _, err := op.Erase(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(entries) != 8 {
			t.Errorf("%d entries", len(entries))
		}
		for _, e := range entries {
			if e.Person != entries[0].Person || len(e.Person) != 2*sha256.Size || e.Account != "" || !e.Identity.IsZero() {
				t.Errorf("%+v", e)
			}
			if text := fmt.Sprintf("%+v", e); strings.Contains(text, "ada") || strings.Contains(text, "work") || strings.Contains(text, "idp.example") {
				t.Errorf("it names her: %s", text)
			}
		}
		mac := hmac.New(sha256.New, []byte("another key"))
		mac.Write([]byte(ada.Subject))
		if entries[0].Person == hex.EncodeToString(mac.Sum(nil)) {
			t.Error("another key makes the same")
		}
		if text := fmt.Sprintf("%v %+v %#v", o.Auth, o.Auth, o.Auth); strings.Contains(text, string(key)) {
			t.Error("the key is formatted")
		}
	})
}

// A hook that hangs holds up nobody; what comes meanwhile is told in order, but for what is too much, which is counted.
// Close waits for it a while, and says so.
func TestAudit_HookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		var entries []lazyauth.AuditEntry
		o := newAudited(t, nil, nil, func(options *lazyauth.Options) {
			options.Audit = &lazyauth.Audit{Record: func(_ context.Context, e lazyauth.AuditEntry) {
				<-release
				mu.Lock()
				defer mu.Unlock()
				entries = append(entries, e)
			}}
		})
		op := lazyauth.NewOperator(o.Auth, "olga")
		began := time.Now()
		for n := range 1100 {
			if _, err := op.Export(t.Context(), ada); err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				synctest.Wait() // it hangs in the hook, and not in the queue
			}
		}
		o.signsIn(o.Host(world.Modern, world.Accepts), "work")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		close(release)
		synctest.Wait()
		if _, err := op.Export(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		last := entries[len(entries)-1]
		if len(entries) != 1+1024+1 || last.Lost != 1100+1-1025 {
			t.Errorf("%d entries are told, and %d were lost", len(entries), last.Lost)
		}
		for n, e := range entries[:len(entries)-1] {
			if e.Lost != 0 || n > 0 && e.Time.Before(entries[n-1].Time) {
				t.Errorf("entry %d: %+v", n, e)
			}
		}
	})
}

// Close does not wait for ever for a hook, and a hook that panics, or ends its goroutine, is told the next entry.
func TestAudit_HookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := captureDefault(t)
		told := 0
		release := make(chan struct{})
		audit := &lazyauth.Audit{Record: func(context.Context, lazyauth.AuditEntry) {
			switch told++; told {
			case 1:
				panic("canary")
			case 3:
				<-release
			}
		}}
		i, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer, ClientID: "notes"}, &lazyauth.Options{Audit: audit})
		if err != nil {
			t.Fatal(err)
		}
		op := lazyauth.NewOperator(i, "olga")
		for range 3 {
			if _, err := op.Export(t.Context(), ada); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if told != 3 || !strings.Contains(log.String(), "Options.Audit failed") || strings.Contains(log.String(), "canary") {
			t.Errorf("%d are told; the log has %s", told, log)
		}
		began := time.Now()
		if err := i.Close(); err == nil || !strings.Contains(err.Error(), "Options.Audit has not taken all entries") || time.Since(began) > 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		close(release)
	})
}

// A grant that another process has ended is no entry here, whoever notices: the other process has that.
func TestAudit_EndedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		o := newAudited(t, kept, fakeas.New(&fakeas.Options{TokenLifetime: time.Minute, Interval: time.Second}), nil)
		h := o.Host(world.Modern, world.Accepts)
		o.signsIn(h, "work")
		world.Later(time.Minute) // it has to be refreshed, and is in memory still
		other := newAudited(t, kept, o.AS, nil)
		if n, err := lazyauth.NewOperator(other.Auth, "olga").EndAll(t.Context(), ada); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		o.signsIn(h, "work") // before this process has looked
		if got, want := o.audit(), "granted by person, granted by person"; got != want {
			t.Errorf("the audit has %s, want %s", got, want)
		}
		if got := other.audit(); got != "ended by operator" {
			t.Errorf("the other one has %s", got)
		}
	})
}
