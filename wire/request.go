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
	Protocols []string            // subprotocols offered, the favourite first; see [CheckProtocols]
	Header    map[string][]string // further headers, such as Origin and Cookie
	// Deflate are the offers of permessage-deflate, the favourite first, each a fallback
	// for the one before (RFC 7692 §5.2); none offers no compression.
	Deflate []Deflate
}

// EncodeKey returns the Sec-WebSocket-Key for 16 random bytes (§4.1, item 7).
func EncodeKey(nonce [16]byte) string { return base64.StdEncoding.EncodeToString(nonce[:]) }

// CheckProtocols reports what is wrong with the subprotocols that a client is about to
// offer (§4.1, item 10): one that is no token, or one that stands twice.
func CheckProtocols(offered []string) error {
	for i, p := range offered {
		if !isToken(p) {
			return fmt.Errorf("the subprotocol %q is no token (RFC 6455 §4.1)", p)
		}
		if slices.Contains(offered[:i], p) {
			return fmt.Errorf("the subprotocol %q stands twice (RFC 6455 §4.1)", p)
		}
	}
	return nil
}

// AppendRequest appends a client's handshake (§4.1) to dst and returns the extended
// slice. The same rules hold for r.Header as for the further
// headers of a [Response]; line breaks and spaces in Target must be escaped by the caller,
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
	if len(r.Deflate) > 0 {
		dst = appendLine(dst, "Sec-WebSocket-Extensions", r.offers())
	}
	dst = appendExtra(dst, r.Header)
	return append(dst, "\r\n"...)
}

// offers returns the value of Sec-WebSocket-Extensions. There is an offer.
func (r Request) offers() string {
	offers := r.Deflate[0].String()
	for _, d := range r.Deflate[1:] {
		offers += ", " + d.String()
	}
	return offers
}

// Answer is what a server chose in its response.
type Answer struct {
	Protocol string   // the subprotocol, "" for none
	Deflate  *Deflate // the parameters of permessage-deflate, nil when it is not used
}

// CheckResponse is [Request.Check] for a request that offered no compression; of that
// request it needs the key and the subprotocols offered.
func CheckResponse(status int, header map[string][]string, key string, offered []string) (protocol string, err error) {
	answer, err := Request{Key: key, Protocols: offered}.Check(status, header)
	return answer.Protocol, err
}

// Check decides whether a server accepted the handshake (§4.1, "the client MUST validate
// the server's response") and returns what it chose. The keys of header are canonical.
// Upon an error the connection must be given up: of r's subprotocols and compression
// offers the server chose what was not offered, or the response is no answer to r.
func (r Request) Check(status int, header map[string][]string) (Answer, error) {
	switch {
	case status != 101:
		return Answer{}, fmt.Errorf("websocket handshake: the server answered with status %d instead of 101", status)
	case !hasToken(header["Upgrade"], "websocket"):
		return Answer{}, errors.New(`websocket handshake: the response has no header "Upgrade: websocket"`)
	case !hasToken(header["Connection"], "upgrade"):
		return Answer{}, errors.New(`websocket handshake: the response has no header "Connection: Upgrade"`)
	}
	if accept := header[keyAccept]; len(accept) != 1 || trim(accept[0]) != AcceptKey(r.Key) {
		return Answer{}, errors.New("websocket handshake: Sec-WebSocket-Accept does not answer the key sent")
	}
	return r.checkChoice(header)
}

// checkChoice judges what a server chose of r's offers.
func (r Request) checkChoice(header header) (Answer, error) {
	deflate, err := r.checkExtensions(header[keyExtensions])
	if err != nil {
		return Answer{}, fmt.Errorf("websocket handshake: %w", err)
	}
	chosen := header[keyProtocol]
	if len(chosen) == 0 {
		return Answer{Deflate: deflate}, nil
	}
	protocol := trim(chosen[0])
	if len(chosen) > 1 || !slices.Contains(r.Protocols, protocol) {
		return Answer{}, fmt.Errorf("websocket handshake: the server chose the subprotocol %q, which was not offered", protocol)
	}
	return Answer{protocol, deflate}, nil
}

// checkExtensions judges the extensions a server chose (§9.1, RFC 7692 §5.1 and §7.1).
func (r Request) checkExtensions(lines []string) (*Deflate, error) {
	chosen, err := ParseExtensions(lines)
	switch {
	case err != nil:
		return nil, err
	case len(chosen) == 0:
		return nil, nil
	case len(chosen) > 1:
		return nil, fmt.Errorf("the server chose the extensions %q and %q, which cannot stand together", chosen[0], chosen[1])
	case len(r.Deflate) == 0:
		return nil, fmt.Errorf("the server chose the extension %q, none was offered", chosen[0])
	}
	answer, err := ParseDeflate(chosen[0], false)
	if err == nil {
		answer, err = agree(answer, r.Deflate)
	}
	if err != nil {
		return nil, fmt.Errorf("the server chose the extension %q: %w", chosen[0], err)
	}
	return &answer, nil
}
