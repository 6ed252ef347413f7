package postgres_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

// subject is a place as the suite wants it.
func subject(p *place) storetest.SharedSubject {
	return storetest.SharedSubject{
		Open: func() (store.Shared, error) { return p.open(), nil },
		ReadOnly: func() (func(), error) {
			admin(p.t, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
			return func() {
				admin(p.t, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
			}, nil
		},
		Silence: func() (func(), error) {
			p.link.Drop()
			return p.link.Restore, nil
		},
	}
}

func TestShared(t *testing.T) {
	storetest.RunShared(t, func(t *testing.T) storetest.SharedSubject { return subject(newPlace(t)) })
}
