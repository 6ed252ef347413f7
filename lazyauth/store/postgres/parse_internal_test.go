package postgres

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A server on another machine has to have TLS and to prove who it is, unless the URL says otherwise; one on
// this machine need not.
func TestParse_TLS(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for url, want := range map[string]string{
		"postgres://u:p@db.example.com/x":                                "db.example.com",
		"postgres://u:p@db.example.com/x?connect_timeout=3":              "db.example.com",
		"postgres://u:p@10.0.0.1/x":                                      "10.0.0.1",
		"postgres://u:p@localhost,db.example.com/x":                      "localhost,db.example.com",
		"postgres://u:p@db.example.com/x?sslmode=verify-full":            "db.example.com",
		"postgres://u:p@db.example.com/x?sslmode=disable":                "plain",
		"postgres://u:p@db.example.com/x?sslmode=require":                "unverified",
		"postgres://u:p@127.0.0.1/x?sslmode=disable":                     "plain",
		"postgres://u:p@/x?host=/run/postgresql":                         "plain",
		"postgres://u:p@localhost/x":                                     "unverified,plain",
		"postgres://u:p@db.example.com/x?sslmode=verify-full&sslsni=0":   "db.example.com",
		"postgres://u:p@a.example.com,b.example.com/x?sslmode=require":   "unverified,unverified",
		"postgresql://u:p@db.example.com/x?target_session_attrs=primary": "db.example.com",
	} {
		config, err := parse(url, Options{Timeout: time.Second})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		c := config.ConnConfig
		got := []string{kind(c.TLSConfig)}
		for _, f := range c.Fallbacks {
			got = append(got, kind(f.TLSConfig))
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: %q; want %q", url, got, want)
		}
	}
}

func kind(c *tls.Config) string {
	switch {
	case c == nil:
		return "plain"
	case c.InsecureSkipVerify:
		return "unverified"
	}
	return c.ServerName
}

// Sessions are set up where they are this program's own, and waited for no longer than told.
func TestParse_Session(t *testing.T) {
	const url = "postgres://u:p@localhost/x"
	own, err := parse(url, Options{Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if c := own.ConnConfig; c.RuntimeParams["statement_timeout"] != "4000" || c.ConnectTimeout != connectTimeout || c.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		t.Errorf("%v, %v, %v", c.RuntimeParams, c.ConnectTimeout, c.DefaultQueryExecMode)
	}
	pooled, err := parse(url, Options{Timeout: time.Second, Pooled: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := pooled.ConnConfig; len(c.RuntimeParams) != 0 || c.DefaultQueryExecMode != pgx.QueryExecModeExec {
		t.Errorf("pooled: %v, %v", c.RuntimeParams, c.DefaultQueryExecMode)
	}
	said, err := parse(url+"?statement_timeout=7&connect_timeout=9&default_query_exec_mode=simple_protocol", Options{Timeout: time.Second, Pooled: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := said.ConnConfig; c.RuntimeParams["statement_timeout"] != "7" || c.ConnectTimeout != 9*time.Second || c.DefaultQueryExecMode != pgx.QueryExecModeSimpleProtocol {
		t.Errorf("as the URL says: %v, %v, %v", c.RuntimeParams, c.ConnectTimeout, c.DefaultQueryExecMode)
	}
}

// FuzzParseHint: whatever a notification says, it is a hint.
func FuzzParseHint(f *testing.F) {
	f.Add("grant:" + strings.Repeat("ab", 32))
	f.Add(strings.Repeat("g", 100) + ":" + strings.Repeat("AB", 32))
	f.Add("::")
	f.Fuzz(func(t *testing.T, text string) {
		id := parseHint(text)
		if id.Kind != "" && !strings.HasPrefix(text, id.Kind+":") {
			t.Errorf("%q: %v", text, id)
		}
	})
}
