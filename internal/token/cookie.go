package token

import (
	"cmp"
	"strings"
)

// Names of the session cookie. Browsers take one whose name begins with __Host- only over TLS and from the very host, so no
// other host of the domain can put its own in its place.
const (
	SecureCookie = "__Host-hocket_session"
	PlainCookie  = "hocket_session"
)

const (
	maxCookieBytes = 16 << 10 // of the Cookie headers of a request
	maxCookies     = 180      // as many as browsers keep of one domain
)

// FindCookie looks for the session cookie in the Cookie headers of a request, and tells whether it is there. It is SecureCookie,
// or else PlainCookie where the request is not known to have come over TLS (secure): over TLS no neighbour of the domain shall
// put one in. One without a value is none. The error is an *Error: too much is there, or the cookie stands twice, and which to believe cannot be known.
func FindCookie(headers []string, secure bool) (text string, found bool, err error) {
	values := make(map[string]string, 2)
	bytes, cookies := 0, 0
	for _, header := range headers {
		if bytes += len(header); bytes > maxCookieBytes {
			return "", false, fail(Malformed, "the cookies have more than %d bytes", maxCookieBytes)
		}
		for pair := range strings.SplitSeq(header, ";") {
			if cookies++; cookies > maxCookies {
				return "", false, fail(Malformed, "there are more than %d cookies", maxCookies)
			}
			name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			name = strings.TrimRight(name, " \t")
			if !ok || name != SecureCookie && (secure || name != PlainCookie) {
				continue
			}
			if _, twice := values[name]; twice {
				return "", false, fail(Malformed, "the session cookie stands twice")
			}
			values[name] = unquote(value)
		}
	}
	text = cmp.Or(values[SecureCookie], values[PlainCookie])
	return text, text != "", nil
}

// unquote takes off the quotation marks that a value may have around it (RFC 6265 §4.1.1).
func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
