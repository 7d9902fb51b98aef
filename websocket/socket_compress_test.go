package websocket

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"hocket.dev/wire"
)

// compressing are options with compression of everything that is not empty.
func compressing(mode CompressionMode) AcceptOptions {
	return AcceptOptions{Compression: Compression{Mode: mode, Threshold: 1}}
}

// Messages are compressed in both directions, and a server on loops agrees upon context
// takeover where the program asks for it, and only there.
func TestServerCompresses(t *testing.T) {
	for _, mode := range []CompressionMode{CompressionOn, CompressionTakeover} {
		h := &program{message: echoing().message}
		eachWay(t, h, ServerOptions{AcceptOptions: compressing(mode)}, func(t *testing.T, url string) {
			c := dial(t, url, &DialOptions{Compression: Compression{Mode: mode, Threshold: 1}})
			alone := mode == CompressionOn
			if c.deflate == nil || c.deflate.agreed.ServerNoContextTakeover != alone || c.deflate.agreed.ClientNoContextTakeover != alone {
				t.Fatalf("agreed on %+v", c.deflate)
			}
			for _, n := range []int{0, 1, 100, 1000, 100_000, DefaultReadLimit} {
				msg := strings.Repeat("compress ", n/9+1)[:n]
				for range 2 {
					c.say(t, Text, msg)
					c.want(t, Text, msg)
				}
			}
			if err := c.Close(CloseNormal, ""); err != nil {
				t.Error(err)
			}

			c = dial(t, url, nil) // without an offer
			c.say(t, Text, strings.Repeat("plain", 1000))
			c.want(t, Text, strings.Repeat("plain", 1000))
		})
	}
}

// Compressed bytes that are a bomb, garbage, or no text end the connection with their code
// (RFC 7692 §7.2.2, RFC 6455 §8.1 and §10.4); so does a compressed frame that nobody agreed
// upon (RFC 7692 §6).
func TestServerRefusesBadCompression(t *testing.T) {
	compressed := func(op wire.Opcode, p string) []byte {
		b := wire.AppendHeader(nil, wire.Header{Fin: true, Rsv: 0x40, Op: op, Masked: true, Length: int64(len(p))})
		return append(b, p...)
	}
	bomb := string(wire.AppendDeflated(nil, make([]byte, 2_000_000), 0, 0))
	for _, tt := range []struct {
		name string
		in   []byte
		code CloseCode
	}{
		{"bomb", compressed(wire.Binary, bomb), CloseTooBig},
		{"garbage", compressed(wire.Binary, "\xff\xff\xff"), CloseInvalidPayload},
		{"no text", compressed(wire.Text, string(wire.AppendDeflated(nil, []byte("a\xff"), 0, 0))), CloseInvalidPayload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := echoing()
			s := newServer(t, h, ServerOptions{AcceptOptions: compressing(CompressionOn)})
			c := dial(t, s.listen(t), &DialOptions{Compression: Compression{Mode: CompressionOn}})
			sendBytes(t, c.nc, tt.in...)
			var closed *CloseError
			if _, _, err := c.Read(t.Context()); !errors.As(err, &closed) || closed.Code != tt.code {
				t.Errorf("the client saw %v, want %d", err, tt.code)
			}
			var rule *wire.Error
			if err := <-h.closed; !errors.As(err, &rule) || rule.Code != tt.code {
				t.Errorf("the handler was told %v, want %d", err, tt.code)
			}
		})
	}
}

// A prepared message reaches each socket in its form, and is compressed once for all
// that share it.
func TestPreparedMessageInSeveralForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &program{}, ServerOptions{Portable: true, AcceptOptions: compressing(CompressionOn)})
		var clients []*Conn
		for i := range 6 {
			peer := s.attachPipe(t)
			c := newConn(peer, wire.Client, "", nil)
			if i%2 == 0 {
				c.compress(&wire.Deflate{ServerNoContextTakeover: true, ClientNoContextTakeover: true}, Compression{Mode: CompressionOn})
			}
			clients = append(clients, c)
			synctest.Wait()
			s.do(t, func() {
				if i%2 == 0 {
					s.all()[i].windowBits = 15
				}
			})
		}
		text := strings.Repeat("to all ", 100)
		m, err := NewPreparedMessage(Text, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s.do(t, func() {
			for range 2 {
				for _, so := range s.all() {
					if err := so.WritePrepared(m); err != nil {
						t.Error(err)
					}
				}
			}
		})
		for _, c := range clients {
			c.want(t, Text, text)
			c.want(t, Text, text)
			_ = c.CloseNow()
		}
		if len(m.forms) != 2 {
			t.Errorf("%d forms were made, want 2", len(m.forms))
		}
		_ = s.Close()
	})
}

func TestCompressedEchoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		return // it makes pools forget; scripts/test runs this without it
	}
	s := newServer(t, &program{message: echoing().message}, ServerOptions{AcceptOptions: compressing(CompressionOn)})
	c := dial(t, s.listen(t), &DialOptions{Compression: Compression{Mode: CompressionOn, Threshold: 1}})
	text := strings.Repeat("order book ", 100)
	c.say(t, Text, text)
	c.want(t, Text, text)
	payload := wire.AppendDeflated(nil, []byte(text), 0, 0)
	in := wire.AppendHeader(nil, wire.Header{Fin: true, Rsv: 0x40, Op: wire.Text, Masked: true, Length: int64(len(payload))})
	in = append(in, payload...) // the key is zero
	answer := make([]byte, 4096)
	allocs := allocations(200, func() {
		if _, err := c.nc.Write(in); err != nil {
			t.Fatal(err)
		}
		if _, err := c.nc.Read(answer); err != nil {
			t.Fatal(err)
		}
	})
	if allocs >= 1 {
		t.Errorf("%v allocations for each message echoed", allocs)
	}
}
