package main

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/internal/hosttest"
)

// act plays a story in both protocol eras, in virtual time and without sockets.
func act(t *testing.T, story func(t *testing.T, as *fakeas.Server, host *hosttest.Host)) {
	t.Helper()
	for _, protocol := range hosttest.Protocols {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := fakeas.New(nil)
				server, auth, err := newServer(config{
					issuer: as.Issuer(), clientID: fakeas.DefaultClientID, api: as.API(), transport: as.Transport(),
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := auth.Close(); err != nil {
						t.Error(err)
					}
				})
				story(t, as, hosttest.ConnectInMemory(t, as, protocol, server))
				for _, violation := range as.Violations() {
					t.Error(violation)
				}
			})
		})
	}
}

var milk = map[string]string{"text": "Buy milk"}

func TestAsksForMoreOnlyToWrite(t *testing.T) {
	act(t, func(t *testing.T, as *fakeas.Server, host *hosttest.Host) {
		host.WantAnswer("ensure_note", milk, `{"created":true,"id":1,"text":"Buy milk"}`)
		both := []string{"notes:read", "notes:read notes:write"}
		host.WantAsked(both...) // twice within one call
		host.WantAnswer("starts", nil, `{"ensure_note":1}`)

		host.WantAnswer("ensure_note", milk, `{"created":false,"id":1,"text":"Buy milk"}`)
		host.WantAnswer("ensure_note", map[string]string{"text": "Buy bread"}, `{"created":true,"id":2,"text":"Buy bread"}`)
		host.WantAsked(both...)
		if n := as.Count(fakeas.CreateNote, ""); n != 3 {
			t.Errorf("%d requests to write, want one that was refused and one for each note", n)
		}
	})
}

func TestWhoMayOnlyReadGoesOnReading(t *testing.T) {
	act(t, func(t *testing.T, as *fakeas.Server, host *hosttest.Host) {
		host.WantAnswer("list_notes", nil, `{"notes":[]}`)
		host.Decide = host.Deny
		host.WantError("ensure_note", milk, "denied")
		host.WantAsked("notes:read", "notes:read notes:write")
		host.WantAnswer("list_notes", nil, `{"notes":[]}`)
		host.WantAsked("notes:read", "notes:read notes:write") // the first grant lives on
		if n := as.Count(fakeas.CreateNote, fakeas.OK); n != 0 {
			t.Errorf("%d notes written", n)
		}
	})
}

func TestAChallengeCannotAskForAnything(t *testing.T) {
	act(t, func(_ *testing.T, as *fakeas.Server, host *hosttest.Host) {
		as.Script(fakeas.CreateNote, fakeas.Raw(http.StatusForbidden, http.Header{
			"Www-Authenticate": {`Bearer error="insufficient_scope", scope="admin"`},
		}, ""))
		host.WantError("ensure_note", milk, "more access than this server may ask for")
		host.WantAsked("notes:read")
	})
}
