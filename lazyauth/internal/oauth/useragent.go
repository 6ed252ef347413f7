package oauth

import (
	"runtime/debug"
	"strings"
	"sync"
)

// modulePath is where a server's operator finds out who is asking.
const modulePath = "github.com/lazyauth/mcp-lazyauth"

// DefaultUserAgent is the User-Agent (RFC 9110 §10.1.5) of requests without a
// configured one: this module and, in programs that were built with a version of it,
// the version. Go's own, Go-http-client, is refused by some content delivery
// networks, and says nothing to a server's operator.
var DefaultUserAgent = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return userAgent("")
	}
	return userAgent(moduleVersion(info))
})

func userAgent(version string) string {
	product := "lazyauth"
	if version != "" {
		product += "/" + version
	}
	return product + " (+https://" + modulePath + ")"
}

// moduleVersion is the version of this module that a program was built with, or "".
func moduleVersion(info *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path != modulePath {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		for i := range len(m.Version) { // of a token (RFC 9110 §5.6.2), unlike "(devel)"
			if c := m.Version[i]; !isAlphanumeric(c) && strings.IndexByte(".-+_", c) < 0 {
				return ""
			}
		}
		return m.Version
	}
	return ""
}
