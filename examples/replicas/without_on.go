//go:build faults

package main

import (
	"fmt"
	"os"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

// guards are those that can be taken out, to see that the demonstration notices.
var guards = storetest.Guards

// without takes a guard out of a store.
func without(rows store.Shared, guard string) store.Shared {
	if guard == "" {
		return rows
	}
	unguarded, err := storetest.Without(rows, guard)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return unguarded
}
