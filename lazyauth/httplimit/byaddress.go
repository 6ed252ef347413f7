package httplimit

import (
	"net"
	"net/http"
	"net/netip"
)

// addressOf returns what the address of a connection is counted as.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return network.String()
}

// ByAddress returns a handler that stands before everything else: it bounds the requests in
// progress, of an address and in all, and how long reading and writing take.
func (l *Limiter) ByAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := l.limits.Address(r)
		if !l.addresses.Take(address) {
			busy(w, l.addresses.Taken() >= l.limits.Requests, "requests")
			return
		}
		defer l.addresses.Give(address)
		timed, r := l.timed(w, r)
		defer timed.begin() // for what net/http writes when the handler is done, and never lifted
		next.ServeHTTP(timed, r)
	})
}
