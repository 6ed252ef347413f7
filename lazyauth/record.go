package lazyauth

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A GrantStore keeps grants beyond the life of a process. It is [store.Store], which
// says what it has to do; package store has some.
type GrantStore = store.Store
