package lazyauth_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// counting is what instrumentation and mocks put in the place of http.DefaultTransport.
type counting struct {
	next     http.RoundTripper
	requests *atomic.Int64
}

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.next.RoundTrip(req)
}

// Programs replace http.DefaultTransport by something that is no *http.Transport
// (otelhttp, httpmock, gock). What they put there is what carries the requests.
func TestOptions_DefaultTransportReplaced(t *testing.T) {
	as := fakeas.New(nil)
	var requests atomic.Int64
	old := http.DefaultTransport
	http.DefaultTransport = counting{as.Transport(), &requests}
	t.Cleanup(func() { http.DefaultTransport = old })

	auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: as.Issuer(), ClientID: "nobody"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer auth.Close()
	err = auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), nil)
	if err == nil || requests.Load() == 0 {
		t.Errorf("%v after %d requests through the transport that was put there", err, requests.Load())
	}
}
