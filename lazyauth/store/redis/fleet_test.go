package redis_test

import (
	"bytes"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

// What a fleet keeps here is a store like any other.
func TestFleet_IsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		p := newPlace(t, server)
		s := subject(p, server)
		return storetest.Subject{
			Open: func() (store.Store, error) {
				return store.NewFleet(p.open(), bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)}, nil)
			},
			ReadOnly: s.ReadOnly,
			Silence:  s.Silence,
		}
	})
}

// Machines share places.
func TestFleet_Places(t *testing.T) {
	enginetest.PlacesAreFew(t, newPlace(t, server).common())
}
