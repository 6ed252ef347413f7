package fakeas

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ServeHTTP serves everything on one origin, told apart by path. To drop a
// connection it panics with http.ErrAbortHandler, as net/http wants it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, base := site{issuer: true, api: true}, s.opts.Issuer
	if s.opts.follow {
		origin := url.URL{Scheme: "http", Host: r.Host}
		if r.TLS != nil {
			origin.Scheme = "https"
		}
		base = origin.String()
	} else {
		at = site{issuer: strings.EqualFold(r.Host, s.issuer.Host), api: strings.EqualFold(r.Host, s.api.Host)}
	}
	var out reply
	if at.issuer || at.api {
		out = s.exchange(r, at, base)
	} else {
		out = plain(http.StatusMisdirectedRequest, "this server is "+s.opts.Issuer)
	}

	switch out.ending {
	case gone, dropped:
		panic(http.ErrAbortHandler)
	case wasReset:
		hangUp(w)
		panic(http.ErrAbortHandler)
	}
	header := w.Header()
	maps.Copy(header, out.header)
	if header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	w.WriteHeader(out.status)
	if out.ending == cutOff {
		w.Write(out.body[:len(out.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(out.body)
}

// hangUp closes the connection so that the client reads a reset, where the
// connection is TCP and can be had.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it fails if the client was faster
	}
}
