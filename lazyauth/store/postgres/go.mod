module github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres

go 1.26.0

replace github.com/lazyauth/mcp-lazyauth => ../../..

require (
	github.com/jackc/pgx/v5 v5.13.0
	github.com/lazyauth/mcp-lazyauth v0.0.0-00010101000000-000000000000
)

require (
	github.com/danieljoos/wincred v1.2.3 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/zalando/go-keyring v0.2.8 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
)
