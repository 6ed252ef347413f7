package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// Several that migrate at once make the schema once, and a later one finds it complete.
func TestMigrate_AtOnce(t *testing.T) {
	opts := &postgres.Options{Schema: fmt.Sprintf("fleet_%d", schemas.Add(1))}
	url := server.URL("", "postgres")
	if missing, err := postgres.Missing(t.Context(), url, opts); err != nil || len(missing) == 0 {
		t.Fatalf("Missing: %q, %v", missing, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 5 {
		wg.Go(func() {
			did, err := postgres.Migrate(t.Context(), url, opts)
			if err != nil {
				t.Errorf("Migrate: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			made += len(did)
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	if missing, err := postgres.Missing(t.Context(), url, opts); err != nil || len(missing) != 0 {
		t.Errorf("Missing: %q, %v", missing, err)
	}
}

// The statements that are printed make the same schema.
func TestSQL(t *testing.T) {
	schema := fmt.Sprintf("fleet_%d", schemas.Add(1))
	sql, err := postgres.SQL(schema)
	if err != nil {
		t.Fatal(err)
	}
	admin(t, sql)
	db, err := postgres.Open(t.Context(), server.URL("", "postgres"), &postgres.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	enginetest.Put(t, db, enginetest.Grant(1), "in it")
	if sql, err := postgres.SQL("no schema"); err == nil {
		t.Errorf("of no schema: %s", sql)
	}
}

// A release that needs what a later one has removed is refused, and does not put it back; one that was
// only added to goes on.
func TestOpen_LaterRelease(t *testing.T) {
	p := newPlace(t)
	admin(t, "INSERT INTO "+p.opts.Schema+".steps (version, contracts) VALUES (1000, false)")
	p.open().Close()
	admin(t, "INSERT INTO "+p.opts.Schema+".steps (version, contracts) VALUES (1001, true)")
	_, err := postgres.Open(t.Context(), p.url(), &p.opts)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open: %v", err)
	}
	wantAdvice(t, err, "later release")
	if _, err := postgres.Migrate(t.Context(), p.url(), &p.opts); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Migrate: %v", err)
	}
}

// The user of a program needs no right to alter anything, and Open does not try to.
func TestOpen_AltersNothing(t *testing.T) {
	p := newPlace(t)
	s := p.opts.Schema
	admin(t, "DROP ROLE IF EXISTS program", "CREATE ROLE program LOGIN PASSWORD 'program'",
		"GRANT USAGE ON SCHEMA "+s+" TO program", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+s+" TO program")
	url := withUser(server.URL("", "postgres"), "program", "program")
	db, err := postgres.Open(t.Context(), url, &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	enginetest.Put(t, db, enginetest.Grant(1), "written")
	_, err = postgres.Migrate(t.Context(), url, &postgres.Options{Schema: "elsewhere"})
	if err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("Migrate by one who may not: %v", err)
	}
	admin(t, "DROP OWNED BY program", "DROP ROLE program")
}

// The command says what is missing, makes it, and then says that it is there.
func TestCommand(t *testing.T) {
	command := filepath.Join(t.TempDir(), "migrate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "./cmd/migrate").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	schema := fmt.Sprintf("fleet_%d", schemas.Add(1))
	for _, c := range []struct {
		flag, want string
		fails      bool
	}{
		{"-check", "missing: the table of rows and its indexes\n", true},
		{"", "made: the table of rows and its indexes\n", false},
		{"", "the schema was complete\n", false},
		{"-check", "the schema is complete\n", false},
	} {
		args := []string{"-schema", schema}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		cmd := exec.CommandContext(t.Context(), command, args...)
		cmd.Env = append(os.Environ(), "DATABASE_URL="+server.URL("", "postgres"))
		out, err := cmd.Output()
		if string(out) != c.want || (err != nil) != c.fails {
			t.Errorf("migrate %s: %q, %v; want %q", c.flag, out, err, c.want)
		}
	}
}
