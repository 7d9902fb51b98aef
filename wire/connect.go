package wire

import (
	"fmt"
	"strings"
)

// keyPseudoProtocol is where net/http and its kin put the pseudo-header :protocol.
const keyPseudoProtocol = ":protocol"

// ParseConnect decides whether a request that came over HTTP/2 is a WebSocket handshake
// (RFC 8441 §4 and §5): an extended CONNECT. It is what [ParseUpgrade] is for HTTP/1.1.
// host is the pseudo-header :authority. The keys of header are canonical, and the
// pseudo-header :protocol stands among them under its own name, as net/http has it.
//
// Sec-WebSocket-Key is not looked at (RFC 8441 §5), so the Key of the [Upgrade] is empty.
// The request is refused with 501 when it asks for something else than a WebSocket, with
// 405 when it is no CONNECT, and with 400 when it is broken, another version included:
// 426 would have to name an Upgrade, which HTTP/2 does not know.
func ParseConnect(method, host string, header map[string][]string) (Upgrade, *Refusal) {
	if method != "CONNECT" {
		return Upgrade{}, &Refusal{
			405, "not_connect", "a WebSocket handshake over HTTP/2 is an extended CONNECT request (RFC 8441), not " + method,
			map[string][]string{"Allow": {"CONNECT"}},
		}
	}
	if refusal := checkConnect(host, header); refusal != nil {
		return Upgrade{}, refusal
	}
	var u Upgrade
	refusal := u.readOffers(header)
	return u, refusal
}

// checkConnect applies the rules for what makes a CONNECT a handshake.
func checkConnect(host string, h header) *Refusal {
	protocol := h[keyPseudoProtocol]
	if len(protocol) != 1 || !strings.EqualFold(protocol[0], "websocket") {
		return &Refusal{501, "not_websocket", fmt.Sprintf("this is a WebSocket address: CONNECT is for :protocol websocket (RFC 8441 §5), not for %q", protocol), nil}
	}
	if host == "" {
		return &Refusal{400, "no_host", "the pseudo-header :authority is missing (RFC 8441 §5)", nil}
	}
	for _, name := range []string{"Upgrade", "Connection"} {
		if _, there := h[name]; there {
			return &Refusal{400, "connection_header", "the header " + name + " must not stand in a request over HTTP/2 (RFC 8441 §5)", nil}
		}
	}
	if v := h[keyVersion]; len(v) != 1 || trim(v[0]) != version {
		return &Refusal{
			400, "bad_version", "the header Sec-WebSocket-Version must be 13 (RFC 6455)",
			map[string][]string{keyVersion: {version}},
		}
	}
	return nil
}

// ConnectHeader returns the headers of the response that completes a handshake over HTTP/2
// (RFC 8441 §5), for a response with status 200. The rules of [Response.AppendTo] hold for
// the further headers; Key is not used. The map is the caller's.
func (r Response) ConnectHeader() map[string][]string {
	h := cleanHeader(r.Header)
	if r.Protocol != "" {
		h[keyProtocol] = []string{r.Protocol}
	}
	if r.Deflate != nil {
		h[keyExtensions] = []string{r.Deflate.String()}
	}
	return h
}

// ConnectHeader returns the headers of a client's handshake over HTTP/2 (RFC 8441 §5): of
// a CONNECT request whose pseudo-headers :protocol, :scheme, :path and :authority are for
// the HTTP library to set. Key is not used. The map is the caller's.
func (r Request) ConnectHeader() map[string][]string {
	h := cleanHeader(r.Header)
	h[keyVersion] = []string{version}
	if len(r.Protocols) > 0 {
		h[keyProtocol] = append([]string(nil), r.Protocols...)
	}
	if len(r.Deflate) > 0 {
		h[keyExtensions] = []string{r.offers()}
	}
	return h
}

// UpgradeHeader returns the headers of a client's handshake over HTTP/1.1 (§4.1) for an
// HTTP library that sends the request: what [AppendRequest] sends, without Host. The map
// is the caller's.
func (r Request) UpgradeHeader() map[string][]string {
	h := r.ConnectHeader()
	h["Upgrade"] = []string{"websocket"}
	h["Connection"] = []string{"Upgrade"}
	h[keyKey] = []string{r.Key}
	return h
}

// CheckConnect is [Request.Check] for a handshake over HTTP/2: success is a status of 2xx
// (RFC 9113 §8.5), and Sec-WebSocket-Accept is not looked at (RFC 8441 §5).
func (r Request) CheckConnect(status int, header map[string][]string) (Answer, error) {
	if status/100 != 2 {
		return Answer{}, fmt.Errorf("websocket handshake: the server answered with status %d instead of 200", status)
	}
	return r.checkChoice(header)
}

// cleanHeader copies the headers a caller added, without those of the handshake itself and
// without what would break a line.
func cleanHeader(extra header) header {
	h := make(header, len(extra)+4)
	for name, values := range extra {
		if !isToken(name) || ownHeader(name) {
			continue
		}
		for _, value := range values {
			h[name] = append(h[name], unbroken.Replace(value))
		}
	}
	return h
}

// unbroken makes spaces of what must not stand in the value of a header.
var unbroken = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")
