package httpforward_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"golang.org/x/oauth2"
)

// keys are those of [Example], 32 random bytes each.
type keys struct{ Names, Sealing, States, Hops []byte }

// One of several processes of a server, which are reached at one address. The database is one of
// lazyauth/store/postgres or lazyauth/store/redis, and the keys are the operator's, the same in all processes.
func Example() {
	// What all of them have, and where the others reach this one:
	_ = func(ctx context.Context, db store.Shared, keys keys, service lazyauth.Service, publicURL, ownAddress string,
		verify auth.TokenVerifier, verifyUser func(context.Context, lazyauth.Principal, *oauth2.Token) error,
		tools func(*lazyauth.Interceptor) http.Handler,
	) error {
		fleet, err := store.NewFleet(db, keys.Names, [][]byte{keys.Sealing}, nil)
		if err != nil {
			return err
		}
		err = fleet.CheckSettings(ctx, map[string]string{ // of each the store has a hash
			"issuer": service.Issuer, "client": service.ClientID, "scopes": service.Scopes.String(), "public URL": publicURL,
			"key of states": string(keys.States), "key of hops": string(keys.Hops),
		})
		if err != nil {
			return err // which says what this replica has otherwise than the others
		}
		interceptor, err := lazyauth.New(service, &lazyauth.Options{
			Store:      fleet,                 // grants, device flows, and whose a call is
			StateKeys:  [][]byte{keys.States}, // a call goes on at any replica
			VerifyUser: verifyUser,
		})
		if err != nil {
			return err
		}
		forwarder, err := httpforward.New(fleet, httpforward.Options{Address: ownAddress, Key: keys.Hops}) // "https://10.0.0.7:8443"
		if err != nil {
			return err
		}
		working, stop := context.WithCancel(context.WithoutCancel(ctx)) // also while it drains
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		running.Go(func() { forwarder.Announce(working) })
		running.Go(func() { _ = fleet.Run(working) }) // hints of what others have written

		mux := http.NewServeMux()
		mux.Handle("/mcp", auth.RequireBearerToken(verify, nil)(forwarder.Handler(tools(interceptor))))
		mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {}) // it lives
		mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
			if ctx.Err() != nil || fleet.Ready(r.Context()) != nil {
				http.Error(w, "not ready", http.StatusServiceUnavailable) // it gets no requests for now
			}
		})
		return serve(ctx, mux, interceptor) // until ctx ends, and then until it has drained: see "Restart"
	}
	fmt.Println("see docs/scale.md")
	// Output: see docs/scale.md
}

// serve serves until ctx ends, and then for as long as it takes until nothing is left that this process alone can go on with.
func serve(ctx context.Context, handler http.Handler, interceptor *lazyauth.Interceptor) error {
	web := &http.Server{Addr: ":8443", Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	time.Sleep(5 * time.Second) // until the proxy has noticed
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 11*time.Minute)
	defer cancel()
	_ = interceptor.Drain(drain) // an error says what is left
	_ = web.Shutdown(drain)
	return interceptor.Close()
}
