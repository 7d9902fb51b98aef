package soak

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// tlsWays are for a server that speaks HTTP/1.1 under TLS.
var tlsWays = []way{
	{"nothing at all", true, func(net.Conn, Target) error { return nil }},
	{"nothing, and a reset", false, func(net.Conn, Target) error { return nil }},
	{"half a ClientHello", true, send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
	{"half a ClientHello, and a reset", false, send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
	{"plain HTTP to the port of TLS", true, func(c net.Conn, target Target) error {
		_, err := c.Write(request(target, ""))
		return err
	}},
	{"bytes that are nothing", true, send("\x00\xff\x16\x00\xff\xff\x16\x03\x00\xff\xff\x16\x03\xff\xff\xff\x00\x00")},
	{"a handshake of TLS, then silence", true, underTLS(func(net.Conn, Target) error { return nil })},
	{"a handshake of TLS, then a reset", false, underTLS(func(net.Conn, Target) error { return nil })},
	{"byte by byte", false, func(c net.Conn, target Target) error {
		return underTLS(after(open, func(c net.Conn, _ Target) error {
			if _, err := c.Write(masked(9, "slow")); err != nil {
				return err
			}
			return awaitPong(c, "slow")
		}))(slow{c}, target)
	}},
	{"half a request", true, underTLS(sendHalfRequest)},
	{"half a frame", false, underTLS(after(open, send("\x81\x85\x01\x02")))},
	{"half a header, and silence", true, underTLS(after(open, send("\x81")))},
	{"half a record", true, func(c net.Conn, target Target) error {
		if err := underTLS(open)(c, target); err != nil {
			return err
		}
		_, err := io.WriteString(c, "\x17\x03\x03\x00\x20half of it")
		return err
	}},
	{"a record that nobody has sealed", true, func(c net.Conn, target Target) error {
		if err := underTLS(open)(c, target); err != nil {
			return err
		}
		_, err := io.WriteString(c, "\x17\x03\x03\x00\x20................................")
		return err
	}},
	{"a close frame and no close_notify", true, underTLS(after(open, send("\x88\x82\x00\x00\x00\x00\x03\xe8")))},
	{"a close_notify and no close frame", true, underTLS(after(open, func(c net.Conn, _ Target) error {
		return c.(*tls.Conn).CloseWrite()
	}))},
	{"half a compressed message, and silence", true, underTLS(after(openCompressed, send("\x41\x82\x00\x00\x00\x00\xf2\x48")))},
	{"a handshake, then silence", true, underTLS(open)},
	{"a broken rule", true, underTLS(after(open, send("\xff\xff\xff\xff")))},
	{"a request that is no upgrade", false, underTLS(func(c net.Conn, target Target) error {
		_, err := fmt.Fprintf(c, "GET /nowhere HTTP/1.1\r\nHost: %s\r\n\r\n", target.Addr)
		return errors.Join(err, awaitRefusal(c))
	})},
}

// underTLS does the handshake of TLS, and then what do does.
func underTLS(do func(net.Conn, Target) error) func(net.Conn, Target) error {
	return func(c net.Conn, target Target) error {
		secured := tls.Client(c, target.TLS)
		if err := secured.Handshake(); err != nil {
			return err
		}
		return do(secured, target)
	}
}

// slow is a connection on which every byte is sent by itself.
type slow struct{ net.Conn }

// Write sends every byte by itself.
func (s slow) Write(b []byte) (int, error) { return len(b), dribble(s.Conn, b) }
