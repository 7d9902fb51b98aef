package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// Request is what a client asks for in its opening handshake (§4.1).
type Request struct {
	Host      string              // of the URL, with the port where it is not the scheme's own
	Target    string              // path and query, "/" when empty
	Key       string              // from [EncodeKey], a new one for every connection
	Protocols []string            // subprotocols offered, the favourite first
	Header    map[string][]string // further headers, such as Origin and Cookie
}

// EncodeKey returns the Sec-WebSocket-Key for 16 random bytes (§4.1, item 7).
func EncodeKey(nonce [16]byte) string { return base64.StdEncoding.EncodeToString(nonce[:]) }

// AppendRequest appends a client's handshake (§4.1) to dst and returns the extended
// slice. The same rules hold for r.Header as for the extra headers of
// [AppendResponse]; line breaks and spaces in Target must be escaped by the caller,
// as url.URL.RequestURI does.
func AppendRequest(dst []byte, r Request) []byte {
	target := r.Target
	if target == "" {
		target = "/"
	}
	dst = append(dst, "GET "...)
	dst = append(dst, target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendLine(dst, "Host", r.Host)
	dst = append(dst, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"...)
	dst = appendLine(dst, "Sec-WebSocket-Key", r.Key)
	for _, p := range r.Protocols {
		dst = appendLine(dst, "Sec-WebSocket-Protocol", p)
	}
	dst = appendExtra(dst, r.Header)
	return append(dst, "\r\n"...)
}

// CheckResponse decides whether a server accepted the handshake (§4.1, "the client
// MUST validate the server's response") and returns the subprotocol it chose, "" for
// none. The keys of header are canonical; key and offered are those of the request.
func CheckResponse(status int, header map[string][]string, key string, offered []string) (protocol string, err error) {
	switch {
	case status != 101:
		return "", fmt.Errorf("websocket handshake: the server answered with status %d instead of 101", status)
	case !hasToken(header["Upgrade"], "websocket"):
		return "", errors.New(`websocket handshake: the response has no header "Upgrade: websocket"`)
	case !hasToken(header["Connection"], "upgrade"):
		return "", errors.New(`websocket handshake: the response has no header "Connection: Upgrade"`)
	}
	if accept := header[keyAccept]; len(accept) != 1 || trim(accept[0]) != AcceptKey(key) {
		return "", errors.New("websocket handshake: Sec-WebSocket-Accept does not answer the key sent")
	}
	if ext := listItems(header[keyExtensions]); len(ext) > 0 {
		return "", fmt.Errorf("websocket handshake: the server chose the extension %q, none was offered", ext[0])
	}
	chosen := header[keyProtocol]
	if len(chosen) == 0 {
		return "", nil
	}
	protocol = trim(chosen[0])
	if len(chosen) > 1 || !slices.Contains(offered, protocol) {
		return "", fmt.Errorf("websocket handshake: the server chose the subprotocol %q, which was not offered", protocol)
	}
	return protocol, nil
}
