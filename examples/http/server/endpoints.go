package server

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

const (
	// ModernPath is for hosts of revision 2026-07-28.
	ModernPath = "/mcp"
	// LegacyPath is for hosts of the revisions before that.
	LegacyPath = "/mcp/legacy"
	maxBody    = 1 << 20 // bytes of a request
	// metadataPath comes before a resource's path (RFC 9728 §3.1).
	metadataPath = "/.well-known/oauth-protected-resource"
	// idle is when a session of /mcp/legacy ends that no request came for. A
	// host that comes back later is told 404 and opens another; its person's
	// grant is not the session's, and stays.
	idle = time.Hour
)

// endpoints returns everything that is served, at a public base URL, which is ready until ctx ends. Streams in which
// hosts only listen end with a context of their own.
func (s *Server) endpoints(ctx, streams context.Context, public string) http.Handler {
	cfg := &s.cfg
	one := func(*http.Request) *mcp.Server { return s.mcp }
	modern := mcp.NewStreamableHTTPHandler(one, &mcp.StreamableHTTPOptions{
		Logger:                     cfg.SDKLog,
		Stateless:                  true, // the only way in which the SDK serves 2026-07-28
		DisableLocalhostProtection: true, // knownHosts does it, and knows the public name
		MaxRequestBodyBytes:        maxBody,
		// A host that hangs up ends its wait, not the sign-in. Without this the
		// call is held until its patience ends, for nobody.
		PropagateRequestCancellation: true,
	})
	legacy := mcp.NewStreamableHTTPHandler(one, &mcp.StreamableHTTPOptions{
		Logger:                     cfg.SDKLog,
		DisableLocalhostProtection: true,
		MaxRequestBodyBytes:        maxBody,
		SessionTimeout:             idle,
		// In these revisions hanging up is not giving up: hosts may come back for
		// the rest of a stream, with Last-Event-ID.
		EventStore: mcp.NewMemoryEventStore(nil),
	})

	limiter, forward := cfg.Limiter, func(next http.Handler) http.Handler { return next }
	if cfg.Forwarder != nil {
		forward = cfg.Forwarder.Handler
	}
	var verify auth.TokenVerifier // of both endpoints, which remembers what it has learnt
	if !cfg.SingleUser {
		verify = verifier(cfg, resources(public))
	}
	mux := http.NewServeMux()
	for path, handler := range map[string]http.Handler{
		ModernPath: limiter.ByPerson(nil, forward(modern)), LegacyPath: limiter.ByPerson(s.mcp, legacy),
	} {
		handler = listening(streams, handler)
		if !cfg.SingleUser {
			handler = auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{
				ResourceMetadataURL: public + metadataPath + path,
			})(handler)
			mux.Handle(metadataPath+path, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
				Resource:               public + path,
				ResourceName:           "Notes",
				AuthorizationServers:   []string{cfg.Issuer},
				BearerMethodsSupported: []string{"header"},
			}))
		}
		mux.Handle(path, handler)
	}
	if s.page != nil {
		demoSignIn(cfg, mux)
		pages := limiter.Pages(forward(s.page))
		mux.Handle(ConnectPath, pages)
		mux.Handle(ConnectPath+"/", pages)
	}
	if cfg.Ready != nil {
		probes(ctx, cfg, mux)
	}
	// What a web page of another site makes a browser send is refused (MCP
	// basic/transports: servers MUST validate the Origin header).
	return limiter.ByAddress(knownHosts(public, http.NewCrossOriginProtection().Handler(mux)))
}

// listening ends the streams in which hosts only listen when ctx ends. They have
// no end of their own, and would hold up the end of the server. Streams that are
// to bring an answer bring it first.
func listening(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Header.Get("Mcp-Method") == "subscriptions/listen" {
			stream, end := context.WithCancel(r.Context())
			defer end()
			defer context.AfterFunc(ctx, end)()
			r = r.WithContext(stream)
		}
		next.ServeHTTP(w, r)
	})
}

// probes tell whoever runs this process two things: that it is alive, and is to be left alone if it is, and whether it
// can do its work. One that cannot gets no requests for now; to end it would help nobody.
func probes(ctx context.Context, cfg *Config, mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil || cfg.Ready(r.Context()) != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
}

// knownHosts refuses requests for any host but this machine and that of the
// public URL. A web page whose own name is made to resolve to 127.0.0.1 would
// otherwise count as the same site (DNS rebinding). The SDK's own check does
// this for its handlers, but refuses the public name, which many proxies pass
// on to a server on their machine.
func knownHosts(public string, next http.Handler) http.Handler {
	name := ""
	if u, err := url.Parse(public); err == nil {
		name = u.Host
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != name && !IsLoopback(r.Host) {
			http.Error(w, "this server has another name", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLoopback reports whether a host, with or without a port, is this machine
// by its own account: a name that somebody else's DNS resolves never is.
func IsLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.ToLower(host) == "localhost" || ip != nil && ip.IsLoopback()
}

// resources are the names by which a bearer token may say that it is for this
// server (RFC 8707 §2): each endpoint, and all of it.
func resources(public string) []string {
	return []string{public, public + ModernPath, public + LegacyPath}
}
