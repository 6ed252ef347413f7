package main

import (
	"strings"
	"testing"
)

// Without a server it prints, and says what it does not take.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-print", "-schema", "fleet"}, &out); err != nil || !strings.Contains(out.String(), `CREATE TABLE "fleet".rows`) {
		t.Errorf("%v: %s", err, out.String())
	}
	for _, args := range [][]string{{"postgres://lazyauth:hunter2@db/db"}, {"-url", "x"}, {"-print", "-schema", "no schema"}} {
		if err := run(t.Context(), args, &out); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", args, err)
		}
	}
	for _, name := range []string{"DATABASE_URL", "PGHOST", "PGSERVICE", "PGDATABASE"} {
		t.Setenv(name, "")
	}
	if err := run(t.Context(), nil, &out); err == nil || !strings.Contains(err.Error(), "DATABASE_URL is empty") {
		t.Errorf("without a URL: %v", err)
	}
	t.Setenv("DATABASE_URL", "mysql://lazyauth:hunter2@db/db")
	for _, args := range [][]string{nil, {"-check"}} {
		if err := run(t.Context(), args, &out); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
