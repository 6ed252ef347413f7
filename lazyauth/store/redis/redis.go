package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Options are optional.
type Options struct {
	// Name is in front of every key: 1 to 48 letters, digits, dots, hyphens and underscores. Fleets with
	// names of their own know nothing of each other. Empty means "lazyauth".
	Name string
	// Timeout is how long one command may take, the wait for a connection included. Zero means 10 s.
	Timeout time.Duration
	// TLS is for rediss:// and valkeys:// what a certificate needs that the system does not know.
	// Nil trusts what the system trusts.
	TLS *tls.Config
	// InsecureUncheckedEviction takes a server that does not say what its maxmemory-policy is. If that
	// evicts, a handler may run twice, and a grant that was ended may come back.
	InsecureUncheckedEviction bool
}

// DB is a [store.Shared] in Redis or Valkey. It is made by [Open].
type DB struct {
	client    valkey.Client
	prefix    string // of all keys, with the hash tag
	where     string // for people, without a password
	timeout   time.Duration
	unchecked bool
	tls       bool

	connections connections

	mu     sync.Mutex
	closed bool           // once it is, none is added to wg
	wg     sync.WaitGroup // those that receive hints
}

const (
	defaultTimeout = 10 * time.Second
	dialTimeout    = 5 * time.Second
)

var isName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,48}$`).MatchString

// Open connects to the server that url names, and checks its settings. The returned DB has to be
// closed. An error wraps [store.ErrUnavailable] if no repetition would help, and [store.ErrNoAnswer]
// if one might.
func Open(ctx context.Context, url string, opts *Options) (*DB, error) {
	o := Options{}
	if opts != nil {
		o = *opts
	}
	o.Name = cmp.Or(o.Name, "lazyauth")
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if !isName(o.Name) {
		return nil, errors.New("redis: Options.Name is not 1 to 48 letters, digits, dots, hyphens and underscores")
	}
	if o.Timeout < 0 {
		return nil, errors.New("redis: Options.Timeout is negative")
	}
	option, where, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	d := &DB{prefix: "{" + o.Name + "}:", where: where + ", keys of {" + o.Name + "}", timeout: o.Timeout, unchecked: o.InsecureUncheckedEviction, tls: option.TLSConfig != nil}
	option.DialCtxFn = d.connections.dial
	if d.client, err = d.connect(ctx, option); err != nil {
		return nil, err
	}
	if err := d.Check(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// connect makes the client, which connects and asks the server whether it is one of a cluster. That takes
// no context, and is left behind if it takes longer.
func (d *DB) connect(ctx context.Context, option valkey.ClientOption) (valkey.Client, error) {
	type made struct {
		client valkey.Client
		err    error
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errSlow)
	defer cancel()
	done := make(chan made)
	go func() {
		client, err := valkey.NewClient(option)
		select {
		case done <- made{client, err}:
		case <-ctx.Done():
			if err == nil {
				client.Close()
			}
		}
	}()
	select {
	case m := <-done:
		if m.err != nil {
			return nil, d.failed(ctx, m.err)
		}
		return m.client, nil
	case <-ctx.Done():
		return nil, d.trouble(store.ErrNoAnswer, "the server did not answer in time", context.Cause(ctx))
	}
}

// parameters are those of a URL that are taken; an unknown one is a mistake.
var parameters = map[string]bool{"addr": true, "db": true, "dial_timeout": true, "write_timeout": true, "protocol": true}

// parse reads a URL. No error repeats it, since there is a password in it.
func parse(text string, o Options) (option valkey.ClientOption, where string, err error) {
	scheme, _, _ := strings.Cut(text, "://")
	switch scheme {
	case "redis", "valkey", "rediss", "valkeys":
	default:
		return option, "", errors.New("redis: the URL does not begin with redis://, rediss://, valkey:// or valkeys://")
	}
	u, err := url.Parse(text)
	if err == nil {
		option, err = valkey.ParseURL(text)
	}
	if err != nil {
		return option, "", errors.New("redis: the URL cannot be read: it looks like rediss://user:password@host:6379/0, with special characters in it escaped (%40 for @)")
	}
	for name := range u.Query() {
		if name == "skip_verify" {
			return option, "", errors.New("redis: the URL has skip_verify, which lets whoever is on the network in between read and alter everything: give Options.TLS the server's authority")
		}
		if !parameters[name] {
			return option, "", errors.New("redis: the URL has a parameter that is not addr, db, dial_timeout, write_timeout or protocol")
		}
	}
	if option.TLSConfig != nil && o.TLS != nil {
		name := option.TLSConfig.ServerName
		option.TLSConfig = o.TLS.Clone()
		option.TLSConfig.MinVersion = max(option.TLSConfig.MinVersion, tls.VersionTLS12)
		option.TLSConfig.ServerName = cmp.Or(option.TLSConfig.ServerName, name)
	}
	if option.Dialer.Timeout == 0 {
		option.Dialer.Timeout = dialTimeout
	}
	if option.ConnWriteTimeout == 0 {
		option.ConnWriteTimeout = o.Timeout
	}
	option.ClientName = "lazyauth"
	option.DisableCache = true
	option.DisableRetry = true // they are repeated here, where it is known what may be
	option.AlwaysPipelining = true
	option.PipelineMultiplex = 1
	option.ReadBufferEachConn, option.WriteBufferEachConn = 64<<10, 64<<10
	where = "in Redis at " + strings.Join(option.InitAddress, " or ")
	if option.SelectDB != 0 {
		where += ", database " + strconv.Itoa(option.SelectDB)
	}
	return option, where, nil
}

// Close ends the connections. Whoever waits for an answer gets an error.
func (d *DB) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.client.Close()
	d.wg.Wait()
}

// String says for people where the rows are. It has no password in it.
func (d *DB) String() string { return d.where }

// GoString keeps the password out of %#v.
func (d *DB) GoString() string { return "redis.DB(" + d.where + ")" }

var _ store.Shared = (*DB)(nil)
