module github.com/lazyauth/mcp-lazyauth

go 1.26.0

require (
	github.com/modelcontextprotocol/go-sdk v1.8.0
	go.uber.org/zap v1.28.0
	golang.org/x/oauth2 v0.37.0
)
