package httpforward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
)

const (
	// announceLife is how long an address is known that is not announced again, and a third of it
	// is how often it is.
	announceLife = 30 * time.Second
	// lookupWait bounds what is asked of the directory for a request.
	lookupWait = 5 * time.Second
	// dialWait bounds the connecting to another replica.
	dialWait = 5 * time.Second
	// maxBody is the length of the longest request that is looked at, and maxForm of the longest form.
	maxBody = 4 << 20
	maxForm = 4 << 10
)

// A Directory is where replicas learn of each other. Its methods return soon after their context
// ends.
type Directory interface {
	// Incarnation names this process, and no other one, before it or after.
	Incarnation() string
	// Holder returns the incarnation that has made a mark; empty if none has.
	Holder(ctx context.Context, mark string) (incarnation string, err error)
	// Announce makes this process known under an address, for so long from now on.
	Announce(ctx context.Context, address string, life time.Duration) error
	// Address returns the address of an incarnation; empty if it is not known any more.
	Address(ctx context.Context, incarnation string) (address string, err error)
}

// Options are those of [New].
type Options struct {
	// Address is where the other replicas reach this one: an absolute URL with http or https, a
	// host, and nothing after that. With http whoever can read what passes between
	// the replicas reads callers' bearer tokens.
	Address string
	// Key is 32 random bytes, the same in all replicas: requests of theirs are known by it, and go
	// no further.
	Key []byte
	// Transport carries requests to other replicas; nil means one that goes by no proxy, follows
	// no redirect, and gives up connecting after five seconds.
	Transport http.RoundTripper
	// Failed is told why an address could not be announced or looked up, or a request not be
	// forwarded. Errors have no secret in them. Nil ignores it. It must not block.
	Failed func(error)
}

// A Forwarder knows the other replicas. Its methods are safe for concurrent use.
type Forwarder struct {
	directory Directory
	address   string
	hops      hops
	proxy     *httputil.ReverseProxy
	failed    func(error)
}

// New returns the forwarder of this process. An error says what of the options cannot be.
func New(d Directory, o Options) (*Forwarder, error) {
	u, err := url.Parse(o.Address)
	switch {
	case d == nil:
		return nil, errors.New("httpforward: there is no Directory")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New(`httpforward: Options.Address is no address of a replica: it needs a scheme and a host, as in "https://10.0.0.7:8443"`)
	case len(o.Key) != state.KeySize:
		return nil, fmt.Errorf("httpforward: Options.Key has %d bytes; it needs %d random bytes", len(o.Key), state.KeySize)
	}
	f := &Forwarder{directory: d, address: u.Scheme + "://" + u.Host, hops: newHops(o.Key), failed: o.Failed}
	if f.failed == nil {
		f.failed = func(error) {}
	}
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{DialContext: (&net.Dialer{Timeout: dialWait}).DialContext, TLSHandshakeTimeout: dialWait, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: f.rewrite, Transport: transport, FlushInterval: -1, ErrorHandler: f.unreachable, ErrorLog: log.New(brokenOff{f}, "", 0),
	}
	return f, nil
}

// Announce makes this process known to the others until ctx ends, which is to be once it has stopped to listen. Then it
// takes that back, so that nobody tries to connect to a process that has gone, and returns: a moment later, or five
// seconds if the directory does not answer. What the directory fails at is tried again.
func (f *Forwarder) Announce(ctx context.Context) {
	ticker := time.NewTicker(announceLife / 3)
	defer ticker.Stop()
	announce := func(ctx context.Context, life time.Duration) {
		asked, cancel := context.WithTimeout(ctx, lookupWait)
		defer cancel()
		if err := f.directory.Announce(asked, f.address, life); err != nil && ctx.Err() == nil {
			f.failed(fmt.Errorf("httpforward: announcing %s: %w", f.address, err))
		}
	}
	for {
		announce(ctx, announceLife)
		select {
		case <-ctx.Done():
			announce(context.WithoutCancel(ctx), time.Millisecond)
			return
		case <-ticker.C:
		}
	}
}

// Handler returns a handler that has requests answered by the replica that has started their call's
// handler, or has the sign-in under way of which they ask the connect page, and all others by next. It
// stands before the MCP endpoint, behind what limits and verifies callers, and before the connect page,
// behind what limits those, so that nobody else has the directory asked; the other replica does both once more.
// There X-Forwarded-For ends with whom this one was asked by, and what goes by addresses has to count the
// replicas among the proxies that it believes. A request waits for the other replica as long as its context allows.
func (f *Forwarder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hop := r.Header.Get(hopHeader)
		r.Header.Del(hopHeader)
		body, whole := take(r)
		address := ""
		if marks, needs := marksIn(r, body); len(marks) > 0 && whole && !f.hops.isOfReplica(hop, r, body) {
			address = f.lookUp(r.Context(), marks, needs)
		}
		if address == "" {
			next.ServeHTTP(w, r)
			return
		}
		there := context.WithValue(r.Context(), forwardKey{}, &forward{address: address, body: body, next: next, from: r})
		f.proxy.ServeHTTP(w, r.WithContext(there))
	})
}

// marksIn returns the marks of what a request is about, if there are any; the first that there is counts. There is
// none without the one that they need.
func marksIn(r *http.Request, body []byte) (marks []string, needs string) {
	switch kind := kindOf(r); {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return connect.MarksOf(r, nil)
	case r.Method != http.MethodPost:
		return nil, ""
	case kind == kindOfCalls:
		if call, ok := callOf(body); ok {
			return []string{state.Mark(call), state.WaitMark(call)}, ""
		}
	case kind == kindOfForms:
		if form, err := url.ParseQuery(string(body)); err == nil {
			return connect.MarksOf(r, form)
		}
	}
	return nil, ""
}

// What kindOf returns of requests that may be calls, and forms of the connect page.
const (
	kindOfCalls = "application/json"
	kindOfForms = "application/x-www-form-urlencoded"
)

func kindOf(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // none if it is malformed
	return kind
}

// take reads the body of a POST that may be about a call or a sign-in, as far as one of those goes, and
// leaves the request as it was. It reports whether that was all.
func take(r *http.Request) (body []byte, whole bool) {
	limit := int64(maxBody)
	switch {
	case r.Method != http.MethodPost || r.Body == nil:
		return nil, true
	case kindOf(r) == kindOfForms:
		limit = maxForm
	case kindOf(r) != kindOfCalls:
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	whole = err == nil && int64(len(body)) <= limit
	var after io.Reader = r.Body
	if err != nil { // next meets it as well
		after = failing{err}
	}
	r.Body = &rest{io.MultiReader(bytes.NewReader(body), after), r.Body}
	return body, whole
}

// lookUp returns the address of the replica that has made the first of these marks that there is;
// empty if that is this one, or none, or not to be reached. None is looked for if there is not the one that they need: anybody
// can ask for links that there are not.
func (f *Forwarder) lookUp(ctx context.Context, marks []string, needs string) string {
	ctx, cancel := context.WithTimeout(ctx, lookupWait)
	defer cancel()
	first, err := "", error(nil)
	if needs != "" {
		if first, err = f.directory.Holder(ctx, needs); err == nil && first == "" {
			return ""
		}
	}
	for _, mark := range marks {
		holder := first
		if err == nil && mark != needs {
			holder, err = f.directory.Holder(ctx, mark)
		}
		address := ""
		switch {
		case err != nil:
		case holder == "":
			continue
		case holder == f.directory.Incarnation():
			return ""
		default:
			address, err = f.directory.Address(ctx, holder)
		}
		if err != nil {
			f.failed(fmt.Errorf("httpforward: looking for a replica: %w", err))
			return ""
		}
		if address == f.address { // of a process that was here before
			return ""
		}
		return address
	}
	return ""
}

// callOf returns the call that a request's state names.
func callOf(body []byte) (call string, ok bool) {
	if !bytes.Contains(body, []byte("requestState")) {
		return "", false
	}
	var message struct {
		Method string `json:"method"`
		Params struct {
			State string `json:"requestState"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &message) != nil || message.Method != "tools/call" || message.Params.State == "" {
		return "", false
	}
	return state.CallIn(message.Params.State)
}

// rest is a body of which a part was read.
type rest struct {
	io.Reader
	io.Closer
}

// failing is what is left of a body that could not be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
