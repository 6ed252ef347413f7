package lazyauth

import (
	"context"
	"net"
	"net/http"
	"reflect"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// isLocal reports whether what a session says can come from nothing but what runs this
// program, or is run by it: over its standard input and output, or in memory. That a request
// has no HTTP information proves nothing: those of the SDK's older handler for SSE have none
// (go-sdk v1.8.0), and neither need those of other transports over a network.
//
// The SDK does not tell a server how it is connected. So the type of the session's connection
// is looked at, of which there is one for pipes and one for each other kind; what wraps a
// connection counts as what it wraps. A connection that is not known is not local, and what
// the SDK's HTTP handlers begin never is.
func isLocal(ctx context.Context, session *mcp.ServerSession) bool {
	if session == nil || ctx.Value(http.ServerContextKey) != nil || ctx.Value(http.LocalAddrContextKey) != nil {
		return false
	}
	return isPipe(reflect.ValueOf(session).Elem(), 4)
}

var (
	connectionType = reflect.TypeFor[mcp.Connection]()
	netConnType    = reflect.TypeFor[net.Conn]()
	// pipeTypes returns the type of the SDK's connection over a pair of pipes, and that of
	// pipes in memory.
	pipeTypes = sync.OnceValues(func() (connection, inMemory reflect.Type) {
		a, b := net.Pipe()
		a.Close()
		b.Close()
		pipes, _ := mcp.NewInMemoryTransports()
		c, err := pipes.Connect(context.Background())
		if err != nil {
			return nil, nil
		}
		_ = c.Close() // it is of pipes in memory
		return reflect.TypeOf(c), reflect.TypeOf(a)
	})
)

// isPipe reports whether the one connection among the fields of holder is one over pipes,
// which no network is behind as far as can be seen.
func isPipe(holder reflect.Value, depth int) bool {
	var found reflect.Value
	for _, field := range holder.Fields() {
		if field.Type() == connectionType && !field.IsNil() {
			if found.IsValid() {
				return false
			}
			found = field.Elem()
		}
	}
	if !found.IsValid() || depth == 0 {
		return false
	}
	pipes, _ := pipeTypes()
	if found.Type() == pipes {
		return !hasNetConn(found, 8)
	}
	if found.Kind() == reflect.Pointer {
		found = found.Elem()
	}
	return found.Kind() == reflect.Struct && isPipe(found, depth-1)
}

// hasNetConn reports whether there is a connection of a network in v: pipes may be put
// together from one, by mcp.IOTransport.
func hasNetConn(v reflect.Value, depth int) bool {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() || depth == 0 {
			return false
		}
		if _, inMemory := pipeTypes(); v.Elem().IsValid() && v.Kind() == reflect.Interface {
			if t := v.Elem().Type(); t.Implements(netConnType) {
				return t != inMemory
			}
		}
		return hasNetConn(v.Elem(), depth-1)
	case reflect.Struct:
		for _, field := range v.Fields() {
			if (field.Kind() == reflect.Interface || field.Kind() == reflect.Struct) && hasNetConn(field, depth-1) {
				return true
			}
		}
	}
	return false
}
