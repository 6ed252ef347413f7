package connect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The names of sites. Each is another site to a browser; those of one name with different ports are one site, and
// different origins.
const (
	mcpHost  = "mcp.test"   // the MCP server, and its page
	asHost   = "login.test" // the authorization server
	ssoHost  = "sso.test"   // where that one sends people on
	evilHost = "evil.test"
)

// certificate is that of all sites of this run, and trusted names the file that has it.
var (
	certificate tls.Certificate
	roots       = x509.NewCertPool()
	trusted     string
	pinned      string // the hash of its key, by which Chromium knows it
)

// writeCertificate makes the certificate.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "conformance/connect"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
		DNSNames: []string{mcpHost, asHost, ssoHost, evilHost, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	roots.AddCert(parsed)
	sum := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	pinned = base64.StdEncoding.EncodeToString(sum[:])
	trusted = filepath.Join(dir, "certificate.pem")
	return os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// A site listens under a name, on loopback and with TLS, before it has anything to say.
type site struct {
	origin   string
	listener net.Listener
}

func listens(t *testing.T, name string) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &site{origin: "https://" + name + ":" + port, listener: listener}
}

// serve answers with a handler, until the test ends.
func (s *site) serve(t *testing.T, handler http.Handler) {
	server := &http.Server{
		Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}, ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // Chromium opens connections that it does not use
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeTLS(s.listener, "", "") // it ends with Close
	}()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
}

// serves is a site that says something from the beginning, and returns its origin.
func serves(t *testing.T, name string, handler http.Handler) string {
	t.Helper()
	s := listens(t, name)
	s.serve(t, handler)
	return s.origin
}

// dial finds all sites on loopback, as Chromium is told to.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// reaching is how programs reach the sites.
var reaching = &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}

// proxy passes on to another address, without a prefix of the path, and with the name that the browser knows.
func proxy(t *testing.T, prefix, to string) http.Handler {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return http.StripPrefix(prefix, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1, Transport: reaching, ErrorLog: log.New(io.Discard, "", 0),
	})
}
