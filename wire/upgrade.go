package wire

import (
	"crypto/sha1" // #nosec G505 -- RFC 6455 §4.2.2 says so, and nothing rests on it
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The header keys of the handshake, as http.Header spells them.
const (
	keyKey        = "Sec-Websocket-Key"
	keyVersion    = "Sec-Websocket-Version"
	keyProtocol   = "Sec-Websocket-Protocol"
	keyExtensions = "Sec-Websocket-Extensions"
	keyAccept     = "Sec-Websocket-Accept"
)

// version is the protocol version of RFC 6455 (§4.1).
const version = "13"

// Upgrade is a well-formed opening handshake (§4.2.1). Whether its origin may
// connect and which subprotocol is chosen is the server's decision.
type Upgrade struct {
	Key        string      // Sec-WebSocket-Key, for [AppendResponse]; "" from [ParseConnect]
	Protocols  []string    // subprotocols offered, the client's favourite first
	Extensions []Extension // extensions offered, the client's favourite first; see [AcceptDeflate]
	Origin     string      // of the page in a browser; "" from programs
}

// Refusal is the answer to a request that is no WebSocket handshake. It is the
// whole response but for the body's form.
type Refusal struct {
	Status int // HTTP status
	// Reason is a stable label for metrics: "not_get", "http_version", "no_host",
	// "no_upgrade", "no_connection", "bad_version", "no_key", "bad_key",
	// "bad_protocol" or "bad_extension"; over HTTP/2 also "not_connect", "not_websocket" or
	// "connection_header".
	Reason  string
	Message string              // what was wrong and what would be right, for a person
	Header  map[string][]string // to be sent with it, canonical keys; nil for none
}

// Error returns the status and the message.
func (r *Refusal) Error() string {
	return fmt.Sprintf("websocket handshake: %s (HTTP %d)", r.Message, r.Status)
}

// ParseUpgrade decides whether a request is a WebSocket handshake (§4.2.1). The keys
// of header are canonical, as in http.Header, which can be passed as it is; host is
// the request's Host. The request is refused with 405 when it is no GET, with 426
// when it asks for no WebSocket or another version, with 505 when it came over
// HTTP/2 or later, where [ParseConnect] is to be asked, and with 400 when it is broken.
func ParseUpgrade(method string, protoMajor, protoMinor int, host string, header map[string][]string) (u Upgrade, refusal *Refusal) {
	switch {
	case method != "GET":
		return u, refuseMethod(method)
	case protoMajor != 1 || protoMinor < 1:
		return u, refuseVersion(protoMajor, protoMinor)
	case host == "":
		return u, &Refusal{400, "no_host", "the header Host is missing", nil}
	}
	if refusal = checkHeaders(header); refusal == nil {
		u.Key = trim(header[keyKey][0])
		refusal = u.readOffers(header)
	}
	return u, refusal
}

// What refuses stands in functions of its own, as does what is rare: the goroutine of a
// connection in net/http has a stack of 4 KiB at this point, most of it used, and one that
// does not suffice is copied to a larger one, which takes a tenth of a handshake's time.

//go:noinline
func refuseMethod(method string) *Refusal {
	return &Refusal{
		405, "not_get", "a WebSocket handshake is a GET request, not " + method,
		map[string][]string{"Allow": {"GET"}},
	}
}

// refuseVersion is for HTTP/1.0, which knows no upgrade, and HTTP/2, where a
// WebSocket begins with CONNECT (RFC 8441). 505 is for a major version, so not for
// 1.0 (RFC 9110 §15.6.6).
//
//go:noinline
func refuseVersion(major, minor int) *Refusal {
	if major > 1 {
		return &Refusal{505, "http_version", fmt.Sprintf("a WebSocket handshake by GET needs HTTP/1.1, the request came over HTTP/%d, "+
			"where it is an extended CONNECT (RFC 8441)", major), nil}
	}
	return &Refusal{400, "http_version", fmt.Sprintf("a WebSocket handshake needs HTTP/1.1, the request came over HTTP/%d.%d; "+
		"a proxy in between may speak HTTP/1.0 to the server", major, minor), nil}
}

// readOffers reads what a handshake says beside being one, over whatever HTTP it came.
func (u *Upgrade) readOffers(header header) *Refusal {
	if origin := header["Origin"]; len(origin) > 0 {
		u.Origin = origin[0]
	}
	u.Protocols = listItems(header[keyProtocol])
	for _, p := range u.Protocols {
		if !isToken(p) {
			return refuseProtocol(p)
		}
	}
	var err error
	if u.Extensions, err = ParseExtensions(header[keyExtensions]); err != nil {
		return &Refusal{400, "bad_extension", "Sec-WebSocket-Extensions: " + err.Error(), nil}
	}
	return nil
}

//go:noinline
func refuseProtocol(p string) *Refusal {
	return &Refusal{400, "bad_protocol", fmt.Sprintf("Sec-WebSocket-Protocol names %q, which is no token (RFC 6455 §4.1)", p), nil}
}

// checkHeaders applies the rules for the four headers that make a handshake.
func checkHeaders(h header) *Refusal {
	if !hasToken(h["Upgrade"], "websocket") {
		return &Refusal{
			426, "no_upgrade", "this is a WebSocket address, but the request has no header \"Upgrade: websocket\"; " +
				"if the client is a WebSocket client, a proxy in between may have removed Upgrade",
			map[string][]string{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}},
		}
	}
	if !hasToken(h["Connection"], "upgrade") {
		return &Refusal{400, "no_connection", "the request has no header \"Connection: Upgrade\"; " +
			"a proxy in between may have removed or replaced it, and Upgrade with it", nil}
	}
	if v := h[keyVersion]; len(v) != 1 || trim(v[0]) != version {
		return &Refusal{
			426, "bad_version", "the header Sec-WebSocket-Version must be 13 (RFC 6455)",
			map[string][]string{keyVersion: {version}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}},
		}
	}
	keys := h[keyKey]
	if len(keys) == 0 {
		return &Refusal{400, "no_key", "the header Sec-WebSocket-Key is missing", nil}
	}
	if len(keys) > 1 || !validKey(trim(keys[0])) {
		return &Refusal{400, "bad_key", "the header Sec-WebSocket-Key must stand once, with 16 bytes in base64", nil}
	}
	return nil
}

// validKey reports whether key is 16 bytes in base64 (§4.2.1, item 5).
func validKey(key string) bool {
	if len(key) != 24 {
		return false
	}
	var nonce [18]byte
	n, err := base64.StdEncoding.Decode(nonce[:], []byte(key))
	return err == nil && n == 16
}

// AcceptKey returns the Sec-WebSocket-Accept for a Sec-WebSocket-Key (§4.2.2, item 5.4).
func AcceptKey(key string) string { return string(appendAcceptKey(nil, key)) }

// appendAcceptKey is AcceptKey into memory of the caller's.
func appendAcceptKey(dst []byte, key string) []byte {
	var short [64]byte                                                                            // a key has 24 bytes
	sum := sha1.Sum(append(append(short[:0], key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)) // #nosec G401 -- RFC 6455 §4.2.2 says so
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// Response is what a server answers to a handshake it accepts (§4.2.2).
type Response struct {
	Key      string              // of the [Upgrade]
	Protocol string              // one that the client offered, "" for none
	Deflate  *Deflate            // from [AcceptDeflate], nil for no compression
	Header   map[string][]string // further headers, such as Set-Cookie
}

// AppendResponse is [Response.AppendTo] without compression.
func AppendResponse(dst []byte, key, protocol string, extra map[string][]string) []byte {
	return Response{Key: key, Protocol: protocol, Header: extra}.AppendTo(dst)
}

// AppendTo appends the response that completes a handshake (§4.2.2) to dst and returns
// the extended slice: status 101, the accept key, the subprotocol, the compression, and
// the further headers in alphabetical order. Of those, names that are no token and the
// handshake's own headers are left out, and line breaks in values become spaces, so no
// value can add a header.
func (r Response) AppendTo(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAcceptKey(dst, r.Key)
	dst = append(dst, "\r\n"...)
	if r.Protocol != "" {
		dst = appendLine(dst, "Sec-WebSocket-Protocol", r.Protocol)
	}
	if r.Deflate != nil {
		dst = appendLine(dst, "Sec-WebSocket-Extensions", r.Deflate.String())
	}
	dst = appendExtra(dst, r.Header)
	return append(dst, "\r\n"...)
}

// appendExtra appends the headers a caller added, in a stable order.
func appendExtra(dst []byte, extra header) []byte {
	if len(extra) == 0 {
		return dst // the ordinary case, without memory for the names
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if !isToken(name) || ownHeader(name) {
			continue
		}
		for _, value := range extra[name] {
			dst = appendLine(dst, name, value)
		}
	}
	return dst
}

// ownHeader reports whether name belongs to the handshake itself.
func ownHeader(name string) bool {
	switch strings.ToLower(name) {
	case "host", "upgrade", "connection", "content-length", "transfer-encoding":
		return true
	}
	return len(name) > len("sec-websocket-") && strings.EqualFold(name[:len("sec-websocket-")], "sec-websocket-")
}

// appendLine appends one header line; what would break the line becomes a space.
func appendLine(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '\r' || c == '\n' || c == 0 {
			c = ' '
		}
		dst = append(dst, c)
	}
	return append(dst, "\r\n"...)
}
