package websocket

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

// TestIdleConnectionsAreSmall keeps what every idle connection costs in sight, as its counterpart in session does.
func TestIdleConnectionsAreSmall(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 176 {
		t.Errorf("a conn has %d bytes, more than 176", size)
	}
}

func TestFramesThatBreakTheProtocol(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(*settings) {})
		address := s.listen(t)
		closes := map[int]uint64{}
		for _, test := range []struct {
			name   string
			bytes  string
			code   wire.CloseCode
			reason string
		}{
			{"a reserved bit", frame(0xc1, ""), 1002, "reserved bit set without an extension (§5.2)"},
			{"an unknown opcode", frame(0x83, ""), 1002, "opcode"},
			{"no mask", "\x81\x00", 1002, "wrong masking for this role (§5.1)"},
			{"a ping in pieces", frame(0x09, ""), 1002, "control frame"},
			{"a long ping", frame(0x89, strings.Repeat("p", 126)), 1002, "control frame"},
			{"a message inside another", frame(0x01, "a") + frame(0x81, "b"), 1002, "message"},
			{"no UTF-8", frame(0x81, "\xff"), 1007, "text is not UTF-8 (§8.1)"},
			{"half a character", frame(0x01, "\xc3") + frame(0x80, "a"), 1007, "text is not UTF-8 (§8.1)"},
			{"a close of one byte", frame(0x88, "x"), 1002, "close"},
			{"a close code that must not be", frame(0x88, "\x03\xed"), 1002, "close code"},
			{"a close reason that is no text", frame(0x88, "\x03\xe8\xff"), 1007, "close reason"},
			{"a huge frame", "\x81\xff\x00\x00\x00\x00\x00\x11\x00\x01abcd", 1009, "message over the size limit (§10.4)"},
		} {
			p := dial(t, address, "")
			p.write([]byte(frame(0x81, `{"type":"ping"}`) + test.bytes))
			p.want(wire.Text, "connected")
			p.want(wire.Text, "pong") // what came before is answered
			payload := p.want(wire.Close, string([]byte{byte(test.code >> 8), byte(test.code)}))
			if !strings.Contains(payload, test.reason) {
				t.Errorf("%s is closed with %q, want %d %s", test.name, payload, test.code, test.reason)
			}
			p.wantEnd()
			p.nc.Close()
			closes[int(test.code)]++
		}
		testproc.Until(t, "everything to be freed", func() bool { return s.sessions() == 0 })
		if got := s.Closes(); fmt.Sprint(got) != fmt.Sprint(closes) {
			t.Errorf("counted %v, want %v", got, closes)
		}
	})
}

func TestControlFramesStandInsideAMessage(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(*settings) {})
		p := dial(t, s.listen(t), "")
		p.want(wire.Text, "connected")
		p.write([]byte(frame(0x01, `{"type":"pi`)))
		p.write([]byte(frame(0x89, "are you there")))
		p.want(wire.Pong, "are you there")
		p.write([]byte(frame(0x8a, "unasked") + frame(0x00, "") + frame(0x89, "") + frame(0x80, `ng","id":1}`)))
		p.want(wire.Pong, "")
		p.want(wire.Text, `{"type":"pong","id":1}`)
	})
}

func TestMessagesTooLargeCostOnlyThemselves(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(set *settings) { set.session.Limits.MessageBytes = 1000 })
		p := dial(t, s.listen(t), "")
		p.want(wire.Text, `"message_bytes":1000`)
		large := strings.Repeat("x", 600)
		p.write([]byte(frame(0x01, large) + frame(0x00, large) + frame(0x80, large)))
		p.want(wire.Text, `"name":"too_large","message":"a message may have at most 1000 bytes"`)
		p.send(`{"type":"ping","id":"` + large + `"}`) // the size begins anew
		p.want(wire.Text, `"name":"invalid_id"`)
		p.write([]byte(frame(0x82, "{}")))
		p.want(wire.Text, `text messages, not binary ones`)
		p.send(`{"type":"ping"}`)
		p.want(wire.Text, "pong")
	})
}

func TestCloseHandshakes(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(*settings) {})
		address := s.listen(t)
		for _, payload := range []string{"", "\x03\xe8", "\x03\xe9going away", "\x0b\xb8my own"} {
			p := dial(t, address, "")
			p.want(wire.Text, "connected")
			p.write([]byte(frame(0x81, `{"type":"ping"}`) + frame(0x88, payload) + frame(0x81, `{"type":"ping"}`)))
			p.want(wire.Text, "pong")
			if got := p.want(wire.Close, ""); got != payload {
				t.Errorf("a close with %q is answered with %q", payload, got)
			}
			p.wantEnd()
			p.nc.Close()
		}
		// Both close at once: the server's frame is sent, and ends what it says.
		p := dial(t, address, "")
		p.want(wire.Text, "connected")
		p.write([]byte(frame(0x81, `{"type":"connect","payload":{"token":"t"}}`) + frame(0x88, "\x03\xe8")))
		p.want(wire.Text, `"name":"not_supported"`)
		p.wantClose(4200, "not_supported")
		p.wantEnd()
		// Nothing follows a close frame, although something is due.
		p = dial(t, address, frame(0x81, `{"type":"subscribe","id":1,"channel":"a"}`))
		p.want(wire.Text, "connected")
		p.want(wire.Text, `"id":1`)
		p.write([]byte(frame(0x81, `{"type":"publish","channel":"a","payload":1}`) + frame(0x83, "")))
		p.wantClose(1002, "reserved opcode (§5.2)")
		p.wantEnd()
		p.nc.Close()
		p = dial(t, address, "")
		p.want(wire.Text, "connected")
		s.node.DrainSessions()
		p.wantClose(4000, "draining")
		p.write([]byte(frame(0x88, "\x0f\xa0")))
		p.wantEnd()
		testproc.Until(t, "everything to be freed", func() bool { return s.sessions() == 0 })
		if got := fmt.Sprint(s.Closes()); got != "map[1000:1 1001:1 1002:1 1005:1 3000:1 4000:1 4200:1]" {
			t.Errorf("counted %s", got)
		}
	})
}

func TestAPeerThatVanishesIsFreed(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(set *settings) {
			set.transport.PingEvery, set.transport.PongTimeout = time.Second, time.Second
		})
		p := dial(t, s.listen(t), "")
		p.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"chat:lobby","payload":{"presence":true}}`)
		testproc.Until(t, "the subscription", func() bool { return s.hub.Stats().Cursors != 0 })
		testproc.Until(t, "the peer to be given up", func() bool { return s.sessions() == 0 })
		if n := s.hub.Stats().Cursors; n != 0 {
			t.Errorf("%d cursors are left", n)
		}
		if got := s.Closes(); len(got) != 1 || got[4002] != 1 {
			t.Errorf("counted %v", got)
		}
		p.want(wire.Text, `"id":1`)
		p.want(wire.Ping, "")
		p.wantClose(4002, "ping_timeout")
	})
}

// TestASlowReaderMissesNothing has more wait for it than any buffer holds.
func TestASlowReaderMissesNothing(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(*settings) {})
		p := dial(t, s.listen(t), "")
		p.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"feed"}`)
		p.want(wire.Text, `"id":1`)
		const entries, size = 300, 10_000
		for i := range entries {
			s.publish(t, "feed", fmt.Sprintf(`"%d %s"`, i, strings.Repeat("f", size)))
		}
		for i := range entries {
			if msg := p.want(wire.Text, fmt.Sprintf(`"payload":"%d f`, i)); strings.Count(msg, "f") < size {
				t.Fatalf("entry %d has %d bytes", i, len(msg))
			}
		}
		p.send(`{"type":"ping"}`)
		p.want(wire.Text, "pong")
	})
}

// fragile is a dialect with a mistake.
type fragile struct{ dialect.Dialect }

func (f fragile) Open(h dialect.Handshake) (dialect.Codec, []dialect.Command, *dialect.Error) {
	c, commands, err := f.Dialect.Open(h)
	return fragileCodec{c}, commands, err
}

type fragileCodec struct{ dialect.Codec }

func (c fragileCodec) Decode(dst []dialect.Command, msg []byte) []dialect.Command {
	if string(msg) == "break" {
		panic("a mistake in a dialect")
	}
	return c.Codec.Decode(dst, msg)
}

func TestAMistakeCostsOneSession(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(set *settings) {
			set.loops.Loops = 1
			set.transport.Dialects = []dialect.Dialect{fragile{native.New()}}
		})
		address := s.listen(t)
		p, other := dial(t, address, ""), dial(t, address, "")
		p.want(wire.Text, "connected")
		other.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"a"}`)
		p.want(wire.Text, `"id":1`)
		p.send("break")
		p.wantEnd()
		other.send(`{"type":"ping"}`)
		other.want(wire.Text, "pong")
		testproc.Until(t, "the session to be freed", func() bool { return s.sessions() == 1 && s.hub.Stats().Cursors == 0 })
		if got := s.Closes(); len(got) != 1 || got[1006] != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

func TestSessionsHaveNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the driver with descriptors is there on Linux only")
	}
	s := start(t, false, func(*settings) {})
	address := s.listen(t)
	p := dial(t, address, "") // net/http has started what it starts
	p.want(wire.Text, "connected")
	before := runtime.NumGoroutine()
	const sessions = 500
	for range sessions {
		p := dial(t, address, "")
		p.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"news"}`)
		p.want(wire.Text, `"id":1`)
	}
	testproc.Until(t, "the goroutines of handshakes to end", func() bool { return runtime.NumGoroutine() <= before })
	if s.sessions() != sessions+1 || s.hub.Stats().Cursors != sessions {
		t.Errorf("%d sessions, %d cursors", s.sessions(), s.hub.Stats().Cursors)
	}
}
