package soak

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"hocket.dev/wire"
)

// A way is what a client does with a connection.
type way struct {
	name string
	held bool // the server is to end it, sooner or later
	do   func(c net.Conn, target Target) error
}

// plainWays are for a server that speaks HTTP/1.1 in the clear.
var plainWays = []way{
	{"nothing at all", true, func(net.Conn, Target) error { return nil }},
	{"nothing, and a reset", false, func(net.Conn, Target) error { return nil }},
	{"half a request", true, sendHalfRequest},
	{"half a request, and a reset", false, sendHalfRequest},
	{"half a request, and a FIN", true, func(c net.Conn, target Target) error {
		return errors.Join(sendHalfRequest(c, target), c.(*net.TCPConn).CloseWrite())
	}},
	{"half a frame", false, after(open, send("\x81\x85\x01\x02"))},
	{"half a header, and silence", true, after(open, send("\x81"))},
	{"a reset amid a message", false, after(open, send("\x01\x85\x00\x00\x00\x00hello"))},
	{"byte by byte", false, func(c net.Conn, target Target) error {
		if err := dribble(c, request(target, "")); err != nil {
			return err
		}
		if err := readResponse(c); err != nil {
			return err
		}
		if err := dribble(c, masked(wire.Ping, "slow")); err != nil {
			return err
		}
		return awaitPong(c, "slow")
	}},
	{"a close frame and no FIN", true, after(open, send("\x88\x82\x00\x00\x00\x00\x03\xe8"))},
	{"half a compressed message", false, after(openCompressed, send("\x41\x82\x00\x00\x00\x00\xf2\x48"))},
	{"half a compressed message, and silence", true, after(openCompressed, send("\x41\x82\x00\x00\x00\x00\xf2\x48"))},
	{"a handshake, then silence", true, open},
	{"TLS to the plain port", true, sendTLS},
	{"a request that is no upgrade", false, func(c net.Conn, target Target) error {
		_, err := fmt.Fprintf(c, "GET /nowhere HTTP/1.1\r\nHost: %s\r\n\r\n", target.Addr)
		return errors.Join(err, awaitRefusal(c))
	}},
	{"frames behind the handshake", false, func(c net.Conn, target Target) error {
		b := append(request(target, ""), bytes.Repeat(masked(wire.Ping, "p"), 20)...)
		_, err := c.Write(b)
		if err == nil {
			err = readResponse(c)
		}
		if err == nil {
			err = awaitPong(c, "p")
		}
		return err
	}},
	{"a broken rule", true, after(open, send("\xff\xff\xff\xff"))},
	{"bytes that are nothing", true, func(c net.Conn, _ Target) error {
		_, err := c.Write(bytes.Repeat([]byte{0x16, 0, 0xff}, 100))
		return err
	}},
	{"a reset behind the handshake", false, func(c net.Conn, target Target) error {
		_, err := c.Write(request(target, ""))
		return err
	}},
}

// request is a handshake with the offer of an extension, "" for none.
func request(target Target, offer string) []byte {
	b := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", target.Path, target.Addr)
	if offer != "" {
		b = fmt.Appendf(b, "Sec-WebSocket-Extensions: %s\r\n", offer)
	}
	return append(b, "\r\n"...)
}

func masked(op wire.Opcode, payload string) []byte {
	return wire.AppendMaskedFrame(nil, op, [4]byte{1, 2, 3, 4}, []byte(payload))
}

func sendHalfRequest(c net.Conn, target Target) error {
	b := request(target, "")
	_, err := c.Write(b[:len(b)/2])
	return err
}

func open(c net.Conn, target Target) error { return handshake(c, request(target, "")) }

func openCompressed(c net.Conn, target Target) error {
	return handshake(c, request(target, "permessage-deflate; client_max_window_bits"))
}

func handshake(c net.Conn, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	return readResponse(c)
}

// readResponse reads the head of a response, and not a byte more.
func readResponse(c net.Conn) error {
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := io.ReadFull(c, b); err != nil {
			return fmt.Errorf("the response ends with %q: %w", head, err)
		}
		head = append(head, b...)
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("refused: %q", head)
	}
	return nil
}

// awaitPong reads frames until a pong comes, which has to hold the payload. What a server says by itself may come first.
func awaitPong(c net.Conn, payload string) error {
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head[:2]); err != nil {
			return fmt.Errorf("no pong: %w", err)
		}
		length := int(head[1])
		if length == 126 {
			if _, err := io.ReadFull(c, head[2:]); err != nil {
				return fmt.Errorf("no pong: %w", err)
			}
			length = int(head[2])<<8 | int(head[3])
		}
		got := make([]byte, length)
		if _, err := io.ReadFull(c, got); err != nil {
			return fmt.Errorf("no pong: %w", err)
		}
		if head[0] != 0x80|byte(wire.Pong) {
			continue
		}
		if string(got) != payload {
			return fmt.Errorf("a pong of %q, want %q", got, payload)
		}
		return nil
	}
}

// awaitRefusal reads the beginning of a response that says no.
func awaitRefusal(c net.Conn) error {
	const want = "HTTP/1.1 4"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("answered %q, want %q", got, want)
	}
	return nil
}

// dribble sends every byte by itself.
func dribble(c net.Conn, b []byte) error {
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func send(b string) func(net.Conn, Target) error {
	return func(c net.Conn, _ Target) error {
		_, err := io.WriteString(c, b)
		return err
	}
}

// after does one thing and then the other.
func after(first, then func(net.Conn, Target) error) func(net.Conn, Target) error {
	return func(c net.Conn, target Target) error {
		if err := first(c, target); err != nil {
			return err
		}
		return then(c, target)
	}
}

// sendTLS begins a TLS handshake that the server cannot understand.
func sendTLS(c net.Conn, _ Target) error {
	if err := tls.Client(c, &tls.Config{ServerName: "hocket.example"}).Handshake(); err == nil {
		return errors.New("the plain port speaks TLS")
	}
	return c.SetDeadline(time.Now().Add(patience))
}
