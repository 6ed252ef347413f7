// Package postgres keeps the rows of a fleet in PostgreSQL: it is a [store.Shared].
//
//	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), nil)
//
// The URL says where: postgres://lazyauth@db.example.com/lazyauth?sslmode=verify-full. Whatever pgx takes
// may stand in it (several hosts with target_session_attrs=read-write, pool_max_conns,
// connect_timeout), and what it does not say is taken from PGHOST, PGUSER, PGPASSFILE and the like.
// A server on another machine has to prove who it is (sslmode=verify-full) unless the URL or
// PGSSLMODE says otherwise. Tested with PostgreSQL 15; nothing in it is newer than 12.
//
// # The schema
//
// [Open] alters nothing: it says what is missing. [DB.Migrate] makes it, and so does
//
//	go run github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres/cmd/migrate
//
// which reads the URL from DATABASE_URL, or prints the statements for whoever is to run them. The user
// of the program then needs USAGE of the schema, and SELECT, INSERT, UPDATE and DELETE of its tables. A later release
// adds first, and removes only what no release before needs any more; a database from which more was removed is refused.
//
// # A pooler in between
//
// PgBouncer and its like, in transaction mode, hand each statement to another session. Set
// [Options.Pooled] for them: there are no prepared statements then and no settings of a session, and
// no LISTEN, unless [Options.ListenURL] leads past the pooler. Every method is a single statement in either case.
//
// # What is never lost, and what may be
//
// What was acknowledged outlives the server's end, as long as synchronous_commit is not off. If an
// asynchronous standby is promoted, what it had not yet received is lost: see docs/scale.md. [DB.Losses] asks the server.
package postgres
