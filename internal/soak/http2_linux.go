package soak

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"hocket.dev/wire"
)

// Frames of HTTP/2 (RFC 9113 §6).
const (
	h2Data, h2Headers, h2Reset, h2Settings = 0x0, 0x1, 0x3, 0x4

	h2EndStream, h2EndHeaders = 0x1, 0x4
	h2Preface                 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// http2Ways are for a server that speaks HTTP/2 in the clear. A network connection that is held ends when it is idle for as
// long as the http.Server says.
var http2Ways = []way{
	{"nothing at all", true, func(net.Conn, Target) error { return nil }},
	{"half a preface", true, send(h2Preface[:10])},
	{"half a preface, and a reset", false, send(h2Preface[:10])},
	{"a preface and no settings", true, send(h2Preface)},
	{"settings, then silence", true, beginHTTP2},
	{"a stream, then silence", true, after(beginHTTP2, openStreams(1))},
	{"a stream, then a reset of the network connection", false, after(beginHTTP2, openStreams(1))},
	{"a stream that is reset", true, after(after(beginHTTP2, openStreams(1)), func(c net.Conn, _ Target) error {
		return sendFrame(c, h2Reset, 0, 1, "\x00\x00\x00\x08")
	})},
	{"twenty streams that ping", false, after(after(beginHTTP2, openStreams(20)), func(c net.Conn, _ Target) error {
		for i := range 20 {
			if err := sendFrame(c, h2Data, 0, uint32(1+2*i), string(masked(wire.Ping, "p"))); err != nil {
				return err
			}
		}
		return awaitFrames(c, h2Data, 20)
	})},
	{"half of a WebSocket frame", true, after(after(beginHTTP2, openStreams(1)), func(c net.Conn, _ Target) error {
		return sendFrame(c, h2Data, 0, 1, "\x81\x85\x01\x02")
	})},
	{"half of a frame of HTTP/2", false, after(after(beginHTTP2, openStreams(1)), send("\x00\x00\x20\x00\x00\x00\x00\x00\x01half"))},
	{"a close frame and no end of the stream", true, after(after(beginHTTP2, openStreams(1)), func(c net.Conn, _ Target) error {
		return sendFrame(c, h2Data, 0, 1, "\x88\x82\x00\x00\x00\x00\x03\xe8")
	})},
	{"an end of the stream and no close frame", true, after(after(beginHTTP2, openStreams(1)), func(c net.Conn, _ Target) error {
		return sendFrame(c, h2Data, h2EndStream, 1, "\x81")
	})},
	{"a broken rule of WebSocket", true, after(after(beginHTTP2, openStreams(1)), func(c net.Conn, _ Target) error {
		return sendFrame(c, h2Data, 0, 1, "\xff\xff\xff\xff")
	})},
	{"a broken rule of HTTP/2", true, after(after(beginHTTP2, openStreams(3)), func(c net.Conn, _ Target) error {
		return sendFrame(c, h2Settings, 0, 5, "odd") // on a stream, and no settings
	})},
	{"bytes that are nothing", true, after(after(beginHTTP2, openStreams(1)), send("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))},
}

// beginHTTP2 begins a connection.
func beginHTTP2(c net.Conn, _ Target) error {
	if _, err := io.WriteString(c, h2Preface); err != nil {
		return err
	}
	return sendFrame(c, h2Settings, 0, 0, "")
}

// openStreams opens WebSockets on the first n streams (RFC 8441 §5), and awaits the answers.
func openStreams(n int) func(net.Conn, Target) error {
	return func(c net.Conn, target Target) error {
		var block []byte // of headers, none of them indexed or shortened (RFC 7541 §6.2.2)
		for _, h := range [][2]string{
			{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":path", target.Path}, {":authority", target.Addr},
			{"sec-websocket-version", "13"},
		} {
			block = fmt.Appendf(block, "\x00%c%s%c%s", len(h[0]), h[0], len(h[1]), h[1])
		}
		for i := range n {
			if err := sendFrame(c, h2Headers, h2EndHeaders, uint32(1+2*i), string(block)); err != nil {
				return err
			}
		}
		return awaitFrames(c, h2Headers, n)
	}
}

func sendFrame(c net.Conn, typ, flags byte, stream uint32, payload string) error {
	head := append(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:], typ, flags)
	_, err := c.Write(append(binary.BigEndian.AppendUint32(head, stream), payload...))
	return err
}

// awaitFrames reads until n frames of a type have come. One that ends its stream says no.
func awaitFrames(c net.Conn, typ byte, n int) error {
	for n > 0 {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return fmt.Errorf("%d frames of type %d have not come: %w", n, typ, err)
		}
		if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:4])>>8)); err != nil {
			return err
		}
		if head[3] != typ {
			continue
		}
		if head[4]&h2EndStream != 0 {
			return errors.New("a stream was refused")
		}
		n--
	}
	return nil
}
