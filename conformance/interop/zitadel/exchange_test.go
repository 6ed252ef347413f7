package zitadel_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The client that exchanges tokens.
const (
	exchangerID     = "mcp-server"
	exchangerSecret = "of the MCP server"
)

// bearer returns an access token of the user's, as a host got it by the device flow.
func (p *provider) bearer(t *testing.T) string {
	t.Helper()
	h := newHost(t, p, "2026-07-28", clientID, nil)
	call := h.begin()
	p.approve(t, h.code())
	if r := <-call; r.err != nil || r.IsError {
		t.Fatalf("signing in: %v", r)
	}
	token, _, _ := h.wire.last(t)
	return token
}

// tokenRequests notes the grant types of token requests, and what came of them.
type tokenRequests struct {
	mu   sync.Mutex
	list []string
}

func (r *tokenRequests) RoundTrip(req *http.Request) (*http.Response, error) {
	grant := ""
	if req.Method == http.MethodPost {
		if body, err := req.GetBody(); err == nil {
			form := http.Request{Method: req.Method, Header: req.Header, Body: body}
			grant = form.PostFormValue("grant_type")
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && grant != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.list = append(r.list, fmt.Sprint(grant[strings.LastIndexByte(grant, ':')+1:], " ", res.StatusCode))
	}
	return res, err
}

func (r *tokenRequests) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.list, ", ")
}

// whoami calls the tool of an MCP server over HTTP with this bearer token, which its verifier
// says to be of this issuer. The server's API is p's.
func (p *provider) whoami(t *testing.T, way *lazyauth.TokenExchange, bearer, issuer string, verifier *provider) (*mcp.CallToolResult, *tokenRequests) {
	t.Helper()
	wire := new(tokenRequests)
	access, err := lazyauth.New(lazyauth.Service{
		Name: "Zitadel", Issuer: p.issuer, ClientID: exchangerID, ClientSecret: exchangerSecret, APIOrigins: []string{p.url("")}, Dialect: userInfoDemand,
	}, &lazyauth.Options{Transport: wire, Unattended: []lazyauth.Unattended{{
		Callers: func(c lazyauth.Caller) bool { return c.Bearer != "" }, Exchange: way,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := access.Close(); err != nil {
			t.Error(err)
		}
	})
	server := mcp.NewServer(&mcp.Implementation{Name: "who", Version: "1"}, nil)
	lazyauth.AddTool(server, access, &mcp.Tool{Name: "whoami"}, scopes.Of("openid", "profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (_ *mcp.CallToolResult, out who, err error) {
			res, err := lazyauth.Client(ctx).Get(p.url("/userinfo"))
			if err != nil {
				return nil, out, err
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return nil, out, fmt.Errorf("the provider says %s", res.Status)
			}
			return nil, out, json.NewDecoder(res.Body).Decode(&out)
		})
	verify := func(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, verifier.url("/userinfo"), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		var is who
		if res.StatusCode != http.StatusOK || json.NewDecoder(res.Body).Decode(&is) != nil {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{UserID: is.Subject, Expiration: time.Now().Add(verifier.tokens), Extra: map[string]any{"iss": issuer}}, nil
	}
	endpoint := httptest.NewServer(auth.RequireBearerToken(verify, nil)(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})))
	t.Cleanup(endpoint.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: endpoint.URL, HTTPClient: &http.Client{Transport: withBearer(bearer)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		t.Fatal(err)
	}
	return result, wire
}

type withBearer string

func (b withBearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(req)
}

// A bearer token of the provider's own is exchanged, and nobody is asked.
func TestExchange(t *testing.T) {
	p := startProvider(t, lasting, lasting)
	result, wire := p.whoami(t, &lazyauth.TokenExchange{Audience: []string{"notes-api"}}, p.bearer(t), p.issuer, p)
	text, _ := json.Marshal(result.StructuredContent)
	if result.IsError || !strings.Contains(string(text), userID) {
		t.Errorf("the tool returned %s, %v", text, result.Content)
	}
	if got := wire.all(); got != "token-exchange 200" {
		t.Errorf("token requests: %s", got)
	}
}

// One of another issuer goes nowhere; and where the author has it sent all the same, the
// provider refuses it.
func TestExchange_OtherIssuer(t *testing.T) {
	p, other := startProvider(t, lasting, lasting), startProvider(t, lasting, lasting)
	result, wire := p.whoami(t, &lazyauth.TokenExchange{Audience: []string{"notes-api"}}, other.bearer(t), other.issuer, other)
	if !result.IsError || result.Meta[lazyauth.MetaReason] != string(lazyauth.ReasonUnavailable) || wire.all() != "" {
		t.Errorf("the tool returned %v after %s", result.Content, wire.all())
	}
	result, wire = p.whoami(t, &lazyauth.TokenExchange{Audience: []string{"notes-api"}, InsecureIssuers: []string{other.issuer}}, other.bearer(t), other.issuer, other)
	if !result.IsError || result.Meta[lazyauth.MetaReason] != string(lazyauth.ReasonUnavailable) || wire.all() != "token-exchange 400" {
		t.Errorf("the tool returned %v after %s", result.Content, wire.all())
	}
}
