package engines_test

import (
	"net"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
)

// A port is one's, whether somebody listens there or not, until it is given up.
func TestPort(t *testing.T) {
	const many = 200
	kept := make(map[string]bool)
	for range many {
		p, err := engines.NewPort()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if kept[p.Addr()] {
			t.Fatalf("%s is kept already", p.Addr())
		}
		kept[p.Addr()] = true
	}
	for range many {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if kept[l.Addr().String()] {
			t.Errorf("the system gives %s away", l.Addr())
		}
	}
	for addr := range kept {
		for range 2 {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatalf("who is to listen there cannot: %v", err)
			}
			l.Close()
		}
	}
}
