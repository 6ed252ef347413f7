module github.com/lazyauth/mcp-lazyauth/examples/replicas

go 1.26.0

replace (
	github.com/lazyauth/mcp-lazyauth => ../..
	github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres => ../../lazyauth/store/postgres
	github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis => ../../lazyauth/store/redis
)

require (
	github.com/lazyauth/mcp-lazyauth v0.0.0-00010101000000-000000000000
	github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres v0.0.0-00010101000000-000000000000
	github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis v0.0.0-00010101000000-000000000000
	go.uber.org/zap v1.28.0
)

require (
	github.com/danieljoos/wincred v1.2.3 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/google/jsonschema-go v0.4.3 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.13.0 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/modelcontextprotocol/go-sdk v1.8.0 // indirect
	github.com/segmentio/asm v1.1.3 // indirect
	github.com/segmentio/encoding v0.5.4 // indirect
	github.com/valkey-io/valkey-go v1.0.79 // indirect
	github.com/yosida95/uritemplate/v3 v3.0.2 // indirect
	github.com/zalando/go-keyring v0.2.8 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)
