package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

func TestSignIns(t *testing.T)           { enginetest.TestSignIns(t, stormEngine(t)) }
func TestRefreshStorm(t *testing.T)      { enginetest.TestStorm(t, stormEngine(t)) }
func BenchmarkRefreshStorm(b *testing.B) { enginetest.BenchmarkStorm(b, stormEngine(b)) }

// stormEngine is a schema of its own, as a program opens it that says nothing of its pool.
func stormEngine(tb testing.TB) enginetest.Engine {
	tb.Helper()
	url, opts := server.URL("", "postgres"), migrated(tb)
	return enginetest.Engine{
		Open: func() (store.Shared, func(), error) {
			db, err := postgres.Open(tb.Context(), url, &opts)
			if err != nil {
				return nil, nil, err
			}
			return db, db.Close, nil
		},
		Connections: func() (n int, err error) {
			ctx := context.WithoutCancel(tb.Context())
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return 0, err
			}
			defer conn.Close(ctx)
			err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lazyauth'").Scan(&n)
			return n, err
		},
	}
}
