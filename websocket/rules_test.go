package websocket

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hocket.dev/wire"
)

// §7.1.7: whoever breaks a rule is told which, by the code and the reason of the close
// frame, and the program finds the same in its error.
func TestEveryBreachIsNamed(t *testing.T) {
	const limit = 1000
	bomb := newPacker(false).pack(strings.Repeat("x", 100*limit))
	for _, tt := range []struct {
		code int
		rule string
		send []rawFrame
	}{
		{1002, "wrong masking for this role (§5.1)", these(rawFrame{op: 1, payload: "a", badMask: true})},
		{1002, "reserved bit set without an extension (§5.2)", these(rawFrame{op: 1, rsv: 2})},
		{1002, "reserved opcode (§5.2)", these(rawFrame{op: 3})},
		{1002, "top bit of the 64-bit length set (§5.2)", these(rawFrame{op: 2, length: 1 << 63, payload: "mask"})},
		{1002, "length in more bytes than it needs (§5.2)", these(rawFrame{op: 2, length: 65535, payload: "mask"})},
		{1002, "continuation without a message to continue (§5.4)", these(finish("a"))},
		{1002, "new message inside a fragmented one (§5.4)", these(begin("a"), textFrame("b"))},
		{1002, "fragmented control frame (§5.5)", these(rawFrame{op: 9, more: true})},
		{1002, "control frame over 125 bytes (§5.5)", these(pingFrame(strings.Repeat("x", 126)))},
		{1002, "close payload of one byte (§5.5.1)", these(closeFrame("a"))},
		{1007, "close reason is not UTF-8 (§5.5.1)", these(closeFrame(code(1000, "\xff")))},
		{1002, "close code that must not be sent (§7.4)", these(closeFrame(code(1005, "")))},
		{1007, "text is not UTF-8 (§8.1)", these(textFrame("\xff"))},
		{1009, "message over the size limit (§10.4)", these(binaryFrame(strings.Repeat("x", limit+1)))},
		{1009, "message over the size limit (§10.4)", these(rawFrame{op: 2, length: 1 << 30, payload: "mask"})},
		{1002, "RSV1 on a control frame (RFC 7692 §6.1)", these(rawFrame{op: 9, rsv: 4})},
		{1002, "RSV1 on a continuation (RFC 7692 §6.1)", these(begin("a"), rawFrame{op: 0, rsv: 4})},
		{1007, "compressed data is broken (RFC 7692 §7.2.2)", these(rawFrame{op: 2, rsv: 4, payload: "\xff\xff\xff"})},
		{1009, "message over the size limit once inflated (RFC 7692 §8)", these(rawFrame{op: 2, rsv: 4, payload: bomb})},
	} {
		for _, s := range subjects {
			t.Run(fmt.Sprintf("%s, %v", tt.rule, s), func(t *testing.T) {
				s := s.compressing(Compression{Mode: CompressionOn})
				s.limit, s.ended = limit, make(chan error, 1)
				p, _ := start(t, s, noTakeover)
				p.send(0, tt.send...)
				if got := p.listen(); got.code != tt.code || got.reason != tt.rule || len(got.events) > 0 || got.end != io.EOF {
					t.Errorf("closed with %d %q and %v after %q, want %d %q and a FIN", got.code, got.reason, got.end, got.events, tt.code, tt.rule)
				}
				_ = p.nc.Close()
				err := <-s.ended
				var rule *wire.Error
				if !errors.As(err, &rule) || int(rule.Code) != tt.code || rule.Rule != tt.rule {
					t.Errorf("the program was told %v", err)
				}
				if errors.Is(err, ErrTooBig) != (tt.code == 1009) {
					t.Errorf("%v is ErrTooBig: %v", err, errors.Is(err, ErrTooBig))
				}
			})
		}
	}
}

// §5.3: each frame of a client has a key of its own, control frames not excepted.
// (That all are masked, and none of a server, is what every conformance case sees.)
func TestMaskingKeysAreFresh(t *testing.T) {
	for _, s := range clients {
		p, _ := start(t, s, "")
		seen := make(map[string]bool)
		for i := range 100 {
			p.send(0, pingFrame("p"), textFrame("a"))
			for range 2 {
				var frame [2 + 4 + 1]byte
				if _, err := io.ReadFull(p.br, frame[:]); err != nil {
					t.Fatal(err)
				}
				key := string(frame[2:6])
				if seen[key] {
					t.Fatalf("the key % x of message %d was used before", key, i)
				}
				seen[key] = true
			}
		}
		p.wantGoodbye()
	}
}

// §4.1: the key of a handshake is 16 bytes in base64, others for each.
func TestHandshakeKeysAreFresh(t *testing.T) {
	keys := make(chan string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Sec-WebSocket-Key")
		w.WriteHeader(http.StatusTeapot)
	}))
	defer web.Close()
	seen := make(map[string]bool)
	for range 20 {
		_, _, err := Dial(t.Context(), web.URL, nil)
		if err == nil {
			t.Fatal("the teapot is a server")
		}
		key := <-keys
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 || seen[key] {
			t.Fatalf("key %q, %v; used before: %v", key, err, seen[key])
		}
		seen[key] = true
	}
}
