package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// certificate writes one for 127.0.0.1, which is its own authority, and its key.
func certificate(t *testing.T, dir string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// A server that proves who it is is taken, and another is not.
func TestOpen_TLS(t *testing.T) {
	p := newPlace(t)
	cert, key := certificate(t, folder(t))
	if err := server.Own(cert, key); err != nil {
		t.Fatal(err)
	}
	admin(t, "ALTER SYSTEM SET ssl_cert_file = '"+cert+"'", "ALTER SYSTEM SET ssl_key_file = '"+key+"'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
	t.Cleanup(func() {
		admin(t, "ALTER SYSTEM RESET ssl", "ALTER SYSTEM RESET ssl_cert_file", "ALTER SYSTEM RESET ssl_key_file", "SELECT pg_reload_conf()")
	})
	url := server.URL("", "postgres") + "?sslmode=verify-full"
	var db *postgres.DB
	eventually(t, "it has TLS", func() (ok bool) {
		var err error
		db, err = postgres.Open(t.Context(), url+"&sslrootcert="+cert, &p.opts)
		return err == nil
	})
	defer db.Close()
	put(t, db, grant(1), "by TLS")
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
