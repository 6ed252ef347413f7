package fakeas

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ServeHTTP serves everything on one origin, told apart by path. To drop a
// connection it panics with http.ErrAbortHandler, as net/http wants it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, base, name := site{issuer: true, api: true}, s.opts.Issuer, s.opts.Issuer
	switch {
	case s.opts.follow && !isOwnHost(r):
		at, name = site{}, "called by a loopback address, or the one it listens on"
	case s.opts.follow:
		origin := url.URL{Scheme: "http", Host: r.Host}
		if r.TLS != nil {
			origin.Scheme = "https"
		}
		base = origin.String()
	default:
		at = site{issuer: strings.EqualFold(r.Host, s.issuer.Host), api: strings.EqualFold(r.Host, s.api.Host)}
	}
	var out reply
	if at.issuer || at.api {
		out = s.exchange(r, at, base)
	} else {
		out = plain(http.StatusMisdirectedRequest, "this server is "+name)
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

// isOwnHost reports whether a request names, as its host, this machine's loopback
// or the address that the connection came to. A web page can make its own name
// resolve to either (DNS rebinding), but not what a browser sends as the host.
func isOwnHost(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	own, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return addr.IsLoopback() || ok && addr == own.AddrPort().Addr().Unmap()
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
