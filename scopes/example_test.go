package scopes_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func Example() {
	needed := scopes.Of("notes:write", "notes:read")

	// What the server says it granted; GitHub, for one, separates with commas.
	granted, _ := scopes.ParseGranted("profile,notes:read")

	fmt.Println("covered:", granted.Covers(needed))
	fmt.Println("missing:", needed.Minus(granted))
	fmt.Println("to ask for:", granted.Union(needed))
	// Output:
	// covered: false
	// missing: notes:write
	// to ask for: notes:read notes:write profile
}

// A tool that stars a repository needs one of two scopes. Its grant has neither.
func ExampleHierarchy() {
	github := scopes.GitHub()
	need := scopes.AnyOf(scopes.Of("repo"), scopes.Of("public_repo"))
	held := scopes.Of("gist", "admin:org")

	fmt.Println("needed:", need)
	fmt.Println("to ask for:", github.Missing(held, need))
	fmt.Println("read:org covered:", github.Covers(held, scopes.Of("read:org")))
	// Output:
	// needed: repo, or public_repo
	// to ask for: public_repo
	// read:org covered: true
}

// A tool needs an e-mail address, and Google grants it by another name.
func ExampleHierarchy_Extend() {
	need := scopes.Of("email", "reports")
	granted, _ := scopes.ParseGranted("openid https://www.googleapis.com/auth/userinfo.email reports.admin")

	ours, err := scopes.Google().Extend(map[string]scopes.Set{"reports.admin": scopes.Of("reports")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("by name:", granted.Covers(need))
	fmt.Println("by what Google means:", scopes.Google().Missing(granted, need), "is missing")
	fmt.Println("by what we know beside:", ours.Covers(granted, need))
	// Output:
	// by name: false
	// by what Google means: reports is missing
	// by what we know beside: true
}

// An API refuses a token for want of a scope.
func ExampleBearerDemand() {
	header := make(http.Header)
	header.Add("WWW-Authenticate", `Basic realm="notes"`)
	header.Add("WWW-Authenticate", `Bearer error="insufficient_scope", scope="notes:read notes:write"`)

	demand, err := scopes.BearerDemand(http.StatusForbidden, header)
	if err != nil {
		fmt.Println(err) // unreadable: refuse
		return
	}
	held, limit := scopes.Of("notes:read"), scopes.Of("notes:read", "notes:write")
	var none *scopes.Hierarchy // no scope implies another
	ask, ok := none.Narrowest(held, demand.Needs, limit)
	fmt.Println("more scopes:", demand.More)
	fmt.Printf("to ask for: %s, within the limit: %t\n", ask, ok)
	// Output:
	// more scopes: true
	// to ask for: notes:write, within the limit: true
}

// A tool writes files. Those that a service runs take one scope more, and every write takes
// one of the two by which repositories can be written to.
func ExampleNeeds() {
	write := scopes.AnyOf(scopes.Of("public_repo"), scopes.Of("repo"))
	needs := scopes.Needs[string]{
		Possible: []scopes.Requirement{write, scopes.AllOf(write, scopes.Of("workflow"))},
		Of: func(path string) (scopes.Requirement, error) {
			if strings.HasPrefix(path, ".github/workflows/") {
				return scopes.AllOf(write, scopes.Of("workflow")), nil
			}
			return write, nil
		},
	}
	for _, path := range []string{"README.md", ".github/workflows/ci.yml"} {
		need, _ := needs.For(path)
		fmt.Printf("%s: %s\n", path, need)
	}
	// Output:
	// README.md: public_repo, or repo
	// .github/workflows/ci.yml: public_repo workflow, or repo workflow
}
