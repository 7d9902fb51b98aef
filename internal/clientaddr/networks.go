package clientaddr

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networks are addresses of proxies that are trusted.
type Networks []netip.Prefix

// ParseNetwork takes a network, as in "10.0.0.0/8", or one address. An IPv4 address may be written as IPv6.
func ParseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither a network, like 10.0.0.0/8, nor an address", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network: write it like 10.0.0.0/8 or 2001:db8::/32", s)
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q names an address within a network: the network is %v", s, p.Masked())
	}
	return p, nil
}

// ParseNetworks takes networks and addresses as ParseNetwork does.
func ParseNetworks(list []string) (all Networks, err error) {
	for _, s := range list {
		p, err := ParseNetwork(s)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// Contain tells whether an address is one of theirs.
func (n Networks) Contain(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
