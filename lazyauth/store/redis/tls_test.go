package redis_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// A server is taken if it proves who it is, and not otherwise.
func TestOpen_TLS(t *testing.T) {
	cert, key, err := engines.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	free, err := engines.NewPort()
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	addr := free.Addr()
	_, port, _ := net.SplitHostPort(addr)
	s := start(t, "tls-port "+port, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+cert, "tls-auth-clients no")
	url := strings.Replace(s.URL(addr), "redis://", "rediss://", 1)
	db, err := redis.Open(t.Context(), url, &redis.Options{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	enginetest.Put(t, db, enginetest.Grant(1), "by TLS")
	for what, c := range map[string]struct {
		url string
		tls *tls.Config
	}{
		"an authority that nobody trusts": {url, nil},
		"another name":                    {strings.Replace(url, "127.0.0.1", "localhost", 1), &tls.Config{RootCAs: roots}},
	} {
		db, err := redis.Open(t.Context(), c.url, &redis.Options{TLS: c.tls})
		if err == nil {
			db.Close()
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v; want an ErrUnavailable", what, err)
		}
		wantAdvice(t, err, "certificate", "Options.TLS")
	}
	_, err = redis.Open(t.Context(), s.URL(addr)+"?dial_timeout=5s&write_timeout=5s", nil)
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("in plain text: %v; want an ErrNoAnswer", err)
	}
	wantAdvice(t, err, "speaks TLS")
}
