package redis_test

import (
	"fmt"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

func BenchmarkPoll(b *testing.B) {
	db, err := redis.Open(b.Context(), server.URL(""), &redis.Options{Name: fmt.Sprintf("fleet-%d", names.Add(1))})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	enginetest.Poll(b, db)
}
