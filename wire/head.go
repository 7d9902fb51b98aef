package wire

import (
	"bytes"
	"errors"
	"strings"
)

// RequestHead is the head of an HTTP/1 request: its first line and its header fields
// (RFC 9112 §2.1). It refers to the bytes it was parsed from.
type RequestHead struct {
	Method []byte // a token
	Target []byte // path and query, beginning with '/'; not checked beyond its characters
	Host   []byte // of the one field Host
	Minor  int    // of HTTP/1: 0 or 1
	fields []byte // the lines of the header, each with its line end
	count  int    // of fields
}

// The errors of [ParseRequest].
var (
	errRequestLine = errors.New("wire: the request line is not METHOD /path HTTP/1.1 (RFC 9112 §3)")
	errFieldLine   = errors.New("wire: a header line is not a name, a colon and a value (RFC 9112 §5)")
	errHost        = errors.New("wire: there must be one Host header, with a host and a port (RFC 9112 §3.2)")
)

// ParseRequest reads the head at the beginning of b and returns how many bytes it takes.
// When b ends inside it, n is 0 and err is nil: more bytes are needed, and how many are
// too many is the caller's to judge.
//
// It takes what clients send in fact, and nothing that could be read in two ways: lines
// end with CR LF, there is no white space where none belongs, the target is a path.
// What it refuses may still be a request for a more patient parser, but what it takes
// net/http takes in the same sense. It allocates nothing.
func ParseRequest(b []byte) (h RequestHead, n int, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return RequestHead{}, 0, nil
	}
	line := b[:bytes.Index(b, lineEnd)]
	h.fields = b[len(line)+len(lineEnd) : end+len(lineEnd)]
	if err := h.parseLine(line); err != nil {
		return RequestHead{}, 0, err
	}
	if err := h.parseFields(); err != nil {
		return RequestHead{}, 0, err
	}
	return h, end + len(headEnd), nil
}

var (
	lineEnd = []byte("\r\n")
	headEnd = []byte("\r\n\r\n")
)

func (h *RequestHead) parseLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !isTokenBytes(method) || len(target) == 0 || target[0] != '/' {
		return errRequestLine
	}
	for _, c := range target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return errRequestLine
		}
	}
	switch string(version) {
	case "HTTP/1.1":
		h.Minor = 1
	case "HTTP/1.0":
	default:
		return errRequestLine
	}
	h.Method, h.Target = method, target
	return nil
}

func (h *RequestHead) parseFields() error {
	for name, value := range h.all() {
		if !isTokenBytes(name) || !isFieldValue(value) {
			return errFieldLine
		}
		h.count++
		if equalFold(name, "host") {
			if h.Host != nil || !isHost(value) {
				return errHost
			}
			h.Host = value
		}
	}
	if h.Host == nil {
		return errHost
	}
	return nil
}

// all ranges over the fields. Of a line without a colon the name is empty.
func (h *RequestHead) all() func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		for rest := h.fields; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, lineEnd)
			name, value, _ := bytes.Cut(line, []byte(":"))
			if len(name) == len(line) {
				name = nil
			}
			if !yield(name, trim(value)) {
				return
			}
		}
	}
}

// Has reports whether there is a field with that name, which must be in lower case.
func (h *RequestHead) Has(name string) bool {
	_, ok := h.Get(name)
	return ok
}

// Get returns the value of the first field with that name, which must be in lower case,
// and whether there is one.
func (h *RequestHead) Get(name string) (value []byte, ok bool) {
	for n, v := range h.all() {
		if equalFold(n, name) {
			return v, true
		}
	}
	return nil, false
}

// Header returns the fields but Host as an http.Header has them, independent of the bytes
// parsed.
func (h *RequestHead) Header() map[string][]string {
	header := make(map[string][]string, h.count)
	values := make([]string, 0, h.count)
	for rest := string(h.fields); rest != ""; { // one copy, of which all values are parts
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		key := canonicalKey(name)
		if key == "Host" {
			continue
		}
		if have, ok := header[key]; ok {
			header[key] = append(have, trim(value))
			continue
		}
		values = append(values, trim(value))
		header[key] = values[len(values)-1 : len(values) : len(values)]
	}
	return header
}

// commonKeys are canonical keys that need no memory of their own.
var commonKeys = func() map[string]string {
	m := make(map[string]string)
	for _, key := range []string{
		keyKey, keyVersion, keyProtocol, keyExtensions, "Host", "Upgrade", "Connection", "Origin", "Cookie", "User-Agent",
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Pragma", "Dnt",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded",
	} {
		m[key] = key
	}
	return m
}()

// canonicalKey returns a field's name as http.Header spells it: upper case at the
// beginning and behind each hyphen, lower case elsewhere.
func canonicalKey(name string) string {
	var short [64]byte
	key := append(short[:0], name...)
	upper := true
	for i, c := range key {
		switch {
		case upper && 'a' <= c && c <= 'z':
			key[i] = c - ('a' - 'A')
		case !upper && 'A' <= c && c <= 'Z':
			key[i] = c + ('a' - 'A')
		}
		upper = c == '-'
	}
	if common, ok := commonKeys[string(key)]; ok {
		return common
	}
	return string(key)
}

// equalFold reports whether b is the ASCII string lower, in any case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// tokenBytes are the characters of a token (RFC 9110 §5.6.2).
var tokenBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = isToken(string([]byte{byte(c)}))
	}
	return t
}()

func isTokenBytes(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(b) > 0
}

// isFieldValue reports whether b has no control characters (RFC 9110 §5.5).
func isFieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost reports whether b has only the characters of names, addresses and ports.
func isHost(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case bytes.IndexByte([]byte("-._~:[]%"), c) >= 0:
		default:
			return false
		}
	}
	return len(b) > 0
}
