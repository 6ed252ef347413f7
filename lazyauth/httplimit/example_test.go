package httplimit_test

import (
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What a server has of its own: who bears a token, who is signed in at a browser, and its tools.
var (
	verify        auth.TokenVerifier
	whoIsSignedIn func(*http.Request) (lazyauth.Principal, error)
	addTools      func(*mcp.Server, *lazyauth.Interceptor)
)

// A server for many people, behind a proxy on its machine. It is shown in docs/http.md.
func Example() {
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: "https://mcp.example.com/connect", Who: whoIsSignedIn})
	if err != nil {
		log.Fatal(err)
	}
	signIns, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: "https://as.example.com", ClientID: "notes", APIOrigins: []string{"https://api.example.com"},
		Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, ConnectPage: page,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
	addTools(server, signIns)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true, DisableLocalhostProtection: true})

	limiter := httplimit.New(&httplimit.Limits{Address: httplimit.BehindProxies(netip.MustParsePrefix("127.0.0.1/32"))})
	mux := http.NewServeMux()
	mux.Handle("/mcp", auth.RequireBearerToken(verify, nil)(limiter.ByPerson(nil, handler)))
	mux.Handle("/connect", limiter.Pages(page))
	mux.Handle("/connect/", limiter.Pages(page))
	web := &http.Server{Handler: limiter.ByAddress(mux), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(web.Serve(limiter.Listener(listener)))
}
