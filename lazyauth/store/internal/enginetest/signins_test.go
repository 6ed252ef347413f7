package enginetest_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

func TestSignIns(t *testing.T) { enginetest.TestSignIns(t, inMemory(store.NewSharedMemory(nil))) }
