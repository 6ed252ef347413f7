package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// A server is taken if it proves who it is, and not otherwise.
func TestOpen_TLS(t *testing.T) {
	p := newPlace(t)
	cert, key, err := engines.Certificate(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Own(cert, key); err != nil {
		t.Fatal(err)
	}
	admin(t, "ALTER SYSTEM SET ssl_cert_file = '"+cert+"'", "ALTER SYSTEM SET ssl_key_file = '"+key+"'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
	t.Cleanup(func() {
		admin(t, "ALTER SYSTEM RESET ssl", "ALTER SYSTEM RESET ssl_cert_file", "ALTER SYSTEM RESET ssl_key_file", "SELECT pg_reload_conf()")
	})
	url := server.URL("", "postgres") + "?sslmode=verify-full"
	var db *postgres.DB
	enginetest.Eventually(t, "it has TLS", func() (ok bool) {
		var err error
		db, err = postgres.Open(t.Context(), url+"&sslrootcert="+cert, &p.opts)
		return err == nil
	})
	defer db.Close()
	enginetest.Put(t, db, enginetest.Grant(1), "by TLS")
	for what, url := range map[string]string{
		"an authority that nobody trusts": url,
		"another name":                    strings.Replace(url, "127.0.0.1", "localhost", 1) + "&sslrootcert=" + cert,
	} {
		db, err := postgres.Open(t.Context(), url, &p.opts)
		if err == nil {
			db.Close()
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v; want an ErrUnavailable", what, err)
		}
		wantAdvice(t, err, "sslrootcert")
	}
}
