package redis_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// What is wrong at the start is told, with what to do, and whether it helps to try again.
func TestOpen_Refused(t *testing.T) {
	closed, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	own := server.URL("")
	for name, c := range map[string]struct {
		url   string
		is    error
		words []string
	}{
		"wrong password": {strings.Replace(own, server.Password(), "hunter2", 1), store.ErrUnavailable, []string{"WRONGPASS"}},
		"no such user":   {strings.Replace(own, ":"+server.Password(), "mallory:hunter2", 1), store.ErrUnavailable, []string{"WRONGPASS"}},
		"no password":    {strings.Replace(own, ":"+server.Password()+"@", "", 1), store.ErrUnavailable, []string{"NOAUTH", "URL"}},
		"no database":    {own + "/4711", store.ErrUnavailable, []string{"database"}},
		"nobody listens": {server.URL(closed.Addr()), store.ErrNoAnswer, []string{"does it run", "refused"}},
		"without TLS":    {strings.Replace(own, "redis://", "rediss://", 1) + "?dial_timeout=2s", store.ErrNoAnswer, []string{"no TLS"}},
		"unknown name":   {server.URL("redis.invalid:6379"), store.ErrNoAnswer, []string{"redis.invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := redis.Open(t.Context(), c.url, nil)
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, c.is) {
				t.Errorf("Open: %v; want it to be %q", err, c.is)
			}
			wantAdvice(t, err, c.words...)
		})
	}
}

// A URL that cannot be read is not repeated, since there is a password in it.
func TestOpen_URL(t *testing.T) {
	for _, url := range []string{
		"redis://:hunter2@[::1", "redis://:hun%ter2@db", "http://:hunter2@db", "hunter2", "", "redis://:hunter2@db/hunter2", "redis://:hunter2@db/1/2",
		"redis://:hunter2@db?db=hunter2", "redis://:hunter2@db?dial_timeout=hunter2", "rediss://:hunter2@db?skip_verify=true", "rediss://:hunter2@db?skip_verify",
		"redis://:hunter2@db?password=hunter2", "redis://:hunter2@db:port", "unix://:hunter2@/run/redis.sock",
	} {
		db, err := redis.Open(t.Context(), url, nil)
		if err == nil {
			db.Close()
			t.Fatalf("%s: no error", url)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "hun%") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, name := range []string{"a b", "{a}", "a*", strings.Repeat("n", 49), "a:b"} {
		if db, err := redis.Open(t.Context(), server.URL(""), &redis.Options{Name: name}); err == nil {
			db.Close()
			t.Errorf("name %q: no error", name)
		}
	}
}

// Names for people have no password in them, however they are printed.
func TestDB_String(t *testing.T) {
	db := newPlace(t, server).open()
	for _, text := range []string{db.String(), db.GoString()} {
		if !strings.Contains(text, "in Redis at 127.0.0.1:") || strings.Contains(text, server.Password()) {
			t.Errorf("%q", text)
		}
	}
}
