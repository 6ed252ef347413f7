package postgres_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// A server opens the store when it starts, and says what the database may lose.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), nil)
	if err != nil {
		log.Fatal(err) // says which server, and what to do; never a password
	}
	defer db.Close()

	if losses, err := db.Losses(ctx); err != nil || losses != store.LosesNothing {
		log.Printf("%v: %v %v", db, losses, err)
	}
}

// Whoever may make tables makes them, before the first server starts; here the program does.
func ExampleMigrate() {
	did, err := postgres.Migrate(context.Background(), os.Getenv("DATABASE_URL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("made:", did)
}
