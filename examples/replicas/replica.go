package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"go.uber.org/zap"
)

// A replicaConfig is what one process of the server is started with.
type replicaConfig struct {
	Name      string   // of this process, in the journal of the authorization server
	Listen    string   // where it serves
	Public    string   // the address of the proxy before all of them
	Server    string   // the authorization server, and the API
	Store     string   // a folder, or the URL of a database
	People    []string // whose names are bearer tokens
	Flow      lazyauth.Flow
	DieAt     string // a point at which the process kills itself; see points
	Without   string // a guard that is taken out; in a build with the tag faults alone
	Namespace string // of the rows in the database
	Format    int    // in which it writes rows; zero: that of the release before
	// Drain is how long it drains, at most, once it is to end: as long as the people of this demonstration take. A server
	// whose people are no program drains for eleven minutes, if they sign in by the connect page: docs/scale.md, "Restart".
	Drain time.Duration
}

// keyVariable has the key from which the replicas' keys are derived, in hexadecimal.
const keyVariable = "REPLICAS_KEY"

// keys are those that all replicas have.
type keys struct{ names, seal, states, hops []byte }

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
	return keys{derive("names"), derive("seal"), derive("states"), derive("hops")}, nil
}

// maxWait is how long a call waits for its person before its host has to send it again.
const maxWait = 20 * time.Second

// noticeWait is within what the proxy notices that a replica is not ready.
const noticeWait = 500 * time.Millisecond

// serveReplica is one process of the server, until told ends, and it has drained: examples/http with a store that it shares, with keys that
// all of them have, and with what brings a request to the one that has its call.
func serveReplica(told context.Context, cfg replicaConfig) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(told)) // what works goes on while it drains
	defer stop()
	go watchClock(ctx, func(context.Context) {}, func(d time.Duration) { fmt.Println(stillLine + d.String()) })
	k, err := keysFrom(os.Getenv(keyVariable))
	if err != nil {
		return err
	}
	shared, err := openShared(ctx, cfg, k)
	if err != nil {
		return err
	}
	defer shared.close()
	log, err := zap.NewProduction(zap.IncreaseLevel(zap.WarnLevel))
	if err != nil {
		return err
	}
	of := server.Config{
		Issuer: cfg.Server, ClientID: fakeas.DefaultClientID, API: cfg.Server, DemoUsers: cfg.People,
		Connect: cfg.Flow == lazyauth.FlowRedirect, PublicURL: cfg.Public,
		Options: lazyauth.Options{
			Store: tellingStore{shared.store}, StateKeys: [][]byte{k.states}, MaxWait: maxWait,
			Transport: dyingTransport{named{cfg.Name, http.DefaultTransport}, cfg.DieAt, ofService},
		},
		// The others, too, say by whom they were asked.
		Limiter: httplimit.New(&httplimit.Limits{Address: httplimit.BehindProxies(netip.MustParsePrefix("127.0.0.1/32"))}),
		Ready:   shared.ready, Notice: noticeWait, Drain: cfg.Drain, Log: log,
	}
	if shared.directory != nil {
		of.Forwarder, err = httpforward.New(shared.directory, httpforward.Options{
			Address: "http://" + cfg.Listen, Key: k.hops, Transport: dyingTransport{http.DefaultTransport, cfg.DieAt, ofForwarder},
			Failed: func(err error) { log.Warn("not forwarded", zap.Error(err)) },
		})
		if err != nil {
			return err
		}
		announced := make(chan struct{})
		go func() {
			defer close(announced)
			of.Forwarder.Announce(ctx)
		}()
		defer func() { stop(); <-announced }() // it does not listen any more
		of.Ready = reachable(shared.ready, shared.directory)
	}
	notes, err := server.New(of)
	if err != nil {
		return err
	}
	listener, err := listen(told, cfg.Listen)
	if err != nil {
		return errors.Join(err, notes.Close())
	}
	return notes.Serve(told, listener, io.Discard) // where it is to be found its parent knows
}

// reachable is ready once the others know where this process is: until then what it begins by its page no other one could go on with.
func reachable(ready func(context.Context) error, directory httpforward.Directory) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := ready(ctx); err != nil {
			return err
		}
		address, err := directory.Address(ctx, directory.Incarnation())
		if err == nil && address == "" {
			err = errors.New("the others do not know yet where it is")
		}
		return err
	}
}

// listen listens at an address that somebody's connection may have for a moment.
func listen(ctx context.Context, at string) (net.Listener, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", at)
	for tries := 0; err != nil && tries < 100 && ctx.Err() == nil; tries++ {
		time.Sleep(100 * time.Millisecond)
		listener, err = listening.Listen(ctx, "tcp", at)
	}
	return listener, err
}
