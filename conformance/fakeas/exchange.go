package fakeas

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxBody bounds every request body, in bytes.
const maxBody = 64 << 10

// exchange is one request on its way to a reply.
type exchange struct {
	server *Server
	r      *http.Request
	at     site
	base   string // the issuer as this request reached it
	entry  Entry
	query  url.Values
	body   []byte
	form   url.Values // the body's; nil if it is no form
	basic  *credentials
	bearer string
	fault  bool // the body could not be read or decoded

	// Found by inspect, of requests to the protocol endpoints.
	client  *Client
	why     string // there is no client of the ID that was named
	scopes  []string
	refused func() reply // nil: to be answered by the operation

	// Of the authorization endpoint.
	asked, pushed url.Values     // the parameters that count; those that were pushed
	pending       *authorization // what a page was shown of
	fresh         *session       // that the browser has no cookie of yet

	edit     func(*http.Request, *Answer) // scripted
	pace     *pace
	early    bool          // polled before the interval was over
	interval time.Duration // after slow_down: the new one
	lost     func()        // called if the answer did not get through

	// Of requests to the notes API; see [Answer].
	accepted, held []string
}

// reply is what an exchange came to.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	outcome string
	ending  ending
	raw     bool // scripted: what it means to a client is in the body alone
}

// ending says how the connection is left.
type ending int

const (
	answered ending = iota
	dropped
	wasReset
	cutOff // in the middle of the body
	gone   // the client gave up first
)

// exchange takes one request from arrival to its reply. It does not write.
func (s *Server) exchange(r *http.Request, at site, base string) reply {
	return (&exchange{server: s, r: r, at: at, base: base}).run()
}

// run is exchange.
func (x *exchange) run() reply {
	s, r := x.server, x.r
	x.entry.Time = time.Now()
	op, handle := s.locate(x.at, r.Method, r.URL.Path)
	x.entry.Operation = op
	x.read()
	x.entry.ClientID = x.claimedClient()
	if granted, ok := grantTypes[x.form.Get("grant_type")]; ok && op == OtherTokenRequest && s.opts.grants(granted) {
		x.entry.Operation = granted
	}
	x.inspect()
	if x.entry.Operation == Poll {
		x.arrive()
	}

	b := s.next(x.entry.Operation)
	b.delay += s.opts.Latency
	out := x.perform(b, handle)
	if x.pace != nil {
		x.depart(out)
	}
	if out.ending != answered && x.lost != nil {
		x.lost()
	}
	status := out.status
	if out.ending != answered && out.ending != cutOff {
		status = 0
	}
	x.record(status, out.outcome)
	return out
}

// perform waits as told and then does what the behaviour says.
func (x *exchange) perform(b Behaviour, handle func(*exchange) reply) reply {
	if b.delay > 0 {
		timer := time.NewTimer(b.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-x.r.Context().Done():
			return reply{ending: gone, outcome: "gone"}
		}
	}
	switch b.kind {
	case stall:
		<-x.r.Context().Done()
		return reply{ending: gone, outcome: "stalled"}
	case drop:
		return reply{ending: dropped, outcome: "dropped"}
	case reset:
		return reply{ending: wasReset, outcome: "reset"}
	case raw:
		return reply{status: b.status, header: b.header.Clone(), body: []byte(b.body), outcome: "status " + strconv.Itoa(b.status), raw: true}
	case oauthError:
		members := map[string]any{"error": b.code}
		if b.code == "slow_down" {
			x.slowDown(b.interval)
		}
		if b.interval > 0 {
			members["interval"] = wholeSeconds(b.interval)
		}
		return x.json(b.status, members, nil)
	}
	if b.edit != nil {
		x.edit = b.edit
	}
	if x.refused != nil {
		handle = func(x *exchange) reply { return x.refused() }
	}
	out := handle(x)
	switch b.kind {
	case lose:
		out.ending, out.outcome = dropped, "lost"
	case cut:
		out.ending, out.outcome = cutOff, "cut"
	}
	return out
}

// read takes in query and body. The body is read to its end before anything
// waits: net/http notices a client that leaves only then.
func (x *exchange) read() {
	x.query, _ = url.ParseQuery(x.r.URL.RawQuery)
	if x.r.Body != nil {
		body, err := io.ReadAll(io.LimitReader(x.r.Body, maxBody+1))
		if err != nil || len(body) > maxBody {
			x.fault = true
		} else {
			x.body = body
		}
	}
	mediaType, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if mediaType == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(x.body))
		x.form, x.fault = form, x.fault || err != nil
	}
	x.readAuthorization()
}

// json makes a reply of a JSON object, through the dialect. A nil header is
// none beyond the usual.
func (x *exchange) json(status int, members map[string]any, header http.Header) reply {
	outcome := OK
	if code, ok := members["error"].(string); ok {
		outcome = code
	}
	if header == nil {
		header = make(http.Header)
	}
	// RFC 6749 §5.1.
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	a := &Answer{Operation: x.entry.Operation, Status: status, Header: header, Members: members,
		Accepted: x.accepted, Held: x.held, Interval: x.interval}
	if x.server.opts.Dialect != nil {
		x.server.opts.Dialect(x.r, a)
	}
	if x.edit != nil {
		x.edit(x.r, a)
	}
	return reply{status: a.Status, body: a.encode(), header: a.Header, outcome: outcome}
}

// refuse is an OAuth error answer (RFC 6749 §5.2). The description is for
// the client's programmer and repeats nothing of the request.
func (x *exchange) refuse(status int, code, description string) reply {
	return x.json(status, map[string]any{"error": code, "error_description": description}, nil)
}

// plain is a reply in text, for what is no OAuth answer.
func plain(status int, text string) reply {
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}
	return reply{status: status, header: header, body: []byte(text + "\n"), outcome: "status " + strconv.Itoa(status)}
}

// notAllowed is a reply to the wrong method.
func notAllowed(allow string) reply {
	out := plain(http.StatusMethodNotAllowed, "method not allowed")
	out.header.Set("Allow", allow)
	return out
}

// wholeSeconds rounds up, so that a client that obeys is never early.
func wholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
