// Command replicas runs one MCP server as three processes behind a proxy that sends every request to the
// next one, breaks them as it goes, and prints what came of it.
//
//	go run -C examples/replicas . -approve -store postgres
//
// It starts what it needs on loopback: an authorization server that keeps a journal, the database (which has to be
// installed), the processes and the proxy; and it plays the hosts, and the people who approve. Start to read at
// replica.go, which makes examples/http one of several: store.go has what they share, and all else is the play around it:
// rolling.go replaces them, stories.go and breaking.go break them, and journal.go knows what may have come of it.
// docs/scale.md says how such a server is deployed.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "replicas:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// options are those of the command line.
type options struct {
	approve              bool
	store                string
	without              string
	deaths, halts, kills int
	rolling              bool
	drain                time.Duration
	key                  string
	rounds               int
	again                string // of a round that is played again, so that it has rows of its own
	still                *stillness
}

// namespace is another one for each round.
func (o options) namespace() string { return fmt.Sprintf("replicas%d%s", o.rounds, o.again) }

const usage = `replicas runs examples/http as three processes behind a proxy, breaks them as it goes, and says what came of it.

	go run -C examples/replicas . -approve -store redis

It ends with 1 if a figure is not what it is to be. A build with the tag faults (go run -tags faults) can take
a guard out, to see that it is missed.

`

func parse(args []string, out io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("replicas", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.approve, "approve", false, "play the people, who approve what their hosts show them")
	flags.StringVar(&o.store, "store", "postgres", "what the processes share: postgres, redis, file, or the `URL` of a database that runs: what is there under the names replicas1 to replicas5, or these and again, is deleted")
	flags.IntVar(&o.deaths, "deaths", 5, "how often a process dies at each of the points")
	flags.IntVar(&o.halts, "halts", 2, "how often one stands still at each of them, for longer than its lease")
	flags.IntVar(&o.kills, "kills", 100, "how many are killed at random")
	flags.BoolVar(&o.rolling, "rolling", true, "replace the processes one after the other by SIGTERM, under load, also from one format of rows to another and back")
	flags.DurationVar(&o.drain, "drain", 25*time.Second, "how long a process that is to end goes on, at most, with what no other one can; 0: not at all, to see what that costs")
	if len(guards) > 0 {
		flags.StringVar(&o.without, "without", "", "a guard to take out, to see that it is missed: "+strings.Join(guards, ", "))
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("there are arguments beside the flags: %q", flags.Args())
	case !o.approve:
		return o, errors.New("nobody is there to approve a hundred sign-ins: give -approve, which plays the people")
	case o.without != "" && !slices.Contains(guards, o.without):
		return o, fmt.Errorf("-without: there is no guard %q; there are %s", o.without, strings.Join(guards, ", "))
	case min(o.deaths, o.halts, o.kills) < 0 || o.drain < 0:
		return o, errors.New("-deaths, -halts, -kills and -drain are from 0 on")
	}
	o.key, o.still = newKey(), new(stillness)
	return o, nil
}

// newKey returns what the keys of all replicas of a round are made of.
func newKey() string {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails, see crypto/rand
	return hex.EncodeToString(secret)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if text := os.Getenv(configVariable); text != "" {
		var cfg replicaConfig
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			return fmt.Errorf("%s: %w", configVariable, err)
		}
		return serveReplica(ctx, cfg)
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	at, stop, err := engine(ctx, o.store)
	if err != nil {
		return err
	}
	defer stop()
	began := time.Now()
	first := o
	first.rounds = 1
	err = first.one(ctx, at, func(context.Context, string) error { return nil }) // what is wrong with the store is said once
	watching, enough := context.WithCancel(ctx)
	defer enough()
	go watchClock(watching, func(context.Context) {}, o.still.add)
	if err == nil && !isFolder(at) {
		err = first.watchStore(watching, at)
	}
	if err == nil {
		err = o.play(ctx, out, at)
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("it was ended in the middle, and figures of that say nothing")
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "all as it is to be, in %d s\n", int(time.Since(began).Seconds()))
	return nil
}

// flows are those by which people are asked.
var flows = map[string]lazyauth.Flow{"device": lazyauth.FlowDevice, "redirect": lazyauth.FlowRedirect}

// play plays the rounds.
func (o options) play(ctx context.Context, out io.Writer, at string) error {
	var failed error
	isFile := isFolder(at)
	if o.without != "" { // which is missed in the last round
		return o.breaks(ctx, out, at)
	}
	for _, name := range slices.Sorted(maps.Keys(flows)) {
		if isFile && name == "redirect" { // without a directory no other process can have a page answered
			continue
		}
		o.rounds++
		if err := o.steadily(ctx, out, at, func(ctx context.Context, o options, place string) error {
			r, err := begin(ctx, out, o, place, flows[name], users(1))
			if err != nil {
				return err
			}
			defer r.end()
			return r.first(ctx, name)
		}); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if o.rolling {
		failed = errors.Join(failed, o.roll(ctx, out, at))
		o.rounds += len(flows)
	}
	if o.deaths+o.halts+o.kills == 0 {
		return failed
	}
	return errors.Join(failed, o.breaks(ctx, out, at))
}

// breaks plays the round in which processes are broken.
func (o options) breaks(ctx context.Context, out io.Writer, at string) error {
	o.rounds++
	return o.steadily(ctx, out, at, func(ctx context.Context, o options, place string) error {
		people := users(400)
		r, err := begin(ctx, out, o, place, lazyauth.FlowDevice, people)
		if err != nil {
			return err
		}
		defer r.end()
		if !isFolder(at) && (o.halts > 0 || o.without != "") {
			telling, enough := context.WithCancel(ctx)
			defer enough()
			if o.without != "" { // what is missed is to be found, and then that is that
				go r.watch(telling, enough)
			}
			err := r.stories(telling, people[:soMany])
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil || r.isWrong():
				return errors.Join(err, r.report())
			}
		}
		return r.chaos(ctx, people[soMany:], o)
	})
}

// isFolder reports whether what -store says is no database.
func isFolder(place string) bool { return !strings.Contains(place, "://") }

// one plays a round with rows of its own. Those of an earlier run are deleted: nobody has their keys any more.
func (o options) one(ctx context.Context, at string, play func(context.Context, string) error) error {
	if isFolder(at) {
		return play(ctx, filepath.Join(at, o.namespace()))
	}
	if strings.HasPrefix(at, "postgres") {
		if _, err := postgres.Migrate(ctx, at, &postgres.Options{Schema: o.namespace()}); err != nil {
			return err
		}
	}
	rows, closeRows, err := openRows(ctx, replicaConfig{Store: at, Namespace: o.namespace()})
	if err != nil {
		return err
	}
	err = deleteAll(ctx, rows)
	closeRows()
	if err != nil {
		return err
	}
	return play(ctx, at)
}

// deleteAll deletes what is sealed. What is not, marks above all, is found by nobody with other keys, and ends by itself.
func deleteAll(ctx context.Context, rows store.Shared) error {
	for {
		ids, err := rows.NotSealedBy(ctx, "", store.ID{}, 500)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := rows.Delete(ctx, id); err != nil {
				return err
			}
		}
	}
}

// engine starts what -store names, unless that is a URL, and returns where it is.
func engine(ctx context.Context, name string) (at string, stop func(), err error) {
	if strings.Contains(name, "://") {
		return name, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "replicas")
	if err != nil {
		return "", nil, err
	}
	clean := func() { _ = os.RemoveAll(dir) }
	switch name {
	case "postgres":
		p, err := engines.StartPostgres(ctx, dir)
		if err != nil {
			clean()
			return "", nil, fmt.Errorf("-store postgres: %w", err)
		}
		return p.URL(p.Addr(), "postgres"), func() { _ = p.Stop(context.WithoutCancel(ctx)); clean() }, nil
	case "redis":
		r, err := engines.StartRedis(ctx, dir, "appendonly yes", "appendfsync always")
		if err != nil {
			clean()
			return "", nil, fmt.Errorf("-store redis: %w", err)
		}
		return r.URL(r.Addr()), func() { _ = r.Stop(context.WithoutCancel(ctx)); clean() }, nil
	}
	if name == "file" {
		return dir, clean, nil
	}
	clean()
	return "", nil, fmt.Errorf("-store: %q is none of postgres, redis and file, and no URL", name)
}
