package httplimit

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ByAddress returns a handler that stands before everything else: it bounds the requests in
// progress, of an address and in all, and how long reading and writing take.
func (l *Limiter) ByAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := l.address(r)
		if !l.addresses.Take(address) {
			busy(w, l.addresses.Taken() >= l.limits.Requests, "requests")
			return
		}
		defer l.addresses.Give(address)
		timed, r := l.timed(w, r)
		defer timed.limit() // for what net/http writes when the handler is done
		next.ServeHTTP(timed, r)
	})
}

// mostOfAddress bounds what an author's function returns, in bytes: it may be a caller's text.
const mostOfAddress = 64

func (l *Limiter) address(r *http.Request) string {
	address := l.limits.Address(r)
	return address[:min(len(address), mostOfAddress)]
}

// addressOf returns what the address of a connection is counted as.
func addressOf(remote string) string {
	if ip, ok := parseAddress(remote); ok {
		return networkOf(ip)
	}
	return remote
}

// parseAddress reads an address with or without a port, as connections and proxies have it.
func parseAddress(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return ip.Unmap().WithZone(""), err == nil
}

// networkOf returns an IPv4 address, or the IPv6 network that one subscriber has.
func networkOf(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return network.String()
}

// mostProxies is how many addresses are looked at that a request has come by.
const mostProxies = 16

// BehindProxies returns what [Limits].Address is to be behind proxies that append whom they
// were asked by to X-Forwarded-For, as nginx does with $proxy_add_x_forwarded_for: the last address there that is
// none of these proxies'. From anybody else's connection the field is not believed. A connection
// that has no IP address, by a Unix socket, is a proxy's.
func BehindProxies(proxies ...netip.Prefix) func(*http.Request) string {
	isProxy := func(ip netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	return func(r *http.Request) string {
		ip, known := parseAddress(r.RemoteAddr)
		fields := r.Header.Values("X-Forwarded-For")
		rest := ""
		for range mostProxies {
			if known && !isProxy(ip) {
				break
			}
			for rest == "" && len(fields) > 0 {
				rest, fields = fields[len(fields)-1], fields[:len(fields)-1]
			}
			if rest == "" {
				break
			}
			last := rest[strings.LastIndexByte(rest, ',')+1:]
			rest = strings.TrimSuffix(rest[:len(rest)-len(last)], ",")
			next, ok := parseAddress(strings.TrimSpace(last))
			if !ok {
				break // what stands before it cannot be believed either
			}
			ip, known = next, true
		}
		if !known {
			return r.RemoteAddr
		}
		return networkOf(ip)
	}
}
