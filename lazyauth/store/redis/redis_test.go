package redis_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

// subject is a place as the suite wants it.
func subject(p *place, s *engines.Redis) storetest.SharedSubject {
	return storetest.SharedSubject{
		Open: func() (store.Shared, error) { return p.open(), nil },
		ReadOnly: func() (func(), error) {
			do(p.t, s, "REPLICAOF", "127.0.0.1", "1") // where nobody listens
			return func() { do(p.t, s, "REPLICAOF", "NO", "ONE") }, nil
		},
		Silence: func() (func(), error) {
			p.link.Drop()
			return p.link.Restore, nil
		},
	}
}

func TestShared(t *testing.T) {
	storetest.RunShared(t, func(t *testing.T) storetest.SharedSubject { return subject(newPlace(t, server), server) })
}

// A cluster refuses a script whose keys do not all lie in one slot: here they do.
func TestShared_Cluster(t *testing.T) {
	s := start(t, "cluster-enabled yes")
	do(t, s, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	first := newPlace(t, s)
	first.url = s.URL("")
	enginetest.Eventually(t, "the cluster is up", func() bool { _, err := first.open().Now(t.Context()); return err == nil })
	storetest.RunShared(t, func(t *testing.T) storetest.SharedSubject {
		p := newPlace(t, s)
		p.url = s.URL("") // a cluster's nodes say where they are
		subject := subject(p, s)
		subject.ReadOnly = func() (func(), error) {
			do(t, s, "CONFIG", "SET", "min-replicas-to-write", "1")
			return func() { do(t, s, "CONFIG", "SET", "min-replicas-to-write", "0") }, nil
		}
		subject.Silence = nil
		return subject
	})
}
