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
			readOnly(p.t, "on")
			return func() { readOnly(p.t, "off") }, nil
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
