package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

// compressedParts is a compressed message in two fragments, the second of which is its last
// unless more is to come.
func compressedParts(op wire.Opcode, payload []byte, more bool) []rawFrame {
	packed := string(wire.AppendDeflated(nil, payload, 15, 0))
	return these(
		rawFrame{op: byte(op), rsv: 4, more: true, payload: packed[:len(packed)/2]},
		rawFrame{more: more, payload: packed[len(packed)/2:]},
	)
}

// A message is whole and unchanged, whatever came in parts before it: of 5,000 to 15,000 bytes
// when it is compressed, its buffer must not become the one that the next is inflated into.
func TestCompressedMessagesInParts(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			p, _ := start(t, s.compressing(Compression{Mode: CompressionOn}), noTakeover)
			random := rand.NewChaCha8([32]byte{})
			for i := range 6 {
				msg := make([]byte, 10_000)
				_, _ = random.Read(msg[:4900])
				op := wire.Binary
				if i%3 == 2 {
					op, msg = wire.Text, fmt.Appendf(nil, "%x", msg[:5000])
				}
				p.send(0, compressedParts(op, msg, false)...)
				got := p.message()
				if got.rsv == 4 {
					got.payload = new(unpacker).unpack(t, got.payload, false)
				}
				if !bytes.Equal([]byte(got.payload), msg) {
					t.Fatalf("message %d has come back changed: %s, want %s", i, brief(got.payload), brief(string(msg)))
				}
			}
			p.wantGoodbye()
		})
	}
}

// Of texts that are never ended so many are looked into and no more, and none is counted any
// longer than its connection lives; the others are judged when they are whole (§8.1, §10.4).
func TestLookaheadsAreBounded(t *testing.T) {
	for _, s := range subjects {
		if s.how == stream {
			continue // it holds what its program reads
		}
		t.Run(s.String(), func(t *testing.T) {
			before := lookaheads.Load()
			s := s.compressing(Compression{Mode: CompressionOn}).begin(t)
			bad := []byte(prose(1, 3000) + "\xff" + prose(2, 3000))
			p, _ := start(t, s, noTakeover)
			p.send(0, compressedParts(wire.Text, []byte(prose(1, 3000)), true)...)
			testproc.Until(t, "the text to be looked into", func() bool { return lookaheads.Load() == before+1 })
			_ = p.nc.Close()
			testproc.Until(t, "it to be given up", func() bool { return lookaheads.Load() == before })

			lookaheads.Add(maxLookaheads)
			defer lookaheads.Add(-maxLookaheads)
			p, _ = start(t, s, noTakeover)
			p.send(0, compressedParts(wire.Text, []byte(prose(3, 3000)), false)...)
			if got := new(unpacker).unpack(t, p.message().payload, false); got != prose(3, 3000) {
				t.Errorf("came back as %s", brief(got))
			}
			p.send(0, compressedParts(wire.Text, bad, false)...)
			wantFailure(t, p, 1007)
			if n := lookaheads.Load(); n != before+maxLookaheads {
				t.Errorf("%d are counted, want %d", n, before+maxLookaheads)
			}
		})
	}
}

// A Read that its context ends amid a text leaves it to the next; when there is none, CloseNow
// gives it up.
func TestLookaheadEndsWithItsConnection(t *testing.T) {
	before := lookaheads.Load()
	c, peer := raw(t)
	c.compress(&wire.Deflate{ServerNoContextTakeover: true, ClientNoContextTakeover: true}, Compression{Mode: CompressionOn})
	ctx, cancel := context.WithCancel(t.Context())
	read := run(func() error { _, _, err := c.Read(ctx); return err })
	half := masked(wire.Text, "\x4a\x4c")
	half[0] = 0x41
	sendBytes(t, peer, half...)
	sendBytes(t, peer, masked(wire.Pong, "")...) // when it is taken, the text has been
	cancel()
	if err := read(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := lookaheads.Load(); n != before+1 {
		t.Errorf("%d texts are looked into, want %d", n, before+1)
	}
	_ = c.CloseNow()
	if n := lookaheads.Load(); n != before {
		t.Errorf("%d texts are looked into when the connection is over, want %d", n, before)
	}
}
