package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A tenant is how one of better-auth's tenants differs from what it comes with.
type tenant struct {
	Interval       string `json:"interval,omitempty"`       // of polls
	Hurries        bool   `json:"hurries,omitempty"`        // the second poll for a code is always too early
	AccessTokenTTL int    `json:"accessTokenTTL,omitempty"` // seconds, 0 is an hour
}

// The tenants. better-auth states whole seconds and enforces fractions: a client
// of the hurried one, which polls after the five that it is told, is too early
// and told to slow down, by the real server and for a reason of its own. Since a
// machine that is busy makes a poll nine tenths of a second late, that tenant counts the
// time before the second poll for nothing.
var tenants = map[string]tenant{
	"plain":     {},
	"hurried":   {Interval: "5.9s", Hurries: true},
	"forgetful": {AccessTokenTTL: 10},
}

// startBetterAuth starts better-auth. The caller must call end.
func startBetterAuth(ctx context.Context) (all map[string]*provider, end func() error, err error) {
	c, err := startChild(ctx, "better-auth", "node", "better-auth/provider.mjs")
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var ready struct {
		Management string
		Tenants    map[string]struct{ Issuer, Registration, Introspection, Revocation string }
	}
	err = errors.Join(c.send(map[string]any{
		"scopes": append(slices.Clone(serverScopes), "offline_access"), "tenants": tenants,
	}), c.receive(ctx, &ready))
	if err != nil {
		_ = c.end()
		return nil, nil, err
	}
	all = map[string]*provider{}
	for name, t := range ready.Tenants {
		// Its metadata is left for the library to find.
		p := &provider{
			Issuer: t.Issuer, Registration: t.Registration, Introspection: t.Introspection, Revocation: t.Revocation,
			management: ready.Management, clients: ready.Management + "/" + name + "/clients/",
			userCode: regexp.MustCompile(`\b[A-HJ-NP-Z2-9]{8}\b`),
			meet:     newMember,
		}
		p.api = startNotes(p)
		all[name] = p
	}
	return all, func() error {
		for _, p := range all {
			p.api.Close()
		}
		return c.end()
	}, nil
}

// A member is a person with an account at better-auth, which has no pages: a
// member does what the script of the application's page would do.
type member struct {
	*person
	origin string
	email  string
}

// newMember signs somebody up, which also signs them in.
func newMember(ctx context.Context, as *provider) (visitor, error) {
	u, err := url.Parse(as.Issuer)
	if err != nil {
		return nil, err
	}
	m := member{person: newPerson(""), origin: u.Scheme + "://" + u.Host}
	var account struct{ User struct{ ID string } }
	name := "ada-" + strings.ToLower(rand.Text()[:8])
	m.email = name + "@example.com"
	err = m.post(ctx, as.Issuer+"/sign-up/email", map[string]string{
		"name": name, "email": m.email, "password": "any will do",
	}, &account)
	m.name = account.User.ID // the subject of the tokens
	return m, err
}

func (m member) approve(ctx context.Context, address, userCode string) error {
	return m.decide(ctx, address, userCode, "/approve")
}

func (m member) deny(ctx context.Context, address, userCode string) error {
	return m.decide(ctx, address, userCode, "/deny")
}

// decide enters the code, which also claims it for this account, reads what it
// is for, and decides.
func (m member) decide(ctx context.Context, address, userCode, verdict string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+url.Values{"user_code": {userCode}}.Encode(), nil)
	if err != nil {
		return err
	}
	var asked struct{ Status, Scope string }
	if err := decodeWith(m.browser, req, http.StatusOK, &asked); err != nil {
		return err
	}
	if asked.Status != "pending" || asked.Scope == "" {
		return fmt.Errorf("a code that is to be decided: %+v", asked)
	}
	if verdict == "/approve" {
		m.consented = append(m.consented, strings.Fields(asked.Scope)...)
	}
	return m.post(ctx, address+verdict, map[string]string{"userCode": userCode}, &struct{}{})
}

// post sends JSON from a page of the application.
func (m member) post(ctx context.Context, address string, in map[string]string, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", m.origin)
	return decodeWith(m.browser, req, http.StatusOK, out)
}

// TestBetterAuthServer is, like those of deviceflow_test.go, without the library:
// these are the habits of better-auth that the stories are told for.
func TestBetterAuthServer(t *testing.T) {
	t.Parallel()
	as := world.better["hurried"]
	client := as.register(t, publicClient)
	visitor, err := as.meet(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	code := as.authorize(t, client, "profile")
	if code.Interval == nil || *code.Interval != 5 {
		t.Errorf("interval = %v, want 5: less than it enforces", code.Interval)
	}
	if got := as.poll(t, client, code.DeviceCode); got.Error != "authorization_pending" {
		t.Errorf("polled before anybody approved: %+v", got)
	}
	if err := visitor.approve(t.Context(), code.VerificationURI, code.UserCode); err != nil {
		t.Fatal(err)
	}
	// Too early comes before approved.
	started := time.Now()
	got := as.poll(t, client, code.DeviceCode)
	if got.Error != "slow_down" {
		t.Errorf("polled an approved code too early: %+v", got)
	}
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for got.Error == "slow_down" && time.Since(started) < patience {
		<-every.C
		got = as.poll(t, client, code.DeviceCode)
	}
	if got.Error != "" || got.Scope != "profile" || got.RefreshToken != "" {
		t.Errorf("polled in time: %+v, want a token, and none to refresh it without offline_access", got)
	}
	if got := as.poll(t, client, code.DeviceCode); got.Error != "invalid_grant" {
		t.Errorf("a code was good twice: %+v", got)
	}
	denied := as.authorize(t, client, "profile")
	if err := visitor.deny(t.Context(), denied.VerificationURI, denied.UserCode); err != nil {
		t.Fatal(err)
	}
	if got := as.poll(t, client, denied.DeviceCode); got.Error != "access_denied" {
		t.Errorf("polled after the refusal: %+v", got)
	}

	device := as.endpoints(t).Device
	var refused tokenAnswer
	post(t, device, url.Values{"client_id": {client.ID}, "scope": {"profile notes:share"}}, &refused)
	if refused.Error != "invalid_scope" {
		t.Errorf("a scope that it does not know: %+v", refused)
	}
	// A client is held to the one way of authentication that it registered, at
	// the device authorization endpoint, too.
	basic := as.register(t, basicClient)
	post(t, device, url.Values{"client_id": {basic.ID}, "client_secret": {basic.Secret}, "scope": {"profile"}}, &refused)
	if refused.Error != "invalid_client" {
		t.Errorf("a secret in another place than was registered: %+v", refused)
	}
}
