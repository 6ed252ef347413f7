package store_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

func TestSharedMemory(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) storetest.SharedSubject {
		m := store.NewSharedMemory(nil)
		return storetest.SharedSubject{Open: func() (store.Shared, error) { return m, nil }}
	})
}
