package redis_test

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// A server opens the store when it starts, and says what the database may lose.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db, err := redis.Open(ctx, os.Getenv("REDIS_URL"), nil)
	if err != nil {
		log.Fatal(err) // says which server, and what to do; never a password
	}
	defer db.Close()

	if losses, err := db.Losses(ctx); err != nil || losses != store.LosesNothing {
		log.Printf("%v: %v %v", db, losses, err)
	}
}
