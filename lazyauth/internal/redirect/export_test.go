package redirect

// IsHost is isHost.
func IsHost(field, host string, port int) bool { return isHost(field, host, port) }

// ParseTarget returns the parts of a redirect URI.
func ParseTarget(raw string) (host string, port int, path string, err error) {
	t, err := parseTarget(raw)
	return t.host, t.port, t.path, err
}

// At returns the redirect URI once the port is known.
func At(raw string, port int) string {
	t, err := parseTarget(raw)
	if err != nil {
		return ""
	}
	return t.at(port, raw)
}

// Policy is the Content-Security-Policy of all pages.
var Policy = policy
