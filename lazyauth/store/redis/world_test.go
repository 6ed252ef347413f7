package redis_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// server is one for all tests, each of which has keys of its own. No tests run at once, since some stop it.
var server *engines.Redis

// durable is what nothing is lost with.
var durable = []string{"appendonly yes", "appendfsync always"}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "redis")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		ctx := context.Background()
		if server, err = engines.StartRedis(ctx, dir, durable...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = server.Stop(ctx) }()
		return m.Run()
	}())
}

var names atomic.Int64

// A place has keys of its own, and a link to the server.
type place struct {
	t    *testing.T
	link *engines.Link
	opts redis.Options
	url  string
}

func newPlace(t *testing.T, s *engines.Redis) *place {
	t.Helper()
	link, err := engines.NewLink(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return &place{t: t, link: link, url: s.URL(link.Addr()), opts: redis.Options{Name: fmt.Sprintf("fleet-%d", names.Add(1)), Timeout: time.Minute}}
}

// open opens what the test closes.
func (p *place) open() *redis.DB {
	p.t.Helper()
	db, err := redis.Open(p.t.Context(), p.url, &p.opts)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(db.Close)
	return db
}

// start starts another server, which the test stops.
func start(t *testing.T, settings ...string) *engines.Redis {
	t.Helper()
	s, err := engines.StartRedis(t.Context(), t.TempDir(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// do sends a command as an operator would.
func do(t *testing.T, s *engines.Redis, words ...string) {
	t.Helper()
	if _, err := s.Do(context.WithoutCancel(t.Context()), words...); err != nil {
		t.Fatal(err)
	}
}

// common is the place as the tests of all engines have it.
func (p *place) common() enginetest.Place {
	return enginetest.Place{
		Connect: func(timeout time.Duration) (store.Shared, func(), error) {
			opts := p.opts
			opts.Timeout = cmp.Or(timeout, opts.Timeout)
			db, err := redis.Open(p.t.Context(), p.url, &opts)
			if err != nil {
				return nil, nil, err
			}
			return db, db.Close, nil
		},
		Link: p.link, Engine: "Redis", Secret: server.Password(),
	}
}

// wantAdvice checks that an error says which server it is of, what to do, and no password.
func wantAdvice(t *testing.T, err error, words ...string) {
	t.Helper()
	enginetest.Place{Engine: "Redis", Secret: server.Password()}.WantAdvice(t, err, words...)
}
