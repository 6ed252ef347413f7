package scopes_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestEntra(t *testing.T) {
	const graph = "https://graph.microsoft.com/"
	entra := scopes.Entra()
	for _, test := range []struct{ held, need, missing string }{
		{"User.Read", "user.read", ""},
		{graph + "User.Read", "User.Read", ""},
		{"User.Read", graph + "user.read", ""},
		{"HTTPS://Graph.Microsoft.com/User.Read", "User.Read", ""},
		{"https://graph.microsoft.us/User.Read openid", "User.Read", ""},
		{"openid profile User.Read email", "Mail.Read user.read", "Mail.Read"},
		{"api://x/Files.read", "api://x/files.Read", ""},
		{"https://outlook.office.com/Mail.Read", "Mail.Read", "Mail.Read"},
		{"Mail.ReadWrite", "Mail.Read", "Mail.Read"},
		{"User.Read", graph, graph},
		{"User.Read", graph + ".default", graph + ".default"},
	} {
		held, need := parse(t, test.held), parse(t, test.need)
		if got := entra.Missing(held, need); got != parse(t, test.missing) || entra.Covers(held, need) != got.IsEmpty() {
			t.Errorf("%q lacks %q for %q, want %q", held, got, need, test.missing)
		}
	}
	of := scopes.Of
	if got, ok := entra.Narrowest(of("openid"), of("USER.READ", "mail.read"), of(graph+"User.Read", "Mail.Read")); !ok || got != of(graph+"User.Read", "Mail.Read") {
		t.Errorf("asked for by the names %q, %t", got, ok)
	}
	if got := entra.Reduce(of("User.Read", "user.read", graph+"User.Read", "openid")); got != of("User.Read", "openid") {
		t.Errorf("reduced to %q", got)
	}
	if got := entra.Missing(of(), scopes.AnyOf(of("a", "b"), of("User.Read", "user.read"))); got != of("User.Read", "user.read") {
		t.Errorf("the narrowest is %q", got)
	}

	extended, err := entra.Extend(map[string]scopes.Set{"Mail.ReadWrite": of("Mail.Read")}, of("Me.Read", "User.Read"))
	if err != nil {
		t.Fatal(err)
	}
	if got := extended.Missing(of("mail.readwrite", graph+"ME.READ"), of("Mail.Read", "User.Read", "Mail.Send")); got != of("Mail.Send") {
		t.Errorf("missing %q", got)
	}
	if got := extended.Expand(of("mail.readwrite")); got != of("mail.readwrite", "Mail.ReadWrite", "Mail.Read") {
		t.Errorf("expanded to %q", got)
	}
	if got, ok := extended.Narrowest(of(), of("MAIL.READ"), of("Mail.ReadWrite")); !ok || got != of("Mail.Read") {
		t.Errorf("asked for by the name %q, %t", got, ok)
	}
	if got := extended.Reduce(of("mail.read", graph+"Mail.ReadWrite", "me.read", "User.Read")); got != of(graph+"Mail.ReadWrite", "User.Read") {
		t.Errorf("reduced to %q", got)
	}
	if _, err := entra.Extend(map[string]scopes.Set{"Mail.Read": of("mail.read")}); err == nil {
		t.Error("Mail.Read implies itself")
	}
}
