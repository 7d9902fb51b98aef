package hocket

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the networks whose word about a request counts.
type proxies []netip.Prefix

// parseProxies reads Config.TrustedProxies.
func parseProxies(networks []string) (proxies, error) {
	var p proxies
	for _, s := range networks {
		network, err := netip.ParsePrefix(s)
		if err != nil {
			address, failed := netip.ParseAddr(s)
			if failed != nil || address.Zone() != "" {
				return nil, fmt.Errorf("hocket: TrustedProxies: %q is no network: write it like 10.0.0.0/8 or 192.0.2.7", s)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		p = append(p, network.Masked())
	}
	return p, nil
}

// holds tells whether an address, with its port, is that of a proxy.
func (p proxies) holds(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, network := range p {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// scheme is what the client has asked with: "https" or "http", or "" where that is not known, because a proxy that is not
// named, or that says nothing, may stand between.
func (p proxies) scheme(r *http.Request) string {
	switch {
	case r.TLS != nil:
		return "https"
	case len(p) == 0:
		return ""
	case !p.holds(r.RemoteAddr):
		return "http"
	}
	said := r.Header["X-Forwarded-Proto"]
	if len(said) == 0 {
		return ""
	}
	for _, each := range strings.Split(strings.Join(said, ","), ",") {
		if !strings.EqualFold(strings.TrimSpace(each), "https") {
			return "http" // on one of the ways between
		}
	}
	return "https"
}
