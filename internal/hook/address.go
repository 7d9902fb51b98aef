package hook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// internal are the networks that are no part of the public internet, or lead back from it into one that is not: the
// special-purpose registries of IANA, and the address at which a large cloud answers questions about its machines.
var internal = networks(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"168.63.129.16/32",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// public6 holds all there is of IPv6 in public; what lies outside is local, multicast, or an IPv4 address in disguise.
var public6 = netip.MustParsePrefix("2000::/3")

func networks(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// ParseNetworks reads networks, such as "10.0.0.0/8", and addresses. The error names the one that is neither.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			a, failed := netip.ParseAddr(text)
			if failed != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q is no network: write it like 10.0.0.0/8 or 192.0.2.7", text)
			}
			n = netip.PrefixFrom(a, a.BitLen())
		}
		if n.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is one of IPv4 in the form of IPv6: write it as one of IPv4", text)
		}
		all = append(all, n.Masked())
	}
	return all, nil
}

func holds(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

var (
	errInternal = errors.New("the address is not of the public internet, and not listed")
	errPlain    = errors.New("only listed addresses are asked without TLS")
)

// checkAddress tells whether a back end at an address may be asked. plain is without TLS.
func checkAddress(a netip.Addr, plain bool, listed []netip.Prefix) error {
	a = a.Unmap().WithZone("")
	switch {
	case holds(listed, a):
		return nil
	case holds(internal, a), !a.Is4() && !public6.Contains(a):
		return errInternal
	case plain:
		return errPlain
	}
	return nil
}

// dialer makes connections to addresses that may be asked. It looks at the address that the system is about to connect to,
// after names have been resolved.
func (c *Config) dialer(plain bool) *net.Dialer {
	return &net.Dialer{Resolver: c.Resolver, Timeout: c.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return checkAddress(at.Addr(), plain, c.Listed)
	}}
}
