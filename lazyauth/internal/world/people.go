package world

import (
	"context"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// Person waits until a code was issued and returns it with what was asked for.
func (w *World) Person() fakeas.Request {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Hour)
	defer cancel()
	req, err := w.AS.WaitForRequest(ctx)
	if err != nil {
		w.T.Fatalf("no authorization was asked for: %v", err)
	}
	return req
}

// Approves waits for the next code and approves it.
func (w *World) Approves(granted ...string) {
	w.T.Helper()
	if err := w.AS.Approve(w.Person().UserCode, granted...); err != nil {
		w.T.Fatal(err)
	}
}

// Denies waits for the next code and denies it at the authorization server.
func (w *World) Denies() {
	w.T.Helper()
	if err := w.AS.Deny(w.Person().UserCode); err != nil {
		w.T.Fatal(err)
	}
}

// ByClientName tells principals apart by what their host calls itself: good
// enough for a test.
func ByClientName(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
	return lazyauth.Principal{Subject: req.ClientInfo().Name}, nil
}

// OnePerson takes everybody for the local user, whichever host they use.
func OnePerson(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
	return lazyauth.LocalUser, nil
}

// Anybody is a VerifyUser that lets every token pass.
func Anybody(context.Context, lazyauth.Principal, *oauth2.Token) error { return nil }

// Answers demands that a call was answered like this by now, and nobody was asked.
func (w *World) Answers(c <-chan Reply, want string) {
	w.T.Helper()
	select {
	case r := <-c:
		r.Succeeds(w.T, want)
	default:
		w.T.Error("the person is asked")
		w.Approves()
		<-c
	}
}

// Ends lets a call end, however it does.
func (w *World) Ends(c <-chan Reply) {
	w.T.Helper()
	select {
	case <-c:
	default:
		w.Approves()
		<-c
	}
}

// SignedIn returns a host whose person has signed in for whoami.
func (w *World) SignedIn(era string) *Host {
	w.T.Helper()
	h := w.Host(era, Accepts)
	call := h.Call(w.T.Context(), "whoami", nil)
	w.Approves()
	(<-call).Succeeds(w.T, "Ada")
	return h
}

// SignsIn has the local user sign in beforehand.
func (w *World) SignsIn(need ...string) {
	w.T.Helper()
	err := w.Auth.Authorize(w.T.Context(), lazyauth.LocalUser, scopes.Of(need...), func(_ context.Context, p elicit.Prompt) error {
		return w.AS.Approve(p.UserCode)
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// ApprovesFor approves the next code, which must have been asked for with these scopes.
func (w *World) ApprovesFor(want string, granted ...string) {
	w.T.Helper()
	req := w.Person()
	if got := strings.Join(req.Scopes, " "); got != want {
		w.T.Errorf("asked for %q, want %q", got, want)
	}
	if err := w.AS.Approve(req.UserCode, granted...); err != nil {
		w.T.Error(err)
	}
}
