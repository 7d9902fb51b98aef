package origin

import (
	"errors"
	"net/http"
	"strings"
)

// A List is the origins that are admitted beside the server's own. The zero value has none.
type List struct {
	exact    map[Origin]bool
	patterns []pattern
	all      bool // "*"
	null     bool // "null"
}

// A pattern stands for many origins.
type pattern struct {
	Origin        // host is what follows the first label where anyLabel is set
	anyLabel bool // "*." has stood before it
	anyPort  bool
}

var errWildcard = errors.New(`has a "*" where none can be: it stands for the first label, as in https://*.example.com, for the port, as in http://localhost:*, or alone for everything`)

// Compile reads a list: origins, in which "*" may stand for the first label of a host and for the port, "*" alone for every
// page, and "null" for pages without an address. The error is an *Error.
func Compile(patterns []string) (*List, error) {
	l := &List{exact: make(map[Origin]bool)}
	for i, s := range patterns {
		if err := l.add(s); err != nil {
			return nil, &Error{i, s, err}
		}
	}
	return l, nil
}

func (l *List) add(s string) error {
	switch {
	case s == "*":
		l.all = true
		return nil
	case s == "null":
		l.null = true
		return nil
	}
	p, err := parsePattern(s)
	switch {
	case err != nil:
		return err
	case p.anyLabel || p.anyPort:
		l.patterns = append(l.patterns, p)
	default:
		l.exact[p.Origin] = true
	}
	return nil
}

func parsePattern(s string) (p pattern, err error) {
	scheme, host, port, err := split(s)
	if err != nil {
		return p, err
	}
	p.scheme = scheme
	if host, p.anyLabel = strings.CutPrefix(host, "*."); strings.Contains(host, "*") {
		return p, errWildcard
	}
	if p.host, err = parseHost(host); err != nil {
		return p, err
	}
	if p.anyLabel && (strings.HasPrefix(p.host, ".") || strings.HasPrefix(p.host, "[")) {
		return p, errWildcard
	}
	if port == "*" {
		p.anyPort = true
		return p, nil
	}
	p.port, err = parsePort(scheme, port)
	return p, err
}

func (p *pattern) match(o Origin) bool {
	if p.scheme != o.scheme || !p.anyPort && p.port != o.port {
		return false
	}
	if !p.anyLabel {
		return p.host == o.host
	}
	label, rest, ok := strings.Cut(o.host, ".")
	return ok && label != "" && rest == p.host
}

// Own is the address of the server as a request has it.
type Own struct {
	Scheme string // "http" or "https"; "" where it is not known, as behind a proxy that does not say
	Host   string // of the request, with its port where that is not the scheme's own
}

// A Verdict is what comes of a request.
type Verdict uint8

// The verdicts.
const (
	Refused    Verdict = iota // a page that may not reach this server
	Cookieless                // admitted, and its cookies prove nothing
	Admitted                  // admitted, with its cookies
)

// Judge decides about a request by its headers.
func (l *List) Judge(h http.Header, own Own) Verdict {
	switch origins := h["Origin"]; {
	case len(origins) == 0:
		return l.judgeNameless(h["Sec-Fetch-Site"])
	case len(origins) > 1:
		return Refused
	case origins[0] == "null":
		if l.null {
			return Cookieless
		}
		return Refused
	default:
		return l.judgeOrigin(origins[0], own)
	}
}

// judgeNameless decides where no origin is named.
func (l *List) judgeNameless(site []string) Verdict {
	switch {
	case len(site) == 0:
		return Cookieless
	case len(site) == 1 && (site[0] == "same-origin" || site[0] == "none"):
		return Admitted
	case l.all:
		return Cookieless
	default: // "cross-site", "same-site", and what may come
		return Refused
	}
}

func (l *List) judgeOrigin(s string, own Own) Verdict {
	o, err := Parse(s)
	switch {
	case err != nil:
		return Refused
	case l.exact[o] || o.isAt(own):
		return Admitted
	}
	for i := range l.patterns {
		if l.patterns[i].match(o) {
			return Admitted
		}
	}
	if l.all {
		return Cookieless
	}
	return Refused
}

// isAt tells whether pages of o come from the server itself. Without a port the host's is that of the scheme: the server's, or
// where that is not known the page's.
func (o Origin) isAt(own Own) bool {
	if own.Scheme != "" && own.Scheme != o.scheme || defaultPorts[o.scheme] == 0 {
		return false
	}
	host, port, err := splitPort(own.Host)
	if err != nil {
		return false
	}
	if host, err = parseHost(host); err != nil || host != o.host {
		return false
	}
	n, err := parsePort(o.scheme, port)
	return err == nil && n == o.port
}
