package token

import "strings"

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

// FindCookie looks for the session cookie in the Cookie headers of a request, and tells whether it is there. Where the request
// came over TLS (secure), only SecureCookie counts, else only PlainCookie. The error is an *Error: too much is there, or the
// cookie stands twice, and which of the two to believe cannot be known.
func FindCookie(headers []string, secure bool) (text string, found bool, err error) {
	name := PlainCookie
	if secure {
		name = SecureCookie
	}
	bytes, cookies := 0, 0
	for _, header := range headers {
		if bytes += len(header); bytes > maxCookieBytes {
			return "", false, fail(Malformed, "the cookies have more than %d bytes", maxCookieBytes)
		}
		for pair := range strings.SplitSeq(header, ";") {
			if cookies++; cookies > maxCookies {
				return "", false, fail(Malformed, "there are more than %d cookies", maxCookies)
			}
			key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || strings.TrimRight(key, " \t") != name {
				continue
			}
			if found {
				return "", false, fail(Malformed, "the session cookie stands twice")
			}
			text, found = unquote(value), true
		}
	}
	return text, found, nil
}

// unquote takes off the quotation marks that a value may have around it (RFC 6265 §4.1.1).
func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
