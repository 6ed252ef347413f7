module github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis

go 1.26.0

replace github.com/lazyauth/mcp-lazyauth => ../../..

require (
	github.com/lazyauth/mcp-lazyauth v0.0.0-00010101000000-000000000000
	github.com/valkey-io/valkey-go v1.0.79
)

require (
	github.com/danieljoos/wincred v1.2.3 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/zalando/go-keyring v0.2.8 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
