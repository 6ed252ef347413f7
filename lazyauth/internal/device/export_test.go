package device

// For the fuzz tests, which need no server.
var (
	ReadRetryAfter = readRetryAfter
	ReadFields     = func(contentType string, body []byte) int { return len(readFields(contentType, body)) }
)

// For programs that were built otherwise than a test is.
var (
	UserAgentOf   = userAgent
	ModuleVersion = moduleVersion
)
