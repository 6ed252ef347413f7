package oauth

// For the fuzz tests, which need no server.
var (
	ReadRetryAfter = readRetryAfter
	ReadFields     = func(contentType string, body []byte) int {
		found, _ := readFields(contentType, body)
		return len(found)
	}
)

// For programs that were built otherwise than a test is.
var (
	UserAgentOf   = userAgent
	ModuleVersion = moduleVersion
)
