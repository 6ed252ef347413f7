package postgres_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

func BenchmarkPoll(b *testing.B) {
	opts := migrated(b)
	db, err := postgres.Open(b.Context(), server.URL("", "postgres")+"?pool_max_conns=8", &opts)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	enginetest.Poll(b, db)
}
