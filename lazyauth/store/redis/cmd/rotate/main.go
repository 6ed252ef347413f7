// Command rotate seals anew the rows of a fleet that are sealed by another key than the first one, or are in another
// format than the machines write.
//
//	REDIS_URL=rediss://program@redis.example.com LAZYAUTH_SEALING_KEYS=NEW,OLD rotate
//
// URL and keys are read from the environment, since others can read a program's arguments. The keys are in base64, with
// commas between them: the one that seals, and those before it. All machines have to have them by then. It may run while they work, may be ended at any time
// and begun again, and ends with 1 if something is left. -format is what FleetOptions.Format is for the machines.
package main

import (
	"context"
	"flag"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/rotate"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

func main() { rotate.Main(engine) }

// engine is what the command has of its own.
var engine = rotate.Engine{URLVariable: "REDIS_URL", Flags: func(flags *flag.FlagSet) func(context.Context, string) (store.Shared, func(), error) {
	name := flags.String("name", "lazyauth", "the `name` of the fleet")
	return func(ctx context.Context, url string) (store.Shared, func(), error) {
		db, err := redis.Open(ctx, url, &redis.Options{Name: *name})
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	}
}}
