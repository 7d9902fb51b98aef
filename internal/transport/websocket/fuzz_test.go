package websocket

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// FuzzFrames gives a connection any bytes, one that compresses and one that does not. Where they are cut makes no difference
// to how it ends, nor to what is answered before; nothing panics, and nothing is left behind.
func FuzzFrames(f *testing.F) {
	ping := frame(0x81, `{"type":"ping","id":1}`)
	for _, seed := range []string{
		ping, frame(0x01, `{"type":"pi`) + frame(0x89, "x") + frame(0x80, `ng"}`), frame(0x88, "\x03\xe8bye") + ping,
		frame(0x81, "\xff"), frame(0xc1, ""), "\x81\x00", "\x81\xff\x00\x00\x00\x00\x00\x10\x00\x01abcd", frame(0x82, "\x00"),
		frame(0x81, `{"type":"subscribe","channel":"a"}`) + frame(0x81, `{"type":"publish","channel":"a","payload":1}`),
		packed(`{"type":"ping","id":1}`), inPieces(`{"type":"ping","id":1}`, 9) + packed("\xff"), frame(0xc1, "garbage") + ping,
		packed(strings.Repeat(" ", 2000)), inPieces(strings.Repeat(" ", 20_000), 10), frame(0x41, "") + frame(0x89, "x") + frame(0xc0, ""),
	} {
		for _, compress := range []bool{false, true} {
			f.Add([]byte(seed), uint8(1), compress)
			f.Add([]byte(seed), uint8(200), compress)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint8, compress bool) {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, true, func(set *settings) {
				compressing(1)(set)
				set.loops.Loops, set.session.Limits.MessageBytes = 1, 1000
			})
			whole, pieces := s.play(t, data, len(data), compress), s.play(t, data, int(cut)+1, compress)
			if whole != pieces {
				t.Errorf("ends with %q, and with %q when cut after %d bytes", whole, pieces, int(cut)+1)
			}
			if n := s.hub.Stats().Cursors; n != 0 || s.sessions() != 0 {
				t.Errorf("%d cursors and %d sessions are left", n, s.sessions())
			}
		})
	})
}

// play sends data in pieces, and then a ping. It answers with the pongs and errors that come, and the payload of the close frame, or
// whether the ping was heard.
func (s *server) play(t *testing.T, data []byte, size int, compress bool) (ending string) {
	var offered []wire.Extension
	if compress {
		offered = []wire.Extension{{Name: "permessage-deflate"}}
	}
	p := attachWith(t, s, offered, nil, "")
	defer func() {
		p.nc.Close()
		synctest.Wait()
	}()
	p.want(wire.Text, "connected")
	done := make(chan string, 1)
	go func() {
		said, answered := "", "silent"
		for {
			op, payload, err := p.next()
			switch {
			case err != nil:
				done <- said + answered
				return
			case op == wire.Close:
				done <- said + "closed " + payload
				return
			case op == wire.Text && payload == `{"type":"pong","id":"the last"}`:
				answered = "alive"
			case op == wire.Pong, strings.HasPrefix(payload, `{"type":"pong"`), strings.HasPrefix(payload, `{"type":"error"`):
				said += payload + "\n"
			}
		}
	}()
	for rest := data; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := p.nc.Write(rest[:n]); err != nil {
			break
		}
		rest = rest[n:]
	}
	_ = p.nc.SetWriteDeadline(time.Now().Add(time.Second)) // it may have been closed
	_, _ = p.nc.Write([]byte(frame(0x81, `{"type":"ping","id":"the last"}`)))
	synctest.Wait()
	p.nc.Close()
	return <-done
}
