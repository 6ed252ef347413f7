//go:build unix

package grants_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/schedule"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// BenchmarkPending has many people asked at a time, who take their time to decide. The authorization server is another process on
// this machine, over HTTP/1.1, by TLS as RFC 8628 has it or without, and takes so long for an answer. Reported of the process that
// polls:
//
//	goroutines    the most there were, besides the two that net/http has for each connection
//	connections   the most there were
//	B/flight      of memory, stacks and connections included
//	B/owner       of what is kept of a person besides
//	p99-lateness  of polls, in intervals: how much later than they may come they reach the server
//	early-polls   that came before they may
//	x-cpu/poll    processor time, as a multiple of what it is with a goroutine and a request for each
func BenchmarkPending(b *testing.B) {
	for _, as := range []slowness{{10 * time.Millisecond, true}, {10 * time.Millisecond, false}, {200 * time.Millisecond, true}} {
		b.Run(as.String(), func(b *testing.B) {
			p := pendingRun{flights: 10_000, interval: 5 * time.Second, rounds: 3}
			if testing.Short() {
				if !as.tls || as.takes > 10*time.Millisecond {
					b.Skip("one will do")
				}
				p = pendingRun{flights: 300, interval: time.Second, rounds: 2}
			}
			for b.Loop() {
				floor := p.each(b, as)
				got := p.scheduled(b, as)
				b.ReportMetric(float64(got.goroutines), "goroutines")
				b.ReportMetric(float64(got.connections), "connections")
				b.ReportMetric(float64(got.flights)/float64(p.flights), "B/flight")
				b.ReportMetric(float64(got.owners)/float64(p.flights), "B/owner")
				b.ReportMetric(got.server.Late.Seconds()/p.interval.Seconds(), "p99-lateness")
				b.ReportMetric(float64(got.server.Early+floor.server.Early), "early-polls")
				b.ReportMetric(got.cpu/floor.cpu, "x-cpu/poll")
			}
		})
	}
}

// A slowness is how an authorization server is slow.
type slowness struct {
	takes time.Duration // for an answer
	tls   bool
}

func (s slowness) String() string {
	if s.tls {
		return fmt.Sprintf("https/%v", s.takes)
	}
	return fmt.Sprintf("http/%v", s.takes)
}

type pendingRun struct {
	flights  int
	interval time.Duration
	rounds   int // of polls that are measured
}

// A pendingCost is what was measured.
type pendingCost struct {
	goroutines, connections int
	owners, flights         int64   // bytes
	cpu                     float64 // seconds a poll
	server                  seenPolls
}

// measure measures while everybody waits; begin has one asked.
func (p pendingRun) measure(b *testing.B, as *slowServer, dialed *dials, polls *atomic.Int64, prepare, begin func(n int)) (cost pendingCost) {
	b.Helper()
	goroutines, memory := runtime.NumGoroutine(), inUse()
	for n := range p.flights {
		prepare(n)
	}
	prepared := inUse()
	cost.owners = prepared - memory
	var asked sync.WaitGroup
	some := make(chan struct{}, 32)
	for n := range p.flights {
		some <- struct{}{}
		asked.Go(func() { begin(n); <-some })
	}
	asked.Wait()
	time.Sleep(p.interval + 300*time.Millisecond)
	cost.flights = inUse() - prepared
	as.ask(b, "/reset", nil)
	before, polled := cpuTime(), polls.Load()
	for end := time.Now().Add(time.Duration(p.rounds) * p.interval); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		open := int(dialed.open.Load())
		cost.connections = max(cost.connections, open)
		cost.goroutines = max(cost.goroutines, runtime.NumGoroutine()-goroutines-2*open)
	}
	cost.cpu = (cpuTime() - before).Seconds() / float64(polls.Load()-polled)
	as.ask(b, "/seen", &cost.server)
	return cost
}

// scheduled has flights of a keeper.
func (p pendingRun) scheduled(b *testing.B, slow slowness) pendingCost {
	b.Helper()
	as, dialed := startSlowServer(b, slow, p.interval), &dials{}
	server, err := grants.NewAuthorizationServer(as.client(dialed.transport(as, 32)), grants.Clients{}, false, device.Offered)
	if err != nil {
		b.Fatal(err)
	}
	var heard countsPolls
	keeper := grants.New(grants.Config{
		Service: "Notes", Words: func(scopes.Set) []string { return nil }, Server: server,
		Ways:       []grants.Way{grants.DeviceFlow{Server: server, Schedule: schedule.New(32)}},
		MaxSignIns: p.flights, MaxWaiting: p.flights * 16, Observer: &heard,
	})
	defer func() {
		keeper.Close()
		if still := keeper.Join(30 * time.Second); still != nil {
			b.Errorf("these did not end: %q", still)
		}
	}()
	owner := func(n int) *grants.Owner {
		return keeper.Owner(grants.Principal{Issuer: "https://idp.example", Subject: fmt.Sprint("person ", n)})
	}
	return p.measure(b, as, dialed, &heard.polls, func(n int) { owner(n) }, func(n int) {
		_, err := owner(n).Obtain(b.Context(), profile, leaves{})
		if !errors.Is(err, errLeft) {
			b.Error(err)
		}
	})
}

// each is the floor: a goroutine for each, and a request whenever it is due.
func (p pendingRun) each(b *testing.B, slow slowness) pendingCost {
	b.Helper()
	as, dialed := startSlowServer(b, slow, p.interval), &dials{}
	config := as.client(dialed.transport(as, 0))
	common, err := oauth.New(config)
	if err != nil {
		b.Fatal(err)
	}
	client, err := device.New(common, device.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var polling sync.WaitGroup
	var polls atomic.Int64
	defer polling.Wait()
	defer cancel()
	return p.measure(b, as, dialed, &polls, func(int) {}, func(int) {
		auth, err := client.Authorize(ctx, profile)
		if err != nil {
			b.Error(err)
			return
		}
		polling.Go(func() {
			for attempt := 1; oauth.Sleep(ctx, time.Until(auth.Next())); attempt++ {
				_, _, _ = client.Poll(ctx, auth, attempt)
				polls.Add(1)
			}
		})
	})
}

// countsPolls hears of nothing else.
type countsPolls struct {
	deaf
	polls atomic.Int64
}

func (*countsPolls) ClientChosen(*grants.Flight, grants.ClientChoice) {}
func (c *countsPolls) Polled(*grants.Flight, device.PollEvent)        { c.polls.Add(1) }

// dials are connections that a transport makes.
type dials struct{ open atomic.Int64 }

func (d *dials) transport(as *slowServer, idle int) *http.Transport {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(as.authority)
	return &http.Transport{MaxIdleConnsPerHost: idle, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		d.open.Add(1)
		return &dialed{Conn: conn, dials: d}, nil
	}}
}

type dialed struct {
	net.Conn
	dials *dials
	once  sync.Once
}

func (c *dialed) Close() error {
	c.once.Do(func() { c.dials.open.Add(-1) })
	return c.Conn.Close()
}

// inUse returns the bytes that the program uses, stacks included.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// cpuTime returns the processor time that this process has taken.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// slowServerVariable has the test's program be a slow authorization server: it says how slow, and the interval.
const slowServerVariable = "LAZYAUTH_TEST_SLOW_SERVER"

func TestMain(m *testing.M) {
	if settings, ok := os.LookupEnv(slowServerVariable); ok {
		if err := serveSlowly(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A slowServer is an authorization server in a process of its own, where nobody ever decides.
type slowServer struct {
	url       string
	authority []byte // PEM
}

func startSlowServer(b *testing.B, slow slowness, interval time.Duration) *slowServer {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%v %v %t", slowServerVariable, slow.takes, interval, slow.tls))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); _ = cmd.Wait() })
	var s struct{ URL, Authority string }
	if err := json.NewDecoder(out).Decode(&s); err != nil {
		b.Fatal(err)
	}
	return &slowServer{s.URL, []byte(s.Authority)}
}

// client returns how its client is configured.
func (s *slowServer) client(wire *http.Transport) oauth.Config {
	return oauth.Config{
		Endpoints:   oauth.Endpoints{Issuer: s.url, DeviceAuthorization: s.url + "/device", Token: s.url + "/token"},
		Credentials: oauth.Credentials{ID: "notes"}, Transport: wire,
	}
}

// ask reads what the server says of itself.
func (s *slowServer) ask(b *testing.B, path string, answer any) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	wire := new(dials).transport(s, 0)
	defer wire.CloseIdleConnections()
	res, err := (&http.Client{Transport: wire}).Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	if answer == nil {
		return
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		b.Fatal(err)
	}
}

// seenPolls are those that a server has seen.
type seenPolls struct {
	Polls, Early int
	Late         time.Duration // 99 in 100 came not later than this after the interval
}

// serveSlowly is the server's process, until it is killed.
func serveSlowly(settings string) error {
	var takesText, intervalText string
	var isTLS bool
	if _, err := fmt.Sscan(settings, &takesText, &intervalText, &isTLS); err != nil {
		return err
	}
	takes, err := time.ParseDuration(takesText)
	if err != nil {
		return err
	}
	interval, err := time.ParseDuration(intervalText)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	answered := make(map[string]time.Time) // by code: when it was issued, or polled for
	var late []time.Duration
	write := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /device", func(w http.ResponseWriter, _ *http.Request) {
		code := rand.Text()
		mu.Lock()
		answered[code] = time.Now()
		mu.Unlock()
		write(w, http.StatusOK, map[string]any{
			"device_code": code, "user_code": code[:4] + "-" + code[4:8], "verification_uri": "https://as.example/device", "expires_in": 1800, "interval": int(interval.Seconds()),
		})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		came, code := time.Now(), r.PostFormValue("device_code")
		mu.Lock()
		late = append(late, came.Sub(answered[code])-interval)
		mu.Unlock()
		time.Sleep(takes)
		mu.Lock()
		answered[code] = time.Now()
		mu.Unlock()
		write(w, http.StatusBadRequest, map[string]string{"error": "authorization_pending"})
	})
	mux.HandleFunc("GET /reset", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		late = nil
	})
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(late)
		seen := seenPolls{Polls: len(late)}
		for seen.Early < len(late) && late[seen.Early] < 0 {
			seen.Early++
		}
		if len(late) > 0 {
			seen.Late = late[len(late)*99/100]
		}
		write(w, http.StatusOK, seen)
	})
	server := httptest.NewUnstartedServer(mux)
	said := struct{ URL, Authority string }{}
	if isTLS {
		certificate, authority, err := newCertificate()
		if err != nil {
			return err
		}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that leave
		server.StartTLS()
		said.Authority = string(authority)
	} else {
		server.Start()
	}
	said.URL = server.URL
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		return err
	}
	select {}
}

// newCertificate returns one for this machine that is its own authority, and that one.
func newCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
