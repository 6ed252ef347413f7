package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// withUser is a URL for somebody else.
func withUser(url, user, password string) string {
	return strings.Replace(url, "lazyauth:"+server.Password()+"@", user+":"+password+"@", 1)
}

// What is wrong at the start is told, with what to do, and whether it helps to try again.
func TestOpen_Refused(t *testing.T) {
	p := newPlace(t)
	admin(t, "DROP ROLE IF EXISTS nobody", "CREATE ROLE nobody LOGIN PASSWORD 'nobody'")
	closed, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	own := server.URL("", "postgres")
	for name, c := range map[string]struct {
		url, schema string
		is          error
		words       []string
	}{
		"wrong password": {withUser(own, "lazyauth", "hunter2"), "", store.ErrUnavailable, []string{"password", "28P01"}},
		"no such user":   {withUser(own, "mallory", "hunter2"), "", store.ErrUnavailable, []string{"28P01"}},
		"no database":    {server.URL("", "elsewhere"), "", store.ErrUnavailable, []string{"3D000", "create it"}},
		"no schema":      {own, "nowhere", store.ErrUnavailable, []string{"the table of rows", "cmd/migrate"}},
		"not granted":    {withUser(own, "nobody", "nobody"), "", store.ErrUnavailable, []string{"grant it USAGE"}},
		"nobody listens": {server.URL(closed.Addr(), "postgres"), "", store.ErrNoAnswer, []string{"does it run", "refused"}},
		"without TLS":    {own + "?sslmode=require", "", store.ErrUnavailable, []string{"no TLS"}},
		"unknown name":   {server.URL("db.invalid:5432", "postgres") + "?sslmode=disable", "", store.ErrNoAnswer, []string{"db.invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			opts := p.opts
			if c.schema != "" {
				opts.Schema = c.schema
			}
			db, err := postgres.Open(t.Context(), c.url, &opts)
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, c.is) {
				t.Errorf("Open: %v; want it to be %q", err, c.is)
			}
			wantAdvice(t, err, c.words...)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v: there is the password in it", err)
			}
		})
	}
}

// A URL that cannot be read is not repeated, since there is a password in it.
func TestOpen_URL(t *testing.T) {
	for _, url := range []string{
		"postgres://lazyauth:hunter2@[::1/db", "postgres://lazyauth:hun%ter2@db/db", "mysql://lazyauth:hunter2@db/db",
		"host=db password=hunter2", "postgres://lazyauth:hunter2@db:port/db", "postgres://lazyauth:hunter2@db/db?sslmode=maybe",
		"postgres://lazyauth:hunter2@db/db?connect_timeout=hunter2", "postgres://lazyauth:hunter2@db/db?pool_max_conns=-1",
		"postgres://lazyauth:hunter2@db/db?sslrootcert=/nowhere/hunter2", "postgres://lazyauth:hunter2@db/db?default_query_exec_mode=hunter2",
		"postgres://lazyauth:hunter2@db/db?pool_min_conns=9&pool_max_conns=1",
	} {
		db, err := postgres.Open(t.Context(), url, nil)
		if err == nil {
			db.Close()
			t.Fatalf("%s: no error", url)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "hun%") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, schema := range []string{"Robert'); DROP TABLE students;--", "a b", "1st", strings.Repeat("s", 49), `"quoted"`} {
		if db, err := postgres.Open(t.Context(), server.URL("", "postgres"), &postgres.Options{Schema: schema}); err == nil {
			db.Close()
			t.Errorf("schema %q: no error", schema)
		}
	}
}

// A server that has no connection left says so, and serves again when it has.
func TestTooManyConnections(t *testing.T) {
	p := newPlace(t)
	admin(t, "DROP ROLE IF EXISTS few", "CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 1",
		"GRANT USAGE ON SCHEMA "+p.opts.Schema+" TO few", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+p.opts.Schema+" TO few")
	t.Cleanup(func() { admin(t, "DROP OWNED BY few", "DROP ROLE few") })
	url := withUser(server.URL("", "postgres"), "few", "few") + "?pool_max_conns=1"
	first, err := postgres.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = postgres.Open(t.Context(), url, &p.opts)
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("Open: %v; want an ErrNoAnswer", err)
	}
	wantAdvice(t, err, "53300", "pool_max_conns")
	first.Close()
	enginetest.Eventually(t, "there is one again", func() bool {
		db, err := postgres.Open(t.Context(), url, &p.opts)
		if err != nil {
			return false
		}
		db.Close()
		return true
	})
}

// What the server may lose is read from its settings.
func TestLosses(t *testing.T) {
	p := newPlace(t)
	for setting, want := range map[string]store.Losses{
		"":                        store.LosesNothing,
		"?synchronous_commit=off": store.LosesLastSecond,
	} {
		db, err := postgres.Open(t.Context(), server.URL("", "postgres")+setting, &p.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := db.Losses(t.Context()); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", setting, got, err, want)
		}
		db.Close()
	}
}

// Names for people have no password in them, however they are printed.
func TestDB_String(t *testing.T) {
	db := newPlace(t).open()
	for _, text := range []string{db.String(), db.GoString()} {
		if !strings.Contains(text, "PostgreSQL at 127.0.0.1:") && !strings.Contains(text, "postgres.DB") || strings.Contains(text, server.Password()) {
			t.Errorf("%q", text)
		}
	}
}

// A disk that is full is told, and what was there can be read.
func TestDiskFull(t *testing.T) {
	dir := tinyDisk(t)
	if err := server.Own(dir); err != nil {
		t.Fatal(err)
	}
	admin(t, "CREATE TABLESPACE tiny LOCATION '"+dir+"'")
	p := newPlace(t)
	t.Cleanup(func() { admin(t, "DROP SCHEMA "+p.opts.Schema+" CASCADE", "DROP TABLESPACE tiny") })
	admin(t, "ALTER TABLE "+p.opts.Schema+".rows SET TABLESPACE tiny")
	db := p.open()
	content := []byte(strings.Repeat("x", store.MaxContent))
	ctx := context.WithoutCancel(t.Context())
	for n := range 1000 {
		ok, err := db.Insert(ctx, enginetest.Grant(n), store.Change{Generation: 1, Content: content})
		if err != nil {
			if !errors.Is(err, store.ErrUnwritable) {
				t.Errorf("row %d: %v; want an ErrUnwritable", n, err)
			}
			wantAdvice(t, err, "53100", "disk is full")
			if row := enginetest.Get(t, db, enginetest.Grant(0)); len(row.Content) != len(content) {
				t.Errorf("what was there: %d bytes", len(row.Content))
			}
			return
		}
		if !ok {
			t.Fatalf("row %d is there already", n)
		}
	}
	t.Error("the disk was never full")
}

// A server that has become read-only ends no connection: the next one is a new one, and may be to its successor.
func TestReadOnly_IsLeft(t *testing.T) {
	p := newPlace(t)
	s := subject(p)
	db := p.open()
	row := enginetest.Put(t, db, enginetest.Grant(1), "before")
	restore, err := s.ReadOnly()
	if err != nil {
		t.Fatal(err)
	}
	defer restore()
	write := func() error {
		_, err := db.Write(t.Context(), enginetest.Grant(1), row.Fence, 1, store.Change{Generation: 2})
		return err
	}
	enginetest.Eventually(t, "it is read-only", func() bool { return errors.Is(write(), store.ErrUnwritable) })
	dialed := p.link.Dialed()
	for range 3 {
		if err := write(); !errors.Is(err, store.ErrUnwritable) {
			t.Errorf("Write: %v; want an ErrUnwritable", err)
		}
	}
	if now := p.link.Dialed(); now < dialed+2 {
		t.Errorf("%d connections, and after three writes %d", dialed, now)
	}
}
