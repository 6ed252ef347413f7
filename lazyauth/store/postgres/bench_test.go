package postgres_test

import (
	"fmt"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

func BenchmarkPoll(b *testing.B) {
	opts := postgres.Options{Schema: fmt.Sprintf("fleet_%d", schemas.Add(1))}
	url := server.URL("", "postgres")
	if _, err := postgres.Migrate(b.Context(), url, &opts); err != nil {
		b.Fatal(err)
	}
	db, err := postgres.Open(b.Context(), url+"?pool_max_conns=8", &opts)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	enginetest.Poll(b, db)
}
