package lazyauth_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Nothing is local unless the transport is known to be: over the SDK's handler for SSE, whose
// requests look like those of stdio, nobody gets to be the local user.
func TestLocal_SSEIsNot(t *testing.T) {
	for name, options := range map[string]struct {
		lazyauth.Options
		want bool
	}{
		"by default":    {},
		"a single user": {lazyauth.Options{InsecureSingleUser: true, MaxWait: time.Millisecond}, true},
		"by principal":  {lazyauth.Options{Principal: world.OnePerson, MaxWait: time.Millisecond}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := world.New(t, world.Setup{Options: options.Options})
			handler := mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return w.Server }, nil)
			web := httptest.NewServer(handler)
			t.Cleanup(web.Close)
			for range 2 { // the first one, too
				h := w.Connect(world.Legacy, world.Manners{}, &mcp.SSEClientTransport{Endpoint: web.URL})
				r := <-h.Call(t.Context(), "whoami", nil)
				if options.want {
					r.Fails(t, lazyauth.ReasonPending)
					continue
				}
				r.Fails(t, lazyauth.ReasonAnonymous)
				if !strings.Contains(r.Text(), "Options.Principal") {
					t.Errorf("%q does not say what to configure", r.Text())
				}
				h.Session.Close()
			}
			if !options.want {
				w.WantAuthorizations(0)
			}
		})
	}
}

// An own mcp.Transport of an author's.
type ownTransport struct {
	connect func(context.Context) (mcp.Connection, error)
}

func (o ownTransport) Connect(ctx context.Context) (mcp.Connection, error) { return o.connect(ctx) }

// wrapper is a connection of an author's around another.
type wrapper struct {
	mcp.Connection
	note func()
}

func (w wrapper) Write(ctx context.Context, m jsonrpc.Message) error {
	w.note()
	return w.Connection.Write(ctx, m)
}

// opaque is one that does not show what is behind it.
type opaque struct {
	read  func(context.Context) (jsonrpc.Message, error)
	write func(context.Context, jsonrpc.Message) error
}

func (o *opaque) Read(ctx context.Context) (jsonrpc.Message, error) { return o.read(ctx) }

func (o *opaque) Write(ctx context.Context, m jsonrpc.Message) error { return o.write(ctx, m) }

func (o *opaque) Close() error { return nil }

func (o *opaque) SessionID() string { return "" }

func TestLocal_Transports(t *testing.T) {
	inMemory := func(t *testing.T) (here, there mcp.Transport) { return mcp.NewInMemoryTransports() }
	for name, c := range map[string]struct {
		transports func(*testing.T) (here, there mcp.Transport)
		local      bool
	}{
		"in memory": {inMemory, true},
		"pipes": {func(*testing.T) (here, there mcp.Transport) {
			in, out := io.Pipe()
			back, forth := io.Pipe()
			return &mcp.IOTransport{Reader: back, Writer: out}, &mcp.IOTransport{Reader: in, Writer: forth}
		}, true},
		"logged": {func(t *testing.T) (here, there mcp.Transport) {
			here, there = inMemory(t)
			return here, &mcp.LoggingTransport{Transport: there, Writer: io.Discard}
		}, true},
		"wrapped": {func(t *testing.T) (here, there mcp.Transport) {
			here, next := inMemory(t)
			return here, ownTransport{func(ctx context.Context) (mcp.Connection, error) {
				c, err := next.Connect(ctx)
				return wrapper{c, func() {}}, err
			}}
		}, true},
		"of an unknown kind": {func(t *testing.T) (here, there mcp.Transport) {
			here, next := inMemory(t)
			return here, ownTransport{func(ctx context.Context) (mcp.Connection, error) {
				c, err := next.Connect(ctx)
				return &opaque{c.Read, c.Write}, err
			}}
		}, false},
		"over a network": {func(t *testing.T) (here, there mcp.Transport) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			ours, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return &mcp.IOTransport{Reader: ours, Writer: ours}, &mcp.IOTransport{Reader: theirs, Writer: theirs}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Millisecond}})
			here, there := c.transports(t)
			if _, err := w.Server.Connect(context.Background(), there, nil); err != nil {
				t.Fatal(err)
			}
			want := lazyauth.ReasonAnonymous
			if c.local {
				want = lazyauth.ReasonPending
			}
			(<-w.Connect(world.Legacy, world.Manners{}, here).Call(t.Context(), "whoami", nil)).Fails(t, want)
		})
	}
}

func TestLocal_SecondSessionIsRefused(t *testing.T) {
	// The SDK's SSE handler gives its requests no Extra, as stdio does, and
	// serves many people.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		first, second := w.Host(era, world.Accepts), w.Host(era, world.Accepts)
		call := first.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		r := <-second.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonAnonymous)
		if !strings.Contains(r.Text(), "Options.Principal") {
			t.Errorf("%q does not say what to configure", r.Text())
		}
		second.Gets("ping", nil, "pong")
		// Nor does it become the local user when the first one leaves.
		first.Session.Close()
		synctest.Wait()
		(<-second.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonAnonymous)
	})
}
