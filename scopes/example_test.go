package scopes_test

import (
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func Example() {
	needed := scopes.Of("notes:write", "notes:read")

	// What the server says it granted; GitHub, for one, separates with commas.
	granted, err := scopes.Parse("profile,notes:read")
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println("covered:", granted.Covers(needed))
	fmt.Println("missing:", needed.Minus(granted))
	fmt.Println("to ask for:", granted.Union(needed))
	// Output:
	// covered: false
	// missing: notes:write
	// to ask for: notes:read notes:write profile
}
