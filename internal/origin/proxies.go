package origin

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are those whose word about a request counts.
type Proxies struct {
	Networks []netip.Prefix
	// PassOn says that they speak only at the beginning of a connection (PROXY protocol), and pass on what clients send: nothing in
	// a request is theirs, its address is the client's, and connections of others do not come so far.
	PassOn bool
}

// None tells whether no proxy is trusted.
func (p *Proxies) None() bool { return len(p.Networks) == 0 }

// Holds tells whether an address, with its port, is that of a proxy.
func (p *Proxies) Holds(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, network := range p.Networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// Scheme is what the client has asked with: "https" or "http", or "" where that is not known, because a proxy that is not
// named, or that says nothing, may stand between. What a proxy says is in X-Forwarded-Proto.
func (p *Proxies) Scheme(r *http.Request) string {
	if !p.PassOn && p.Holds(r.RemoteAddr) {
		if said := r.Header["X-Forwarded-Proto"]; len(said) > 0 {
			return saidScheme(said)
		}
		if r.TLS == nil {
			return ""
		}
	}
	switch {
	case r.TLS != nil:
		return "https"
	case p.None() || p.PassOn:
		return ""
	default:
		return "http"
	}
}

// InClear tells whether a request has come over a network in clear text, where the proxies are to see to it that none does: one of
// them says so, or it has come past them. What comes from this machine has not.
func (p *Proxies) InClear(r *http.Request) bool {
	switch {
	case p.None() || p.PassOn:
		return false
	case p.Holds(r.RemoteAddr):
		return p.Scheme(r) == "http"
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return r.TLS == nil && (err != nil || !at.Addr().Unmap().IsLoopback())
}

// saidScheme is "https" only where that is so on each of the ways between.
func saidScheme(said []string) string {
	for _, header := range said {
		for each := range strings.SplitSeq(header, ",") {
			if !strings.EqualFold(strings.TrimSpace(each), "https") {
				return "http"
			}
		}
	}
	return "https"
}
