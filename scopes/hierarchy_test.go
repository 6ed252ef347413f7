package scopes_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// levels has three of them, and a scope with two broader ones.
var levels = hierarchy(map[string]scopes.Set{
	"root":  scopes.Of("admin", "other"),
	"admin": scopes.Of("write"),
	"write": scopes.Of("read", "list"),
	"other": scopes.Of("read"),
	"none":  {},
})

func TestABroaderScopeIsEnoughAtEveryDepth(t *testing.T) {
	for _, test := range []struct {
		held, need, missing string
	}{
		{"", "", ""},
		{"", "read", "read"},
		{"read", "read", ""},
		{"write", "read", ""},
		{"admin", "read", ""},
		{"root", "read list write admin other", ""},
		{"read", "write", "write"},
		{"write", "admin read", "admin"},
		{"other", "list read", "list"},
		{"other write", "list read", ""},
		{"unheard", "read unheard", "read"},
		{"none", "read", "read"},
		{"root", "Read", "Read"},
		{"admin", "rea", "rea"},
	} {
		held, need, missing := parse(t, test.held), parse(t, test.need), parse(t, test.missing)
		if got := levels.Missing(held, need); got != missing {
			t.Errorf("%q lacks %q for %q, want %q", held, got, need, missing)
		}
		if got := levels.Covers(held, need); got != missing.IsEmpty() {
			t.Errorf("%q covers %q: %t", held, need, got)
		}
	}
	if got, want := levels.Expand(scopes.Of("admin", "x")), scopes.Of("admin", "list", "read", "write", "x"); got != want {
		t.Errorf("expanded to %q, want %q", got, want)
	}
}

func TestNoHierarchyMeansThatNoneImpliesAnother(t *testing.T) {
	var none *scopes.Hierarchy
	held := scopes.Of("admin", "read")
	if none.Expand(held) != held || none.Covers(held, scopes.Of("write")) || !none.Covers(held, scopes.Of("read")) {
		t.Error("nil implies something")
	}
	if got := none.Missing(held, scopes.Of("read", "write")); got != scopes.Of("write") {
		t.Errorf("missing %q", got)
	}
}

func TestNobodyKnowsWhatANilRequirementTakes(t *testing.T) {
	held := scopes.Of("root")
	if levels.Covers(held, nil) {
		t.Error("covered")
	}
	if got, ok := levels.Narrowest(held, nil, held); ok || !got.IsEmpty() {
		t.Errorf("to be asked for: %q, %t", got, ok)
	}
	if got := levels.Missing(held, nil); !got.IsEmpty() {
		t.Errorf("missing %q", got)
	}
}

func TestTheNarrowestAlternativeIsAskedFor(t *testing.T) {
	of := scopes.Of
	for _, test := range []struct {
		name           string
		h              *scopes.Hierarchy
		held           scopes.Set
		need           scopes.Requirement
		missing, limit scopes.Set
		narrowest      string
	}{
		{"narrower scope", levels, of(), scopes.AnyOf(of("root"), of("admin"), of("write")), of("write"), of("root"), "write"},
		{"adds least to what is held", levels, of("write"), scopes.AnyOf(of("other"), of("admin", "x")), of("other"), of("root"), "other"},
		{"held in part", levels, of("x"), scopes.AnyOf(of("y", "z"), of("x", "w")), of("w"), of("w", "x", "y", "z"), "w"},
		{"first of equals", nil, of(), scopes.AnyOf(of("z"), of("a")), of("z"), of("a", "z"), "z"},
		{"one scope with much below against two with nothing", levels, of(), scopes.AnyOf(of("admin"), of("x", "y")), of("x", "y"), of("admin", "x", "y"), "x y"},
		{"satisfied", levels, of("admin"), scopes.AnyOf(of("x"), of("read")), of(), of(), ""},
		{"limit leaves the wider one", levels, of(), scopes.AnyOf(of("read"), of("x", "y")), of("read"), of("x", "y", "z"), "x y"},
		{"limit implies the narrower one", levels, of(), scopes.AnyOf(of("admin"), of("read")), of("read"), of("write"), "read"},
		{"limit leaves none", levels, of(), scopes.AnyOf(of("admin"), of("x", "y")), of("x", "y"), of("write", "x"), "-"},
		{"what is held needs no limit", levels, of("admin"), of("read", "x"), of("x"), of("x"), "x"},
		{"set beyond the limit", levels, of(), of("read", "x"), of("read", "x"), of("admin"), "-"},
	} {
		if got := test.h.Missing(test.held, test.need); got != test.missing {
			t.Errorf("%s: missing %q, want %q", test.name, got, test.missing)
		}
		got, ok := test.h.Narrowest(test.held, test.need, test.limit)
		if ok != (test.narrowest != "-") || ok && got != parse(t, test.narrowest) || !ok && !got.IsEmpty() {
			t.Errorf("%s: within %q: %q, %t, want %q", test.name, test.limit, got, ok, test.narrowest)
		}
	}
}

func TestAHierarchyWithoutAnEndIsAMistake(t *testing.T) {
	for _, test := range []struct {
		implies map[string]scopes.Set
		message string
	}{
		{map[string]scopes.Set{"a": scopes.Of("a")}, "scopes: in the hierarchy, a implies itself"},
		{map[string]scopes.Set{"b": scopes.Of("a"), "a": scopes.Of("b")}, "scopes: in the hierarchy, a implies itself"},
		{map[string]scopes.Set{"x": scopes.Of("c"), "c": scopes.Of("d"), "d": scopes.Of("e"), "e": scopes.Of("c")}, "scopes: in the hierarchy, c implies itself"},
	} {
		if h, err := scopes.NewHierarchy(test.implies); h != nil || err == nil || err.Error() != test.message {
			t.Errorf("%v: %v, %v", test.implies, h, err)
		}
	}
	for name, message := range map[string]string{
		"":    `scopes: invalid: empty scope: "", in the hierarchy`,
		"a b": `scopes: invalid: "a b" is not one scope: write each as an argument of its own, in the hierarchy`,
		"é":   `scopes: invalid: character 0xc3 not allowed: "\u00e9", in the hierarchy`,
	} {
		if h, err := scopes.NewHierarchy(map[string]scopes.Set{name: scopes.Of("x")}); h != nil || !errors.Is(err, scopes.ErrInvalid) || err.Error() != message {
			t.Errorf("%q: %v, %v", name, h, err)
		}
	}
	// Two ways to the same scope are no cycle.
	if _, err := scopes.NewHierarchy(map[string]scopes.Set{"a": scopes.Of("b", "c"), "b": scopes.Of("d"), "c": scopes.Of("d")}); err != nil {
		t.Error(err)
	}
}

func TestAHierarchyIsNotChangedThroughItsMap(t *testing.T) {
	implies := map[string]scopes.Set{"a": scopes.Of("b")}
	h := hierarchy(implies)
	implies["a"], implies["b"] = scopes.Of("x"), scopes.Of("y")
	if got := h.Expand(scopes.Of("a", "b")); got != scopes.Of("a", "b") {
		t.Errorf("expanded to %q", got)
	}
}

func TestAHierarchyIsUsedByManyAtOnce(t *testing.T) {
	need := scopes.AnyOf(scopes.Of("list"), scopes.Of("admin"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !levels.Covers(levels.Expand(scopes.Of("root")), need) || levels.Missing(scopes.Set{}, need) != scopes.Of("list") {
				t.Error("another answer")
			}
			if !scopes.GitHub().Covers(scopes.Of("repo"), scopes.Of("public_repo")) {
				t.Error("another answer of GitHub")
			}
		})
	}
	all.Wait()
}

// TestHierarchyLaws holds every law against random hierarchies and sets.
func TestHierarchyLaws(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 4))
		pick := func(from []string, among int) scopes.Set {
			var some []string
			for _, name := range from {
				if random.IntN(among) == 0 {
					some = append(some, name)
				}
			}
			return scopes.Of(some...)
		}
		// Each implies only later ones, so there is no cycle. Some have a second name.
		var names []string
		var same []scopes.Set
		implies := make(map[string]scopes.Set)
		for n := range 9 {
			called := []string{fmt.Sprintf("s%d", n)}
			if random.IntN(3) == 0 {
				called = append(called, fmt.Sprintf("t%d", n))
				same = append(same, scopes.Of(called...))
			}
			for _, name := range called {
				implies[name] = pick(names, 4)
			}
			names = append(names, called...)
		}
		h, err := scopes.NewHierarchy(implies, same...)
		if err != nil {
			t.Fatal(err)
		}
		sets := make([]scopes.Set, 1+random.IntN(4))
		for n := range sets {
			sets[n] = pick(names, 3)
		}
		checkHierarchy(t, lawful{h, implies, same}, pick(names, 4), pick(names, 4), pick(names, 2), sets)
		if t.Failed() {
			t.Fatalf("with seed %d: %v, the same %v", seed, implies, same)
		}
	}
}

// lawful is a hierarchy with what it was made of.
type lawful struct {
	*scopes.Hierarchy
	implies map[string]scopes.Set
	same    []scopes.Set
}

// names returns s by all names.
func (h lawful) names(s scopes.Set) scopes.Set {
	for _, set := range h.same {
		if set.Minus(s) != set {
			s = s.Union(set)
		}
	}
	return s
}

// size counts the scopes that held has or implies.
func (h lawful) size(held scopes.Set) int {
	n := h.Expand(held).Len()
	for _, set := range h.same {
		if h.Expand(held).Covers(set) {
			n -= set.Len() - 1
		}
	}
	return n
}

func checkHierarchy(t *testing.T, h lawful, a, b, limit scopes.Set, sets []scopes.Set) {
	need := scopes.AnyOf(sets...)
	closed, missing := h.Expand(a), h.Missing(a, need)
	ask, ok := h.Narrowest(a, need, limit)
	covered := h.Covers(a, need)
	step := closed // one more level adds nothing
	for name := range closed.All() {
		step = step.Union(h.implies[name])
	}
	var byHand, permitted bool
	size := h.size(a.Union(missing))
	minimal, minimalWithin := true, true
	isOne, isOneWithin := false, false
	for _, set := range sets {
		byHand = byHand || closed.Covers(set)
		lacks := h.Missing(a, set)
		whole := h.size(a.Union(lacks))
		minimal = minimal && size <= whole
		isOne = isOne || lacks == missing
		if h.Expand(limit).Covers(lacks) {
			permitted = true
			minimalWithin = minimalWithin && h.size(a.Union(ask)) <= whole
			isOneWithin = isOneWithin || h.names(lacks) == h.names(ask)
		}
	}
	reduced := h.Reduce(a)
	for law, holds := range map[string]bool{
		"the closure contains what it is of":                closed.Covers(a),
		"the closure is closed":                             step == closed && h.names(closed) == closed,
		"the closure is idempotent":                         h.Expand(closed) == closed,
		"the closure is monotone":                           h.Expand(a.Union(b)).Covers(closed),
		"the closure of a union is the union of closures":   h.Expand(a.Union(b)) == closed.Union(h.Expand(b)),
		"what is covered lies in the closure":               covered == byHand && h.Covers(a, b) == closed.Covers(b),
		"to expand first changes no answer":                 covered == h.Covers(closed, need) && missing == h.Missing(closed, need),
		"names change no answer":                            covered == h.Covers(h.names(a), need) && missing == h.Missing(h.names(a), need),
		"holding more covers no less":                       !covered || h.Covers(a.Union(b), need),
		"nothing is missing exactly if covered":             covered == missing.IsEmpty(),
		"what is missing of a set lies outside the closure": h.Missing(a, b) == b.Minus(closed),
		"what is missing suffices":                          h.Covers(a.Union(missing), need),
		"nothing is asked for that is there":                missing.Minus(closed) == missing,
		"the narrowest is minimal":                          minimal && isOne,
		"the narrowest lies below the ceiling":              scopes.Ceiling(need).Covers(missing),
		"one is found exactly if permitted":                 ok == permitted,
		"what is found suffices":                            !ok || h.Covers(a.Union(ask), need),
		"what is found is minimal within the limit":         !ok || minimalWithin && isOneWithin,
		"nothing is asked for beyond the limit":             h.Covers(limit, ask),
		"the limit names what it has":                       h.names(limit).Minus(limit).Minus(ask) == h.names(limit).Minus(limit),
		"what is reduced has the same closure":              h.Expand(reduced) == closed && a.Covers(reduced),
		"what is reduced has nothing to spare": func() bool {
			for name := range reduced.All() {
				if h.Covers(reduced.Minus(scopes.Of(name)), scopes.Of(name)) {
					return false
				}
			}
			return true
		}(),
		"the ceiling is no limit": func() bool {
			within, found := h.Narrowest(a, need, scopes.Ceiling(need))
			return found && within == missing
		}(),
	} {
		if !holds {
			t.Errorf("%s: not for %q and %q, needed %q, limit %q: missing %q, to ask for %q, %t", law, a, b, need, limit, missing, ask, ok)
		}
	}
}

func TestHierarchyCoversWithoutAllocating(t *testing.T) {
	held := scopes.Of("admin", "other", "x")
	expanded := levels.Expand(held)
	for _, need := range []scopes.Requirement{
		scopes.Of("list", "read"), scopes.Of("list", "y"), scopes.Set{},
		scopes.AnyOf(scopes.Of("y"), scopes.Of("list", "write")), scopes.AnyOf(scopes.Of("y"), scopes.Of("root")),
	} {
		if n := testing.AllocsPerRun(100, func() { levels.Covers(held, need); levels.Covers(expanded, need) }); n != 0 {
			t.Errorf("%q: %v allocations", need, n)
		}
	}
	graph, err := scopes.Entra().Extend(map[string]scopes.Set{"Mail.ReadWrite": scopes.Of("Mail.Read")})
	if err != nil {
		t.Fatal(err)
	}
	held = scopes.Of("https://graph.microsoft.com/mail.readwrite", "openid", "User.Read")
	for need, covered := range map[scopes.Requirement]bool{
		scopes.Of("USER.READ", "Mail.Read"):                                     true,
		scopes.Of("Mail.Send"):                                                  false,
		scopes.AnyOf(scopes.Of("Mail.Send"), scopes.Of("Mail.READWRITE")):       true,
		scopes.Of("https://graph.microsoft.com/" + strings.Repeat("Mail.", 30)): false,
	} {
		if graph.Covers(held, need) != covered {
			t.Errorf("%q covers %q: %t", held, need, !covered)
		}
		if n := testing.AllocsPerRun(100, func() { graph.Covers(held, need) }); n != 0 {
			t.Errorf("%q, by Entra: %v allocations", need, n)
		}
	}
}

func TestNewHierarchy_NamesThatMeanTheSame(t *testing.T) {
	h, err := scopes.NewHierarchy(map[string]scopes.Set{"admin": scopes.Of("mail"), "postmaster": scopes.Of("send")},
		scopes.Of("email", "mail"), scopes.Of("mail", "post"), scopes.Of("admin", "postmaster"))
	if err != nil {
		t.Fatal(err)
	}
	of := scopes.Of
	for _, test := range []struct {
		held, need, limit, missing, ask string
	}{
		{"email", "post", "", "", ""}, // by way of mail
		{"postmaster", "email send", "", "", ""},
		{"", "email", "email", "email", "email"},
		{"", "email", "post x", "email", "post"}, // as the limit names it
		{"", "email", "admin", "email", "email"},
		{"email", "admin", "postmaster", "admin", "postmaster"},
		{"email", "admin", "mail", "admin", "-"},
		{"", "Email", "email", "Email", "-"},
	} {
		held, need, limit := parse(t, test.held), parse(t, test.need), parse(t, test.limit)
		if got := h.Missing(held, need); got.String() != test.missing || h.Covers(held, need) != (test.missing == "") {
			t.Errorf("%q lacks %q for %q, want %q", held, got, need, test.missing)
		}
		if got, ok := h.Narrowest(held, need, limit); ok != (test.ask != "-") || ok && got.String() != test.ask {
			t.Errorf("to be asked for within %q is %q, %t, want %q", limit, got, ok, test.ask)
		}
	}
	if got := h.Expand(of("email", "x")); got != of("email", "mail", "post", "x") {
		t.Errorf("expanded to %q", got)
	}
	if got := h.Reduce(of("post", "email", "send", "x")); got != of("email", "send", "x") {
		t.Errorf("reduced to %q", got)
	}
	if got := h.Reduce(of("post", "email", "postmaster", "send")); got != of("postmaster") {
		t.Errorf("reduced to %q", got)
	}
	// Other names do not make an alternative wider.
	if got := h.Missing(of(), scopes.AnyOf(of("y", "z"), of("post"))); got != of("post") {
		t.Errorf("the narrowest is %q", got)
	}
	if h, err := scopes.NewHierarchy(map[string]scopes.Set{"a": of("b")}, of("b", "c"), of("c", "a")); err == nil || h != nil {
		t.Errorf("a implies itself by another name: %v", err)
	}
}

func TestHierarchy_Extend(t *testing.T) {
	h, err := scopes.GitHub().Extend(map[string]scopes.Set{"repo": scopes.Of("x"), "y": scopes.Of("repo")}, scopes.Of("user", "me"))
	if err != nil {
		t.Fatal(err)
	}
	if !h.Covers(scopes.Of("y", "me"), scopes.Of("x", "public_repo", "read:user")) {
		t.Errorf("y and me are %q", h.Expand(scopes.Of("y", "me")))
	}
	if scopes.GitHub().Covers(scopes.Of("repo"), scopes.Of("x")) || scopes.GitHub().Covers(scopes.Of("me"), scopes.Of("user")) {
		t.Error("GitHub's own is extended")
	}
	if _, err := scopes.GitHub().Extend(map[string]scopes.Set{"read:user": scopes.Of("user")}); err == nil {
		t.Error("user implies itself")
	}
}

func BenchmarkHierarchyCovers(b *testing.B) {
	held := scopes.Of("admin:org", "gist", "repo", "user")
	for _, bench := range []struct {
		name string
		held scopes.Set
		need scopes.Requirement
	}{
		{"held", held, scopes.Of("gist")},
		{"implied", held, scopes.Of("read:org")},
		{"expanded", scopes.GitHub().Expand(held), scopes.Of("read:org")},
		{"alternatives", scopes.GitHub().Expand(held), scopes.AnyOf(scopes.Of("notifications"), scopes.Of("read:org"))},
		{"missing", scopes.GitHub().Expand(held), scopes.Of("notifications")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			github := scopes.GitHub()
			b.ReportAllocs()
			for b.Loop() {
				github.Covers(bench.held, bench.need)
			}
		})
	}
	b.Run("spelled otherwise", func(b *testing.B) {
		entra, held, need := scopes.Entra(), scopes.Of("Mail.Read", "User.Read", "openid", "profile"), scopes.Of("https://graph.microsoft.com/user.read")
		b.ReportAllocs()
		for b.Loop() {
			entra.Covers(held, need)
		}
	})
}

func TestADeepHierarchy(t *testing.T) {
	implies := make(map[string]scopes.Set)
	for n := range 500 {
		implies[fmt.Sprintf("s%d", n)] = scopes.Of(fmt.Sprintf("s%d", n+1))
	}
	h := hierarchy(implies)
	if !h.Covers(scopes.Of("s0"), scopes.Of("s500")) || h.Covers(scopes.Of("s1"), scopes.Of("s0")) {
		t.Error("the ends do not meet")
	}
}

func hierarchy(implies map[string]scopes.Set) *scopes.Hierarchy {
	h, err := scopes.NewHierarchy(implies)
	if err != nil {
		panic(err)
	}
	return h
}

func TestGitHubImpliesWhatItDocuments(t *testing.T) {
	for held, implied := range map[string]string{
		"repo":                "public_repo repo:invite repo:status repo_deployment security_events",
		"user":                "read:user user:email user:follow",
		"admin:org":           "write:org read:org",
		"write:org":           "read:org",
		"admin:public_key":    "write:public_key read:public_key",
		"admin:repo_hook":     "write:repo_hook read:repo_hook",
		"admin:gpg_key":       "write:gpg_key read:gpg_key",
		"write:gpg_key":       "read:gpg_key",
		"admin:enterprise":    "manage_runners:enterprise manage_billing:enterprise read:enterprise",
		"write:packages":      "read:packages",
		"write:discussion":    "read:discussion",
		"project":             "read:project",
		"codespace":           "codespace:secrets",
		"public_repo":         "",
		"read:org":            "",
		"gist":                "",
		"delete:packages":     "",
		"workflow":            "",
		"admin:org_hook":      "",
		"admin:organisation":  "",
		"repo:status":         "",
		"notifications":       "",
		"admin:":              "",
		"write:organisations": "",
	} {
		want := scopes.Of(held).Union(parse(t, implied))
		if got := scopes.GitHub().Expand(scopes.Of(held)); got != want {
			t.Errorf("%s is %q, want %q", held, got, want)
		}
	}
	if !slices.Contains(strings.Fields(scopes.GitHub().Expand(scopes.Of("admin:ssh_signing_key")).String()), "read:ssh_signing_key") {
		t.Error("signing keys are not as the other keys")
	}
}

func TestReduce(t *testing.T) {
	github := scopes.GitHub()
	for text, want := range map[string]string{
		"":                               "",
		"repo public_repo":               "repo",
		"read:org write:org admin:org":   "admin:org",
		"user:email read:user gist":      "gist read:user user:email",
		"public_repo repo user read:org": "read:org repo user",
	} {
		set, err := scopes.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := github.Reduce(set)
		if got.String() != want || github.Expand(got) != github.Expand(set) {
			t.Errorf("of %q is left %q, want %q", text, got, want)
		}
		if (*scopes.Hierarchy)(nil).Reduce(set) != set {
			t.Errorf("%q is reduced without a hierarchy", text)
		}
	}
}

func TestHierarchy_Knows(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"notes": scopes.Of("notes:read")}, scopes.Of("email", "mail"))
	if err != nil {
		t.Fatal(err)
	}
	entra, err := scopes.Entra().Extend(nil, scopes.Of("Mail.Read", "mail"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		order *scopes.Hierarchy
		name  string
		want  bool
	}{
		{order, "notes", true},
		{order, "notes:read", true},
		{order, "email", true},
		{order, "Notes", false},
		{order, "https://evil.example/your-session-was-stolen", false},
		{scopes.GitHub(), "public_repo", true},
		{entra, "https://graph.microsoft.com/mail.read", true},
		{entra, "Mail.Send", false},
		{nil, "notes", false},
	} {
		if got := test.order.Knows(test.name); got != test.want {
			t.Errorf("Knows(%q) is %t", test.name, got)
		}
	}
}
