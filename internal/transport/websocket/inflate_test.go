package websocket

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

func TestCompressedMessagesAreTaken(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, compressing(1<<20))
		p := dialWith(t, s.listen(t), offering(offer))
		p.want(wire.Text, "connected")
		p.write([]byte(packed(`{"type":"ping","id":1}`)))
		p.want(wire.Text, `{"type":"pong","id":1}`)
		p.send(`{"type":"ping","id":2}`) // not compressed, as §6 allows at any time
		p.want(wire.Text, `{"type":"pong","id":2}`)

		// In pieces of a byte each, with a ping behind every one.
		msg := string(wire.AppendDeflated(nil, []byte(`{"type":"ping","id":"in pieces"}`), 15, 0))
		var b strings.Builder
		for i := range msg {
			first := byte(0)
			if i == 0 {
				first = 0x41
			}
			if i == len(msg)-1 {
				first |= 0x80
			}
			b.WriteString(frame(first, msg[i:i+1]) + frame(0x89, fmt.Sprint(i)))
		}
		p.write([]byte(b.String()))
		for i := range msg {
			if i == len(msg)-1 {
				p.want(wire.Text, `{"type":"pong","id":"in pieces"}`)
			}
			p.want(wire.Pong, fmt.Sprint(i))
		}
		p.write([]byte(frame(0xc2, msg)))
		p.want(wire.Text, "not binary")
		if n, in, out := s.Inflated.Messages.Load(), s.Inflated.BytesPacked.Load(), s.Inflated.BytesPlain.Load(); n != 3 || in == 0 || in == out {
			t.Errorf("counted %d messages, %d bytes inflated to %d", n, in, out)
		}
	})
}

func TestCompressedMessagesThatBreakARule(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, compressing(1<<20))
		address := s.listen(t)
		for _, test := range []struct {
			name, bytes string
			code        wire.CloseCode
			reason      string
		}{
			{"garbage", frame(0xc1, "\xff\xff\xff\xff garbage"), 1007, "RFC 7692"},
			{"nothing where something must be", frame(0xc1, ""), 1007, "RFC 7692"},
			{"a reference to the message before", frame(0xc1, "\x02\x03\x00"), 1007, "RFC 7692"},
			{"no UTF-8", packed("\xff"), 1007, "text is not UTF-8"},
			{"half a character", packed("a\xc3"), 1007, "text is not UTF-8"},
			{"a bomb", packed(strings.Repeat("0", 1<<20+1<<16+1)), 1009, "size limit"},
			{"a bomb in pieces", inPieces(strings.Repeat("0", 8<<20), 100), 1009, "size limit"},
			{"the bit on a later piece", frame(0x41, "a") + frame(0xc0, "b"), 1002, "RFC 7692"},
			{"the bit on a ping", frame(0xc9, ""), 1002, "RFC 7692"},
			{"another bit", frame(0xa1, ""), 1002, "reserved bit"},
		} {
			p := dialWith(t, address, offering(offer))
			p.want(wire.Text, "connected")
			p.write([]byte(packed(`{"type":"ping"}`) + test.bytes))
			p.want(wire.Text, "pong") // what came before is answered
			payload := p.want(wire.Close, string([]byte{byte(test.code >> 8), byte(test.code)}))
			if !strings.Contains(payload, test.reason) {
				t.Errorf("%s is closed with %q, want %d %s", test.name, payload, test.code, test.reason)
			}
			p.wantEnd()
			p.nc.Close()
		}
		testproc.Until(t, "everything to be freed", func() bool { return s.sessions() == 0 })
	})
}

func TestACompressedMessageOverTheLimitIsToldAndTheSessionLivesOn(t *testing.T) {
	s := start(t, false, func(set *settings) {
		compressing(1 << 20)(set)
		set.session.Limits.MessageBytes = 2000
	})
	p := dialWith(t, s.listen(t), offering(offer))
	p.want(wire.Text, "connected")
	noise := make([]byte, 2100)
	for i := range noise {
		noise[i] = byte('!' + rand.IntN(94))
	}
	for i, big := range []string{
		packed(ofBytes(2001)), packed(ofBytes(bufferFactor * 2000)), inPieces(ofBytes(2001), 5), inPieces(ofBytes(bufferFactor*2000), 1),
		frame(0xc1, strings.Repeat("\xff", 2000+2000/8+129)), inPieces(string(noise), 500),
	} {
		p.write([]byte(big))
		p.want(wire.Text, `"name":"too_large"`)
		p.write([]byte(packed(fmt.Sprintf(`{"type":"ping","id":%d}`, i))))
		p.want(wire.Text, fmt.Sprintf(`{"type":"pong","id":%d}`, i))
	}
	stored := "\x00\xd0\x07\x2f\xf8" + ofBytes(2000) + "\x00" // 2,000 bytes that became more (RFC 1951 §3.2.4)
	p.write([]byte(packed(ofBytes(2000)) + inPieces(ofBytes(2000), 7) + frame(0xc1, stored)))
	for range 3 {
		p.want(wire.Text, `"pong"`)
	}
	p.write([]byte(packed(ofBytes(bufferFactor*2000 + 1))))
	p.wantClose(1009, "message over the size limit once inflated (RFC 7692 §8)")
}

// ofBytes is a ping of n bytes.
func ofBytes(n int) string {
	const ping = `{"type":"ping"}`
	return ping + strings.Repeat(" ", n-len(ping))
}

func TestInflatingStopsAtTheLimitAndKeepsLittle(t *testing.T) {
	var f inflation
	bomb := wire.AppendDeflated(nil, make([]byte, 8<<20), 15, 0)
	if _, size, err := f.inflate(wire.Binary, bomb, 64<<10); !tooBig(err) || size > inflateBytes || cap(f.buf) > keepInflated {
		t.Errorf("%d bytes were inflated, %d are kept, %v", size, cap(f.buf), err)
	}
	large := wire.AppendDeflated(nil, make([]byte, 1<<20), 15, 0)
	if msg, size, err := f.inflate(wire.Binary, large, 2<<20); err != nil || size != 1<<20 || len(msg) != 1<<20 || f.buf != nil {
		t.Errorf("%d bytes are %d, %d are kept, %v", len(msg), size, cap(f.buf), err)
	}
	if _, _, err := f.inflate(wire.Binary, bomb, 2<<20); !tooBig(err) {
		t.Errorf("a bomb where the limit itself is large: %v", err)
	}
}
