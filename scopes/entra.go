package scopes

import (
	"strings"
	"sync"
)

// Entra returns the hierarchy of Microsoft Entra ID, in which no scope implies
// another, and names mean the same
//
//   - in upper and lower case: who asks for user.read is granted User.Read
//     (AzureAD/microsoft-authentication-library-for-go, issue 214 and pull
//     request 217),
//   - with and without Microsoft Graph before them, so that User.Read is
//     https://graph.microsoft.com/User.Read: a scope without a resource is one of
//     Graph's ("Scopes and permissions in the Microsoft identity platform",
//     learn.microsoft.com/entra/identity-platform/scopes-oidc). In national
//     clouds Graph has other addresses, which are known too ("National cloud
//     deployments", learn.microsoft.com/graph/deployments).
//
// Entra grants all that a person ever consented to, and for a scope that ends in
// /.default what is behind it, never that name: ask for it, and do not need it.
// What broader permissions a call of Graph takes stands with each call; declare
// those that matter with [AnyOf], or with [Hierarchy.Extend].
func Entra() *Hierarchy { return entra() }

var entra = sync.OnceValue(func() *Hierarchy {
	return &Hierarchy{spelling: &spelling{optional: []string{
		"https://graph.microsoft.com/",
		"https://graph.microsoft.us/",
		"https://dod-graph.microsoft.us/",
		"https://microsoftgraph.chinacloudapi.cn/",
	}}}
})

// A spelling is a rule by which names mean the same: in upper and lower case, and
// with or without one of the optional beginnings. In the nil one each means its own.
type spelling struct{ optional []string }

// key returns what names that mean the same have in common.
func (s *spelling) key(name string) string {
	if s == nil {
		return name
	}
	return string(s.appendKey(nil, name))
}

// appendKey appends the key of name to b.
func (s *spelling) appendKey(b []byte, name string) []byte {
	for _, c := range []byte(s.trim(name)) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// in reports whether held has name in another spelling. It does not allocate.
func (s *spelling) in(held Set, name string) bool {
	if s == nil {
		return false
	}
	name = s.trim(name)
	for rest := held.text; rest != ""; {
		var have string
		have, rest = cut(rest)
		if strings.EqualFold(s.trim(have), name) { // ASCII, as every scope is
			return true
		}
	}
	return false
}

// trim returns name without an optional beginning.
func (s *spelling) trim(name string) string {
	for _, beginning := range s.optional {
		if n := len(beginning); len(name) > n && strings.EqualFold(name[:n], beginning) {
			return name[n:]
		}
	}
	return name
}
