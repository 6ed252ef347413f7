// Command migrate makes, or completes, the tables that a fleet's rows are kept in.
//
//	DATABASE_URL=postgres://owner@db.example.com/lazyauth migrate
//
// The URL is read from the environment, since others can read a program's arguments; the password may be in
// it, or in the file that PGPASSFILE names. Several may run at once. -check alters nothing, and ends
// with 1 if something is missing; -print writes the statements for a new schema, and connects to nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

const usage = `migrate makes, or completes, the tables that a fleet's rows are kept in. It reads

  DATABASE_URL  the URL of the database, with a user who may make tables, and the password, unless PGPASSFILE names
                the file that has it

`

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	schema := flags.String("schema", "lazyauth", "the `name` of the schema")
	check := flags.Bool("check", false, "say what is missing, and alter nothing")
	show := flags.Bool("print", false, "write the statements for a new schema, and connect to nothing")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err != nil:
		return err
	case flags.NArg() > 0:
		return errors.New("it takes no arguments: the URL is read from DATABASE_URL")
	}
	if *show {
		sql, err := postgres.SQL(*schema)
		if err == nil {
			_, err = io.WriteString(out, sql)
		}
		return err
	}
	url := os.Getenv("DATABASE_URL")
	if url == "" && os.Getenv("PGHOST")+os.Getenv("PGSERVICE")+os.Getenv("PGDATABASE") == "" { // and not whatever runs here
		return errors.New("DATABASE_URL is empty: it has the URL of the database, with a user who may make tables; the PG… variables of libpq do, too")
	}
	opts := &postgres.Options{Schema: *schema}
	if *check {
		missing, err := postgres.Missing(ctx, url, opts)
		if err != nil {
			return err
		}
		for _, what := range missing {
			fmt.Fprintln(out, "missing:", what)
		}
		if len(missing) > 0 {
			return errors.New("the schema is not complete")
		}
		fmt.Fprintln(out, "the schema is complete")
		return nil
	}
	did, err := postgres.Migrate(ctx, url, opts)
	if err != nil {
		return err
	}
	for _, what := range did {
		fmt.Fprintln(out, "made:", what)
	}
	if len(did) == 0 {
		fmt.Fprintln(out, "the schema was complete")
	}
	return nil
}
