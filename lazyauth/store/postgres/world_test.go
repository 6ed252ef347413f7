package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// server is one for all tests, each of which has a schema of its own. No tests run at once, since some
// stop it.
var server *engines.Postgres

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "postgres")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		ctx := context.Background()
		if server, err = engines.StartPostgres(ctx, dir, "max_connections=100"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Stop(ctx) }()
		return m.Run()
	}())
}

var schemas atomic.Int64

// A place is a schema of its own, and a link to it.
type place struct {
	t    *testing.T
	link *engines.Link
	opts postgres.Options
}

func newPlace(t *testing.T) *place {
	t.Helper()
	link, err := engines.NewLink(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return &place{t: t, link: link, opts: migrated(t)}
}

// migrated makes a schema that nobody else uses.
func migrated(tb testing.TB) postgres.Options {
	tb.Helper()
	opts := postgres.Options{Schema: fmt.Sprintf("fleet_%d", schemas.Add(1)), Timeout: time.Minute}
	if _, err := postgres.Migrate(tb.Context(), server.URL("", "postgres"), &opts); err != nil {
		tb.Fatal(err)
	}
	return opts
}

// A busy machine takes its time to connect; who is to be given up soon is by the time-out of an option.
func (p *place) url() string {
	return server.URL(p.link.Addr(), "postgres") + "?pool_max_conns=3&connect_timeout=60"
}

// open opens what the test closes.
func (p *place) open() *postgres.DB {
	p.t.Helper()
	db, err := postgres.Open(p.t.Context(), p.url(), &p.opts)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(db.Close)
	return db
}

// common is the place as the tests of all engines have it.
func (p *place) common() enginetest.Place {
	return enginetest.Place{
		Connect: func(timeout time.Duration) (store.Shared, func(), error) {
			opts := p.opts
			opts.Timeout = cmp.Or(timeout, opts.Timeout)
			db, err := postgres.Open(p.t.Context(), p.url(), &opts)
			if err != nil {
				return nil, nil, err
			}
			return db, db.Close, nil
		},
		Link: p.link, Engine: "PostgreSQL", Secret: server.Password(),
	}
}

// wantAdvice checks that an error says which server it is of, what to do, and no password.
func wantAdvice(t *testing.T, err error, words ...string) {
	t.Helper()
	enginetest.Place{Engine: "PostgreSQL", Secret: server.Password()}.WantAdvice(t, err, words...)
}

// admin executes statements as an operator would, who may always write.
func admin(t *testing.T, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, server.URL("", "postgres")+"?default_transaction_read_only=off")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// readOnly has the server be read-only, or not any more, for all sessions. The server reloads its settings when it comes
// to that, and tells its sessions before it takes a new one.
func readOnly(t *testing.T, setting string) {
	t.Helper()
	admin(t, "ALTER SYSTEM SET default_transaction_read_only = "+setting, "SELECT pg_reload_conf()")
	enginetest.Eventually(t, "new sessions are read-only: "+setting, func() bool {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, server.URL("", "postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		var is string
		if err := conn.QueryRow(ctx, "SHOW default_transaction_read_only").Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is == setting
	})
}

// folder is one that other accounts get to.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postgres") //nolint:usetesting // to t.TempDir nobody else gets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}
