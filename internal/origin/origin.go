package origin

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// An Origin is where a page comes from: scheme, host and port. Origins are comparable; the zero value is none.
type Origin struct {
	scheme, host string // in lower case
	port         uint16 // the scheme's own where none is written, 0 where it has none
}

// defaultPorts are the ports that browsers leave out.
var defaultPorts = map[string]uint16{"http": 80, "https": 443}

var (
	errForm   = errors.New("is no origin: write it like https://app.example.com, without a path")
	errScheme = errors.New("names a socket: write the page's scheme, http or https")
	errASCII  = errors.New("holds letters that browsers write in ASCII: write the host as they do, xn--…")
	errPort   = errors.New("has a port that is none: it is a number from 1 to 65535")
)

// Parse reads an origin as browsers send it. "null" is none.
func Parse(s string) (Origin, error) {
	scheme, host, port, err := split(s)
	if err != nil {
		return Origin{}, err
	}
	o := Origin{scheme: scheme}
	if o.host, err = parseHost(host); err != nil {
		return Origin{}, err
	}
	o.port, err = parsePort(scheme, port)
	return o, err
}

// split takes an origin apart. host keeps its brackets.
func split(s string) (scheme, host, port string, err error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return "", "", "", errForm
	}
	scheme = strings.ToLower(scheme)
	if scheme == "ws" || scheme == "wss" {
		return "", "", "", errScheme
	}
	host, port, err = splitPort(rest)
	return scheme, host, port, err
}

// splitPort takes the port off a host; port is "" where there is none.
func splitPort(s string) (host, port string, err error) {
	at := strings.LastIndexByte(s, ':')
	if end := strings.LastIndexByte(s, ']'); end >= 0 && at < end {
		at = -1
	}
	if at < 0 {
		return s, "", nil
	}
	if at == len(s)-1 {
		return "", "", errPort
	}
	return s[:at], s[at+1:], nil
}

// parseHost returns a host in the one form that it is compared in.
func parseHost(s string) (string, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !ok || err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", errForm
		}
		return "[" + ip.String() + "]", nil
	}
	if s == "" {
		return "", errForm
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return "", errASCII
		case !isAlphanumeric(c) && c != '-' && c != '.' && c != '_':
			return "", errForm
		}
	}
	return strings.ToLower(s), nil
}

// Host reads a host with or without a port, as it stands in a request, and returns it without. ok is false for what is none.
func Host(s string) (host string, ok bool) {
	host, port, err := splitPort(s)
	if err != nil {
		return "", false
	}
	host, err = parseHost(host)
	_, failed := parsePort("", port)
	return host, err == nil && failed == nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isScheme holds RFC 3986 §3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && (i == 0 || c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9')
}

func parsePort(scheme, s string) (uint16, error) {
	if s == "" {
		return defaultPorts[scheme], nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, errPort
	}
	return uint16(n), nil
}

// An Error is about one entry of a list.
type Error struct {
	Index   int    // from 0
	Pattern string // as written
	Reason  error
}

// Error returns a sentence like `"b" is no origin: …`.
func (e *Error) Error() string { return fmt.Sprintf("%q %v", e.Pattern, e.Reason) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }
