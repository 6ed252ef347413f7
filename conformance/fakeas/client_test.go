package fakeas_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// A client that was not there is given neither code nor error; one that was is.
func TestClient_Forgotten(t *testing.T) {
	p := newPeer(t, nil)
	code, token := p.code(), p.login("profile")
	p.as.ForgetClient(fakeas.DefaultClientID)
	for name, a := range map[string]answer{
		"exchange": p.exchange(code),
		"refresh":  p.refresh(token.text("refresh_token")),
		"device":   p.must(p.form(fakeas.DeviceAuthorization)),
		"revoke":   p.must(p.form(fakeas.Revocation, "token", token.text("access_token"))),
	} {
		if a.status != http.StatusUnauthorized || outcome(a) != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL()); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("authorization endpoint: %v", err)
	}
	p.flawless()
}
