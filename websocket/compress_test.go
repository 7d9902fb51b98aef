package websocket

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"hocket.dev/wire"
)

// compressedPair returns the two ends of a connection in memory that agreed upon
// compression, as bare connections of o would.
func compressedPair(t *testing.T, o Compression) (server, client *Conn) {
	t.Helper()
	server, client = pair(t)
	agreed := agreement(t, o)
	server.compress(agreed, o)
	client.compress(agreed, o)
	return server, client
}

// agreement is what a server and a client of o agree upon.
func agreement(t testing.TB, o Compression) *wire.Deflate {
	t.Helper()
	var extensions []wire.Extension
	for _, d := range o.offers() {
		all, err := wire.ParseExtensions([]string{d.String()})
		if err != nil {
			t.Fatal(err)
		}
		extensions = append(extensions, all...)
	}
	return o.accept(extensions)
}

// counted counts what is written to a connection.
type counted struct {
	net.Conn
	written *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	return c.Conn.Write(p)
}

// Whatever the two sides want, they understand each other, and only where both want it
// messages are compressed.
func TestCompressionModes(t *testing.T) {
	modes := []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover}
	for _, serverMode := range modes {
		url := serve(t, &AcceptOptions{Compression: Compression{Mode: serverMode, Threshold: 100}}, echo)
		for _, clientMode := range modes {
			var written atomic.Int64
			c := dial(t, url, &DialOptions{
				Compression: Compression{Mode: clientMode, Threshold: 100, Level: 6},
				NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
					nc, err := new(net.Dialer).DialContext(ctx, network, address)
					return counted{nc, &written}, err
				},
			})
			sizes := []int{0, 99, 100, 1000, 1000, 5000, 100_000}
			for _, n := range sizes {
				msg := prose(uint64(n), n)
				before := written.Load()
				c.say(t, Text, msg)
				c.want(t, Text, msg)
				took := int(written.Load() - before)
				compressed := serverMode != CompressionOff && clientMode != CompressionOff && n >= 1000
				if compressed != (n >= 1000 && took < n*3/4) {
					t.Errorf("server %d, client %d: %d bytes travelled as %d", serverMode, clientMode, n, took)
				}
			}
		}
	}
}

// The threshold is the smallest size that is compressed.
func TestCompressionThreshold(t *testing.T) {
	server, client := compressedPair(t, Compression{Mode: CompressionOn, Threshold: 100})
	for n, compressed := range map[int]bool{99: false, 100: true} {
		wrote := run(func() error { return server.Write(t.Context(), Text, make([]byte, n)) })
		if ev, err := client.next(t.Context()); err != nil || ev.Compressed != compressed {
			t.Errorf("%d bytes compressed: %v, %v", n, ev.Compressed, err)
		}
		if err := wrote(); err != nil {
			t.Error(err)
		}
	}
	if _, c := compressedPair(t, Compression{Mode: CompressionOn}); c.deflate.threshold != DefaultCompressionThreshold {
		t.Errorf("the default is %d", c.deflate.threshold)
	}
}

// A message that does not shrink goes out as it is.
func TestIncompressibleMessages(t *testing.T) {
	url := serve(t, &AcceptOptions{Compression: Compression{Mode: CompressionOn, Threshold: 1}}, func(ctx context.Context, c *Conn) {
		_ = c.Write(ctx, Text, []byte("x"))
		_ = c.Write(ctx, Text, []byte(strings.Repeat("x", 30)))
	})
	c := dial(t, url, &DialOptions{Compression: Compression{Mode: CompressionOn}})
	for _, compressed := range []bool{false, true} {
		ev, err := c.next(t.Context())
		if err != nil || ev.Compressed != compressed {
			t.Errorf("%q compressed: %v (%v)", ev.Payload, ev.Compressed, err)
		}
	}
}

// Without context takeover a connection holds nothing for compression, used or not; with
// it what the doc says.
func TestMemoryOfCompression(t *testing.T) {
	for mode, want := range map[CompressionMode][2]bool{CompressionOn: {}, CompressionTakeover: {true, true}} {
		server, client := compressedPair(t, Compression{Mode: mode})
		for range 20 {
			msg := prose(1, 10_000)
			said := run(func() error { return client.Write(t.Context(), Text, []byte(msg)) })
			server.want(t, Text, msg)
			if err := said(); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]*Conn{"server": server, "client": client} {
			if (c.deflate.send.Window != nil) != want[0] || (c.deflate.received != nil) != want[1] {
				t.Errorf("mode %d, %s: windows %v, %v", mode, name, c.deflate.send.Window, c.deflate.received)
			}
			if c.whole.Take() != nil {
				t.Errorf("mode %d, %s: a message is left behind", mode, name)
			}
		}
	}
	// A server asks clients that can for a window of 4 KiB.
	_, client := compressedPair(t, Compression{Mode: CompressionTakeover})
	if got := client.deflate.agreed.SendBits(wire.Client); got != takeoverBits {
		t.Errorf("the client's window has %d bits", got)
	}
}

// deflated is a compressed frame of a client.
func deflatedFrame(op wire.Opcode, compressed []byte) []byte {
	key := [4]byte{1, 2, 3, 4}
	b := wire.AppendHeader(nil, wire.Header{Fin: true, Rsv: wire.RSV1, Op: op, Masked: true, Key: key, Length: int64(len(compressed))})
	start := len(b)
	b = append(b, compressed...)
	wire.Mask(b[start:], key, 0)
	return b
}

// What is wrong inside a compressed message is answered as outside, read whole or as a
// stream, and skipped or not.
func TestBrokenCompressedMessages(t *testing.T) {
	const limit = 10_000
	tests := []struct {
		name string
		in   []byte
		code CloseCode
	}{
		{"garbage", deflatedFrame(wire.Binary, []byte("\x07garbage")), CloseInvalidPayload},
		{"cut", deflatedFrame(wire.Binary, wire.AppendDeflated(nil, []byte(prose(1, 500)), 15, 0)[:100]), CloseInvalidPayload},
		{"text that is not UTF-8", deflatedFrame(wire.Text, wire.AppendDeflated(nil, []byte(strings.Repeat("ab\xff", 100)), 15, 0)), CloseInvalidPayload},
		{"one byte over the limit", deflatedFrame(wire.Text, wire.AppendDeflated(nil, make([]byte, limit+1), 15, 0)), CloseTooBig},
		{"a bomb", deflatedFrame(wire.Binary, wire.AppendDeflated(nil, make([]byte, 8<<20), 15, 0)), CloseTooBig},
		{"a bomb that says how large it is", deflatedFrame(wire.Binary, make([]byte, limit*2)), CloseTooBig},
		{"a reference to nothing", deflatedFrame(wire.Text, []byte("\xf2\x00\x11\x00\x00")), CloseInvalidPayload},
	}
	readers := map[string]func(c *Conn) error{
		"Read": func(c *Conn) error { _, _, err := c.Read(context.Background()); return err },
		"NextReader": func(c *Conn) error {
			_, r, err := c.NextReader(context.Background())
			if err == nil {
				_, err = new(bytes.Buffer).ReadFrom(r)
			}
			return err
		},
	}
	for _, mode := range []CompressionMode{CompressionOn, CompressionTakeover} {
		for how, read := range readers {
			for _, tt := range tests {
				t.Run(tt.name+" by "+how, func(t *testing.T) {
					failed := make(chan error, 1)
					url := serve(t, &AcceptOptions{Compression: Compression{Mode: mode}}, func(_ context.Context, c *Conn) {
						c.SetReadLimit(limit)
						failed <- read(c)
					})
					c := dial(t, url, &DialOptions{Compression: Compression{Mode: mode}})
					sendBytes(t, c.nc, tt.in...)
					_, _, err := c.Read(t.Context())
					var closed *CloseError
					if !errors.As(err, &closed) || closed.Code != tt.code || closed.Reason == "" {
						t.Errorf("the client saw %v, want %d with a reason", err, tt.code)
					}
					err = <-failed
					var rule *wire.Error
					if !errors.As(err, &rule) || rule.Code != tt.code || errors.Is(err, ErrTooBig) != (tt.code == CloseTooBig) {
						t.Errorf("the server's error is %v", err)
					}
				})
			}
		}
	}
}

// At the limit a message passes, however it is read.
func TestCompressedMessageAtTheLimit(t *testing.T) {
	server, client := compressedPair(t, Compression{Mode: CompressionOn})
	server.SetReadLimit(10_000)
	for range 2 {
		said := run(func() error { return client.Write(t.Context(), Binary, make([]byte, 10_000)) })
		server.want(t, Binary, string(make([]byte, 10_000)))
		if err := said(); err != nil {
			t.Error(err)
		}
	}
}

// A Read that its context ends amid a compressed message loses nothing.
func TestCompressedReadGoesOnAfterItsContext(t *testing.T) {
	c, peer := raw(t)
	c.compress(&wire.Deflate{}, Compression{Mode: CompressionTakeover})
	frame := deflatedFrame(wire.Text, wire.AppendDeflated(nil, []byte(prose(1, 500)), 15, 0))
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		read := run(func() error { _, _, err := c.Read(ctx); return err })
		sendBytes(t, peer, frame[:50]...)
		cancel()
		if err := read(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		again := run(func() error { c.want(t, Text, prose(1, 500)); return nil })
		sendBytes(t, peer, frame[50:]...)
		_ = again()
	}
}

// Writers of a connection with context takeover compress in the order they send.
func TestTakeoverFromManyWriters(t *testing.T) {
	url := serve(t, &AcceptOptions{Compression: Compression{Mode: CompressionTakeover}}, echo)
	c := dial(t, url, &DialOptions{Compression: Compression{Mode: CompressionTakeover, Threshold: 1}})
	const writers, each = 8, 20
	prepared, err := NewPreparedMessage(Text, []byte(prose(99, 700)))
	if err != nil {
		t.Fatal(err)
	}
	for w := range writers {
		go func() {
			for i := range each {
				msg := prose(uint64(w), 50+i*50)
				switch i % 3 {
				case 0:
					_ = c.WritePrepared(context.Background(), prepared)
				case 1:
					if mw, err := c.NextWriter(context.Background(), Text); err == nil {
						_, _ = mw.Write([]byte(msg))
						_ = mw.Close()
					}
				default:
					_ = c.Write(context.Background(), Text, []byte(msg))
				}
			}
		}()
	}
	for range writers * each {
		_, msg, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := string(msg) == prose(99, 700)
		for w := range writers {
			want = want || string(msg) == prose(uint64(w), len(msg)) || string(msg) == prose(uint64(w), len(msg)+1) || string(msg) == prose(uint64(w), len(msg)+2)
		}
		if !want {
			t.Fatalf("nobody sent %s", brief(string(msg)))
		}
	}
}
