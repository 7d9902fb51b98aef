package wire

import "strings"

// header is http.Header without net/http: canonical keys to lines.
type header = map[string][]string

// hasToken reports whether a header that is a list of tokens, over however many
// lines, names token in any case (RFC 9110 §5.6.1).
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(trim(item), token) {
				return true
			}
		}
	}
	return false
}

// listItems returns the elements of a comma-separated header over all its lines,
// empty ones left out (RFC 9110 §5.6.1.2). Commas in quoted strings do not separate.
func listItems(lines []string) []string {
	var items []string
	for _, line := range lines {
		for line != "" {
			end := itemEnd(line)
			if item := trim(line[:end]); item != "" {
				items = append(items, item)
			}
			line = line[min(end+1, len(line)):]
		}
	}
	return items
}

// itemEnd returns where the first comma outside quotes stands in s, or len(s).
func itemEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++ // the escaped character is no quote
		case c == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

// trim removes optional white space around s (RFC 9110 §5.6.3). Handshakes call it often,
// and strings.Trim takes ten times as long to find none.
func trim[S string | []byte](s S) S {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isToken reports whether s is a token (RFC 9110 §5.6.2), as the name of a
// subprotocol or header must be.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isTokenByte reports whether c may stand in a token.
func isTokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) < 0
}
