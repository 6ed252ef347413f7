// Command rotate seals anew the rows of a fleet that are sealed by another key than the first one, or are in another
// format than the machines write.
//
//	DATABASE_URL=postgres://program@db.example.com/lazyauth LAZYAUTH_SEALING_KEYS=NEW,OLD rotate
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
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

func main() { rotate.Main(engine) }

// engine is what the command has of its own.
var engine = rotate.Engine{URLVariable: "DATABASE_URL", Instead: []string{"PGHOST", "PGSERVICE", "PGDATABASE"}, Flags: func(flags *flag.FlagSet) func(context.Context, string) (store.Shared, func(), error) {
	schema := flags.String("schema", "lazyauth", "the `name` of the schema")
	return func(ctx context.Context, url string) (store.Shared, func(), error) {
		db, err := postgres.Open(ctx, url, &postgres.Options{Schema: *schema})
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	}
}}
