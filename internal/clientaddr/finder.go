package clientaddr

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// Header says in which header of a request proxies name the client.
type Header uint8

// The headers.
const (
	None          Header = iota // in none: the client is who has connected
	Forwarded                   // RFC 7239
	XForwardedFor               // X-Forwarded-For
)

var headers = []struct{ name, header string }{
	None: {"none", ""}, Forwarded: {"forwarded", "Forwarded"}, XForwardedFor: {"x_forwarded_for", "X-Forwarded-For"},
}

// String returns the name as written in a configuration.
func (h Header) String() string {
	if int(h) < len(headers) {
		return headers[h].name
	}
	return fmt.Sprintf("unknown (%d)", h)
}

// MarshalText returns the name as written in a configuration.
func (h Header) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText takes "none", "forwarded" or "x_forwarded_for".
func (h *Header) UnmarshalText(text []byte) error {
	for i := range headers {
		if headers[i].name == string(text) {
			*h = Header(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of none, forwarded, x_forwarded_for", text)
}

// A Finder finds the addresses of clients. Its zero value trusts nobody.
type Finder struct {
	Trusted Networks
	Header  Header
}

// Find returns the address of the client of a request that came from peer with these headers (of package http, whose names are
// in canonical form): peer itself, unless that is trusted and names another. Each proxy adds whom it was connected by at the
// end of the header, so the client is the last one named that is not trusted; what stands before it, anybody may have
// written. Where that is no address, the client is the proxy that named it.
func (f *Finder) Find(peer string, header map[string][]string) string {
	if f.Header == None || len(f.Trusted) == 0 {
		return peer
	}
	from, ok := Parse(peer)
	if !ok || !f.Trusted.Contain(from) {
		return peer
	}
	last := peer
	lines := header[headers[f.Header].header]
	for i := len(lines) - 1; i >= 0; i-- {
		for node := range f.backwards(lines[i]) {
			a, ok := Parse(node)
			if !ok {
				return last
			}
			if last = a.String(); !f.Trusted.Contain(a) {
				return last
			}
		}
	}
	return last
}

// backwards ranges over those that a line of the header names, from the last one on. A malformed line names "".
func (f *Finder) backwards(line string) iter.Seq[string] {
	if f.Header == Forwarded {
		return func(yield func(string) bool) {
			nodes, ok := parseForwarded(line)
			if !ok {
				nodes = []string{""}
			}
			for _, node := range slices.Backward(nodes) {
				if !yield(node) {
					return
				}
			}
		}
	}
	return func(yield func(string) bool) {
		for more := true; more; {
			i := strings.LastIndexByte(line, ',')
			node := line[i+1:]
			if more = i >= 0; more {
				line = line[:i]
			}
			if !yield(node) {
				return
			}
		}
	}
}

// Parse reads an address with or without a port, IPv6 with or without brackets. It answers in the form in which addresses are
// compared and counted: IPv4 as such, and without a zone.
func Parse(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	if n := len(s); n > 1 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	a, err := netip.ParseAddr(s)
	return plain(a), err == nil
}

// plain is an address in the form in which it is compared and counted.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// parseForwarded returns what the "for" of each element of a Forwarded header says (RFC 7239 §4), "" for an element without.
// ok is false where the line is malformed.
func parseForwarded(line string) (nodes []string, ok bool) {
	for rest := line; ; rest = rest[1:] {
		node := ""
		if node, rest, ok = parseElement(rest); !ok {
			return nil, false
		}
		nodes = append(nodes, node)
		if rest == "" {
			return nodes, true
		}
		if rest[0] != ',' {
			return nil, false
		}
	}
}

// parseElement returns what the "for" of the element says that s begins with, and what follows it: a comma, or nothing.
func parseElement(s string) (node, rest string, ok bool) {
	for rest = s; ; rest = rest[1:] {
		var name, value string
		rest = strings.TrimLeft(rest, " \t")
		if name, rest = token(rest); name != "" {
			if !strings.HasPrefix(rest, "=") {
				return "", "", false
			}
			if value, rest, ok = tokenOrQuoted(rest[1:]); !ok {
				return "", "", false
			}
			if strings.EqualFold(name, "for") {
				if node != "" { // §4: each parameter at most once
					return "", "", false
				}
				node = value
			}
		}
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, ";") {
			return node, rest, true
		}
	}
}

// token cuts a token (RFC 9110 §5.6.2) off s, "" where there is none.
func token(s string) (t, rest string) {
	i := 0
	for i < len(s) && isTokenChar(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isTokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// tokenOrQuoted cuts a token or a quoted string (RFC 9110 §5.6.4) off s.
func tokenOrQuoted(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = token(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
