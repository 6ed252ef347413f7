package lazyauth

// This benchmark is inside the package to reach a call without a server
// around it, whose JSON would hide what is measured.

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// answering is a RoundTripper that costs next to nothing.
type answering struct{ res *http.Response }

func (a answering) RoundTrip(*http.Request) (*http.Response, error) { return a.res, nil }

// plainTransport does what a hand-written transport does: it sets the header on a copy
// of the request.
type plainTransport struct {
	token string
	next  http.RoundTripper
}

func (p plainTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	clone := req.Clone(req.Context())
	clone.Header.Set("Authorization", "Bearer "+p.token)
	return p.next.RoundTrip(clone)
}

// BenchmarkTransport measures an authorized request through the transport, as a
// multiple of one through a plain transport that sets the same header; the two
// run in turns.
func BenchmarkTransport(b *testing.B) {
	next := answering{&http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}}
	auth := gateAuth(b, nil)
	auth.options.Transport = next // once it has signed in
	g := auth.newGate("list_notes", scopes.Of("notes:read"))
	session := new(mcp.ServerSession)
	auth.session.Store(session) // the local user's
	c, err := g.admit(b.Context(), &mcp.CallToolRequest{Session: session, Params: &mcp.CallToolParamsRaw{Name: "list_notes"}})
	if err != nil {
		b.Fatal(err)
	}
	ours, theirs := transport{call: c}, plainTransport{"token", next}
	req, err := http.NewRequestWithContext(c, http.MethodGet, fakeas.DefaultAPI+"/notes", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	send := func(rt http.RoundTripper) {
		if res, err := rt.RoundTrip(req); err != nil || res.StatusCode != 200 {
			b.Fatal(res, err)
		}
	}
	const batch = 256
	var ratios []float64
	for b.Loop() {
		began := time.Now()
		for range batch {
			send(theirs)
		}
		middle := time.Now()
		for range batch {
			send(ours)
		}
		ratios = append(ratios, float64(time.Since(middle))/float64(middle.Sub(began)))
	}
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratios[len(ratios)/2], "x-plain")
	b.ReportMetric(testing.AllocsPerRun(1000, func() { send(ours) }), "allocs/request")
	b.ReportMetric(testing.AllocsPerRun(1000, func() { send(theirs) }), "plain-allocs/request")
}
