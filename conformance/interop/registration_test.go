package interop_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// registered returns the clients that have registered under a name, the oldest first.
func (p *provider) registered(t *testing.T, name string) (all []oidcClient) {
	t.Helper()
	for _, e := range p.journal(t) {
		if e.ClientName == name && p.at(e, p.Registration) && e.Status == http.StatusCreated {
			all = append(all, oidcClient{ID: e.ClientID, Name: name})
		}
	}
	return all
}

// A server that has no client id registers itself when somebody has to sign in, and is told who it is
// from then on: once, also for a process that starts later and shares its store.
func TestRegistration(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		name, folder, ada := "Notes "+rand.Text(), filepath.Join(t.TempDir(), "grants"), meet(t)
		service := lazyauth.Service{Registration: &lazyauth.Registration{ClientName: name}}
		r := startRedirecting(t, as, patience, service, lazyauth.Options{Store: openFolder(t, folder)})
		if n := len(as.registered(t, name)); n != 0 {
			t.Errorf("registered %d times before anybody had to sign in", n)
		}
		s := r.begin("whoami")
		r.client = as.registered(t, name)[0]
		r.lands(ada, s.walk(ada, approves), "signed-in")
		s.granted(ada.name, 1)

		next := startRedirecting(t, as, patience, service, lazyauth.Options{Store: openFolder(t, folder)})
		next.client = r.client
		next.join(next.ctx, "whoami").granted(ada.name, 1)
		more := next.begin("create_note")
		next.lands(ada, more.walk(ada, approves), "signed-in")
		if err := <-more.done; err != nil {
			t.Error(err)
		}
		if n := len(as.registered(t, name)); n != 1 {
			t.Errorf("registered %d times", n)
		}
	})
}

func openFolder(t *testing.T, folder string) store.Store {
	t.Helper()
	kept, err := store.File(folder, storeKey)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// The authorization server has forgotten the client, which it says when its token is to be refreshed.
// (oidc-provider fails at the introspection of what it has issued to it.) The server registers another, once a minute has passed since it registered the first, and the person
// signs in anew.
func TestRegistration_Forgotten(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]site{
		"oidc-provider": {world.plain, plainly, false},
		"better-auth":   {world.better["forgetful"], func(t *testing.T) somebody { return asMemberOf(t, world.better["forgetful"]) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if of.script {
				seat(t)
			}
			as, name, ada := of.as, "Notes "+rand.Text(), of.meet(t)
			r := startRedirecting(t, as, 3*time.Minute, lazyauth.Service{
				Registration: &lazyauth.Registration{ClientName: name}, Scopes: scopes.Of("offline_access"),
			}, lazyauth.Options{})
			s := r.begin("whoami")
			r.client = as.registered(t, name)[0]
			r.lands(ada, s.walk(ada, approves), "signed-in")
			s.granted(ada.name, 1)
			as.forget(t, r.client)

			again := time.NewTicker(2 * time.Second)
			defer again.Stop()
			for s = nil; s == nil; {
				call := r.join(r.ctx, "whoami")
				select {
				case call.link = <-r.shown:
					s = call
				case err := <-call.done:
					if r.ctx.Err() != nil {
						t.Fatalf("nobody is asked again: %v", err)
					}
					<-again.C
				}
			}
			all := as.registered(t, name)
			if len(all) != 2 {
				t.Fatalf("registered %d times: %+v", len(all), all)
			}
			r.client = all[1]
			r.links = append(r.links, s.link)
			r.lands(ada, s.walk(ada, approves), "signed-in")
			s.granted(ada.name, 1)
		})
	}
}

// By device as well.
func TestRegistration_Device(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]*provider{"oidc-provider": world.as, "better-auth": world.better["plain"]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			name := "Notes " + rand.Text()
			visitor, err := as.meet(t.Context(), as)
			if err != nil {
				t.Fatal(err)
			}
			auth, err := lazyauth.New(lazyauth.Service{
				Name: "Notes", Issuer: as.Issuer, Registration: &lazyauth.Registration{ClientName: name},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer auth.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for _, need := range []string{"profile", "notes:read"} {
				err := auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of(need), func(ctx context.Context, p elicit.Prompt) error {
					return visitor.approve(ctx, p.VerificationURI, p.UserCode)
				})
				if err != nil {
					t.Error(err)
				}
			}
			if n := len(as.registered(t, name)); n != 1 {
				t.Errorf("registered %d times", n)
			}
		})
	}
}
