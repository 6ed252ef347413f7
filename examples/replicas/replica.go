package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A replicaConfig is what one process of the server is started with.
type replicaConfig struct {
	Name      string // of this process, in the journal of the authorization server
	Listen    string // where it serves
	Public    string // the address of the proxy before all of them
	Server    string // the authorization server, and the API
	Store     string // a folder, or the URL of a database
	Flow      lazyauth.Flow
	DieAt     string // a point at which the process kills itself; see points
	Without   string // a guard that is taken out; in a build with the tag faults alone
	Namespace string // of the rows in the database
}

// keyVariable has the key from which the replicas' keys are derived, in hexadecimal.
const keyVariable = "REPLICAS_KEY"

// keys are those that all replicas have.
type keys struct{ names, seal, states, hops, bearer []byte }

func keysFrom(text string) (keys, error) {
	secret, err := hex.DecodeString(text)
	if err != nil || len(secret) != 32 {
		return keys{}, fmt.Errorf("%s is not 64 hexadecimal digits", keyVariable)
	}
	derive := func(what string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(what))
		return mac.Sum(nil)
	}
	return keys{derive("names"), derive("seal"), derive("states"), derive("hops"), derive("bearer")}, nil
}

// bearer returns the token by which a user of this demonstration calls: their name, signed. A real
// server has tokens of an authorization server; see examples/http.
func (k keys) bearerOf(user string) string {
	mac := hmac.New(sha256.New, k.bearer)
	mac.Write([]byte(user))
	return user + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (k keys) verify(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	user, _, _ := strings.Cut(token, ".")
	if !hmac.Equal([]byte(token), []byte(k.bearerOf(user))) {
		return nil, auth.ErrInvalidToken
	}
	return &auth.TokenInfo{UserID: user, Expiration: time.Now().Add(time.Hour)}, nil
}

// serveReplica is one process of the server, until ctx ends.
func serveReplica(ctx context.Context, cfg replicaConfig) error {
	k, err := keysFrom(os.Getenv(keyVariable))
	if err != nil {
		return err
	}
	shared, err := openShared(ctx, cfg, k)
	if err != nil {
		return err
	}
	defer shared.close()
	service := lazyauth.Service{
		Name: "Notes", Issuer: cfg.Server, ClientID: fakeas.DefaultClientID, Scopes: scopes.Of("profile"), APIOrigins: []string{cfg.Server},
		Flows: []lazyauth.Flow{cfg.Flow},
	}
	options := lazyauth.Options{
		Store: shared.store, StateKeys: [][]byte{k.states}, MaxWait: 20 * time.Second,
		Transport: dyingTransport{named{cfg.Name, http.DefaultTransport}, cfg.DieAt},
	}
	page := http.NotFoundHandler()
	if cfg.Flow == lazyauth.FlowRedirect {
		connect, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: cfg.Public + "/connect", Who: k.who})
		if err != nil {
			return err
		}
		service.ConnectPage, page = connect, connect
	} else {
		options.VerifyUser = verifyUser(cfg)
	}
	interceptor, err := lazyauth.New(service, &options)
	if err != nil {
		return err
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, interceptor, &mcp.Tool{Name: "create_note", Description: "Adds a note."}, scopes.Of("notes:write"), createNote(cfg.Server))

	forward := func(next http.Handler) http.Handler { return next }
	if shared.directory != nil {
		forwarder, err := httpforward.New(shared.directory, httpforward.Options{
			Address: "http://" + cfg.Listen, Key: k.hops, Failed: func(err error) { fmt.Fprintln(os.Stderr, err) },
		})
		if err != nil {
			return err
		}
		go forwarder.Announce(ctx)
		forward = forwarder.Handler
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", auth.RequireBearerToken(k.verify, nil)(forward(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}))))
	mux.Handle("/connect", forward(page))
	mux.Handle("/connect/", forward(page))
	// A process that is alive is left alone; one that is not ready gets no requests for now.
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := shared.ready(r.Context()); err != nil || ctx.Err() != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(shared.counts()) })
	return serveUntil(ctx, cfg.Listen, mux, interceptor)
}

// drainWait is how long requests may go on once the process is to end, and no new ones come.
const drainWait = 25 * time.Second

// serveUntil serves until ctx ends; then it takes no more connections, calls that wait are answered, and
// handlers that run end.
func serveUntil(ctx context.Context, at string, handler http.Handler, interceptor *lazyauth.Interceptor) error {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", at)
	for tries := 0; err != nil && tries < 100 && ctx.Err() == nil; tries++ { // somebody's connection may have the port for a moment
		time.Sleep(100 * time.Millisecond)
		listener, err = listening.Listen(ctx, "tcp", at)
	}
	if err != nil {
		return errors.Join(err, interceptor.Close())
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	closed := make(chan error, 1)
	web.RegisterOnShutdown(func() { closed <- interceptor.Close() })
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	select {
	case err := <-ended:
		return errors.Join(err, interceptor.Close())
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
	defer cancel()
	return errors.Join(web.Shutdown(last), <-closed)
}

// who tells who sits at a browser: the demonstration's cookie has a bearer token.
func (k keys) who(r *http.Request) (lazyauth.Principal, error) {
	c, err := r.Cookie("demo")
	if err != nil {
		return lazyauth.Principal{}, err
	}
	info, err := k.verify(r.Context(), c.Value, r)
	if err != nil {
		return lazyauth.Principal{}, err
	}
	return lazyauth.Principal{Subject: info.UserID}, nil
}

// verifyUser asks the API whose token a new grant is: anybody may have entered the code.
func verifyUser(cfg replicaConfig) func(context.Context, lazyauth.Principal, *oauth2.Token) error {
	return func(ctx context.Context, who lazyauth.Principal, token *oauth2.Token) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.Server+"/me", nil)
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
		var me struct {
			Subject string `json:"sub"`
		}
		if err := call(req, &me); err != nil {
			return err
		}
		if me.Subject != who.Subject {
			return errors.New("somebody else has approved")
		}
		return nil
	}
}

type note struct {
	Text string `json:"text"`
}

// createNote adds a note, which is what this demonstration counts runs of the handler by.
func createNote(api string) mcp.ToolHandlerFor[note, note] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, note, error) {
		body, err := json.Marshal(in)
		if err != nil {
			return nil, note{}, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/notes", strings.NewReader(string(body)))
		if err != nil {
			return nil, note{}, err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := lazyauth.Client(ctx).Do(req)
		if err != nil {
			return nil, note{}, err
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			return nil, note{}, fmt.Errorf("the API answered %s", res.Status)
		}
		return nil, in, nil
	}
}

// call sends a request and reads a JSON answer.
func call(req *http.Request, to any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", req.URL.Path, res.Status)
	}
	return json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(to)
}
