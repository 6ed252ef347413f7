package signin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// An authorizationServer is fakeas with TLS, since there are agents that refuse
// links without.
type authorizationServer struct {
	*fakeas.Server
	issuer, client string
	file           string // the certificate
	trust          *x509.CertPool
	close          func()
}

func newAuthorizationServer(ctx context.Context, dir string) (*authorizationServer, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &authorizationServer{
		issuer: "https://" + listener.Addr().String(), client: fakeas.DefaultClientID,
		file: filepath.Join(dir, "certificate"), trust: x509.NewCertPool(),
	}
	s.Server = fakeas.New(&fakeas.Options{Issuer: s.issuer})
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	s.trust.AppendCertsFromPEM(text)
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		return nil, err
	}
	secure := tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	s.close = serve(secure, s.Server)
	return s, nil
}

// environment is put before the command of whoever is to trust the certificate:
// agents pass on little of their own.
func (s *authorizationServer) environment() []string {
	return []string{"env", "SSL_CERT_FILE=" + s.file}
}

// selfSigned makes a certificate for loopback, good for a day.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, err
}

// listen serves a handler on loopback, and returns its address.
func listen(ctx context.Context, handler http.Handler) (base string, stop func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return "http://" + listener.Addr().String(), serve(listener, handler), nil
}

// serve serves until the function that it returns is called.
func serve(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // what browsers think of the certificate
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // it ends when it is closed
	}()
	return func() {
		server.Close()
		<-ended
	}
}
