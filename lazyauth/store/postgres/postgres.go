package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Options are optional.
type Options struct {
	// Schema has the tables: lowercase letters, digits and underscores, 48 at most. Fleets with
	// schemas of their own know nothing of each other. Empty means "lazyauth".
	Schema string
	// Timeout is how long one statement may take, the wait for a connection included. Zero means 10 s.
	Timeout time.Duration
	// Pooled says that the URL leads to a pooler in transaction mode. The pooler's sessions are
	// used as they are: give its user a statement_timeout (ALTER ROLE … SET), since no statement
	// is ended by the server otherwise when its client is cut off.
	Pooled bool
	// ListenURL leads to the server itself where the other URL leads to a pooler, for
	// [DB.Watch] alone, which takes one connection.
	ListenURL string
}

// DB is a [store.Shared] in PostgreSQL. It is made by [Open].
type DB struct {
	pool     *pgxpool.Pool
	listen   *pgx.ConnConfig // of Watch; nil if there is none
	schema   string
	channel  string // of notifications
	where    string // for people, without a password
	timeout  time.Duration
	sql      statements
	prepares bool // it does so by itself
	hints    hints

	stop func() // what runs in the background
	wg   sync.WaitGroup
}

const (
	defaultTimeout = 10 * time.Second
	connectTimeout = 5 * time.Second
	closeWait      = 3 * time.Second
)

// Open connects to the server that url names, and checks that it has the schema, which it never
// alters: see [DB.Migrate]. The returned DB has to be closed. An error wraps [store.ErrUnavailable] if
// no repetition would help, and [store.ErrNoAnswer] if one might.
func Open(ctx context.Context, url string, opts *Options) (*DB, error) {
	d, err := connect(url, opts)
	if err != nil {
		return nil, err
	}
	if err := d.Check(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Migrate makes or completes the schema at url, as [DB.Migrate] does, and says what it did.
func Migrate(ctx context.Context, url string, opts *Options) (did []string, err error) {
	d, err := connect(url, opts)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Migrate(ctx)
}

// Missing says what [Migrate] would do at url, and alters nothing.
func Missing(ctx context.Context, url string, opts *Options) (missing []string, err error) {
	d, err := connect(url, opts)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Missing(ctx)
}

var isSchema = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,47}$`).MatchString

// connect makes a DB without waiting for anything.
func connect(url string, opts *Options) (*DB, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	o.Schema = cmp.Or(o.Schema, "lazyauth")
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if !isSchema(o.Schema) {
		return nil, errors.New("postgres: Options.Schema is not 1 to 48 lowercase letters, digits and underscores")
	}
	if o.Timeout < 0 {
		return nil, errors.New("postgres: Options.Timeout is negative")
	}
	config, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	d := &DB{
		schema:   o.Schema,
		channel:  o.Schema + "_changed",
		timeout:  o.Timeout,
		where:    placeOf(config.ConnConfig) + ", schema " + o.Schema,
		sql:      statementsFor(o.Schema),
		prepares: config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement,
	}
	switch {
	case o.ListenURL != "":
		listen, err := parse(o.ListenURL, Options{Timeout: o.Timeout})
		if err != nil {
			return nil, err
		}
		d.listen = listen.ConnConfig
	case !o.Pooled:
		d.listen = config.ConnConfig.Copy()
	}
	d.hints.wake = make(chan struct{}, 1)
	background, stop := context.WithCancel(context.Background())
	d.pool, err = pgxpool.NewWithConfig(background, config)
	if err != nil { // it does not connect, but checks its configuration
		stop()
		return nil, errors.New("postgres: the settings of the pool in the URL do not go together (pool_min_conns, pool_max_conns)")
	}
	d.stop = stop
	d.wg.Go(func() { d.sendHints(background) })
	d.wg.Go(func() { d.sweep(background) })
	return d, nil
}

// parse reads a URL. No error repeats it, since there is a password in it.
func parse(url string, o Options) (*pgxpool.Config, error) {
	switch {
	case url == "", strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
	default:
		return nil, errors.New("postgres: the URL does not begin with postgres:// or postgresql://")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("postgres: the URL, or one of the PG… variables, cannot be read: " +
			"it looks like postgres://user:password@host:5432/database?sslmode=verify-full, with special characters in it escaped (%40 for @)")
	}
	// Unless told otherwise pgx falls back to plain text, as libpq does.
	if !saysTLS(url) && !local(config.ConnConfig) {
		if url == "" {
			url = "postgres:///"
		}
		separator := "?"
		if strings.Contains(url, "?") {
			separator = "&"
		}
		if config, err = pgxpool.ParseConfig(url + separator + "sslmode=verify-full"); err != nil {
			return nil, errors.New("postgres: TLS cannot be set up: look at sslrootcert, sslcert and sslkey")
		}
	}
	c := config.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if _, ok := c.RuntimeParams["application_name"]; !ok && !o.Pooled {
		c.RuntimeParams["application_name"] = "lazyauth"
	}
	if o.Pooled {
		if !strings.Contains(url, "default_query_exec_mode=") {
			c.DefaultQueryExecMode = pgx.QueryExecModeExec
		}
	} else if _, ok := c.RuntimeParams["statement_timeout"]; !ok {
		c.RuntimeParams["statement_timeout"] = strconv.FormatInt((o.Timeout + time.Second).Milliseconds(), 10)
	}
	return config, nil
}

func saysTLS(url string) bool {
	return strings.Contains(url, "sslmode=") || strings.Contains(url, "service=") ||
		os.Getenv("PGSSLMODE") != "" || os.Getenv("PGSERVICE") != ""
}

// local reports whether all servers are on this machine.
func local(c *pgx.ConnConfig) bool {
	hosts := []string{c.Host}
	for _, f := range c.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); !strings.HasPrefix(host, "/") && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// placeOf says for people where the database is.
func placeOf(c *pgx.ConnConfig) string {
	seen := map[string]bool{}
	var servers []string
	add := func(host string, port uint16) {
		server := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if !seen[server] {
			seen[server] = true
			servers = append(servers, server)
		}
	}
	add(c.Host, c.Port)
	for _, f := range c.Fallbacks {
		add(f.Host, f.Port)
	}
	return fmt.Sprintf("in PostgreSQL at %s, database %s", strings.Join(servers, " or "), cmp.Or(c.Database, c.User))
}

// Check connects, and reports whether the schema is there, for the start and for readiness.
func (d *DB) Check(ctx context.Context) error {
	missing, err := d.Missing(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return d.trouble(store.ErrUnavailable, "the schema lacks "+strings.Join(missing, ", ")+": "+migrateAdvice, nil)
	}
	return nil
}

// Losses asks the server what of that which it acknowledges may be lost.
func (d *DB) Losses(ctx context.Context) (store.Losses, error) {
	var commit, fsync string
	var standbys int
	var synchronous bool
	_, err := d.one(ctx, reads, `SELECT current_setting('synchronous_commit'), current_setting('fsync'),
		current_setting('synchronous_standby_names') <> '', (SELECT count(*) FROM pg_stat_replication)`,
		nil, &commit, &fsync, &synchronous, &standbys)
	switch {
	case err != nil:
		return store.LosesUnknown, err
	case fsync == "off":
		return store.LosesAny, nil
	case commit == "off":
		return store.LosesLastSecond, nil
	case standbys > 0 && (!synchronous || commit == "local"):
		return store.LosesAtFailover, nil
	}
	return store.LosesNothing, nil
}

// Close ends what runs in the background, and the connections. It waits for the server's part in that, but no
// longer than five seconds: a silent one is left to end by itself, which takes fifteen.
func (d *DB) Close() {
	d.stop()
	d.wg.Wait() // hints are sent for two seconds at most
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeWait):
	}
}

// String says for people where the rows are. It has no password in it.
func (d *DB) String() string { return d.where }

// GoString keeps the password out of %#v.
func (d *DB) GoString() string { return "postgres.DB(" + d.where + ")" }

var _ store.Shared = (*DB)(nil)
