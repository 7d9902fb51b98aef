package websocket

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/session"
	"hocket.dev/wire"
)

// attachPipe begins a session on a connection in memory, which takes nothing that is not read.
func attachPipe(t *testing.T, s *server) *peer {
	t.Helper()
	return attachWith(t, s, nil, nil, "")
}

// attachWith is attachPipe for a handshake that offered extensions, that failed, or that was followed by more bytes at once.
func attachWith(t *testing.T, s *server, offered []wire.Extension, failed *dialect.Error, early string) *peer {
	t.Helper()
	near, far := net.Pipe()
	codec, _, err := native.New().Open(dialect.Handshake{})
	if err != nil {
		t.Fatal(err)
	}
	deflate, framing := s.agree(offered)
	s.attach(far, verdict{deflate: deflate, session: session.Handshake{Codec: codec, Framing: framing, Err: failed}}, []byte(early))
	return newPeer(t, near)
}

// repeat sends a frame again and again, until the function it returns is called.
func (s *server) repeat(p *peer, frame string, every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := p.nc.Write([]byte(frame)); err != nil {
				return
			}
			s.sleep(every)
		}
	}()
	return func() {
		p.nc.Close()
		<-done
	}
}

// inTime runs a test in virtual time over the portable driver.
func inTime(t *testing.T, change func(*settings), test func(t *testing.T, s *server)) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, true, func(set *settings) {
			set.loops.Loops = 1
			change(set)
		})
		s.sleep = time.Sleep
		test(t, s)
	})
}

// wantClosedWithin lets time pass and sees the session gone, and nothing else before.
func (s *server) wantClosedWithin(t *testing.T, least, most time.Duration, code int) {
	t.Helper()
	s.sleep(least)
	synctest.Wait()
	if s.sessions() != 1 {
		t.Errorf("closed before %v: %v", least, s.Closes())
	}
	s.sleep(most - least)
	synctest.Wait()
	if got := s.Closes(); s.sessions() != 0 || len(got) != 1 || got[code] != 1 {
		t.Errorf("after %v there are %d sessions and closes %v, want %d", most, s.sessions(), got, code)
	}
	if n := s.hub.Stats().Cursors; n != 0 {
		t.Errorf("%d cursors are left", n)
	}
}

// TestAPeerThatDoesNotAnswerTheCloseIsNotWaitedFor has one that is silent and one that talks on.
func TestAPeerThatDoesNotAnswerTheCloseIsNotWaitedFor(t *testing.T) {
	for name, talk := range map[string]bool{"silent": false, "talking": true} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(set *settings) { set.transport.PingEvery = time.Second }, func(t *testing.T, s *server) {
				p := attachPipe(t, s)
				p.want(wire.Text, "connected")
				p.want(wire.Ping, "") // and is not answered
				s.node.DrainSessions()
				p.wantClose(4000, "draining")
				if talk {
					defer s.repeat(p, frame(0x8a, ""), 100*time.Millisecond)()
				}
				s.wantClosedWithin(t, 2*time.Second, 5*time.Second, 4000)
			})
		})
	}
}

func TestARefusedPeerIsNotWaitedForEither(t *testing.T) {
	inTime(t, func(*settings) {}, func(t *testing.T, s *server) {
		p := attachWith(t, s, nil, dialect.NotSupported.Err(), frame(0x81, `{"type":"ping"}`))
		p.want(wire.Text, `"name":"not_supported"`)
		p.wantClose(4200, "not_supported")
		s.wantClosedWithin(t, 2*time.Second, 5*time.Second, 4200)
	})
}

// TestPingsOfADeafPeerAreBounded has a peer ping and read nothing.
func TestPingsOfADeafPeerAreBounded(t *testing.T) {
	inTime(t, func(set *settings) { set.session.Limits.OutboxBytes = 8000 }, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		defer s.repeat(p, frame(0x89, strings.Repeat("p", 125)), time.Millisecond)()
		s.sleep(time.Second)
		synctest.Wait()
		if in := s.node.Shard(0).Counters.BytesOut.Load(); in > 80_000 {
			t.Errorf("%d bytes were written to nobody", in)
		}
		s.wantClosedWithin(t, 9*time.Second, 37*time.Second, 4002)
	})
}

// TestADeafPeerIsGivenUpThoughItIsNotAsked has so much wait for a peer that it is not read, and so cannot answer a ping.
func TestADeafPeerIsGivenUpThoughItIsNotAsked(t *testing.T) {
	inTime(t, func(*settings) {}, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		p.send(`{"type":"connect","payload":{"user":"ada"}}`)
		synctest.Wait()
		event := []byte(`"` + strings.Repeat("e", 50_000) + `"`)
		for range 5 {
			if n, err := s.node.Send(t.Context(), "", "ada", event, broker.JSON); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		s.wantClosedWithin(t, 9*time.Second, 37*time.Second, 4002)
	})
}

// TestAPeerThatTakesItsTimeIsKept reads slowly what waits for it, while it is not read itself.
func TestAPeerThatTakesItsTimeIsKept(t *testing.T) {
	inTime(t, func(set *settings) { set.loops.WriteBufferBytes = 16 << 10 }, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		p.send(`{"type":"connect","payload":{"user":"ada"}}`)
		synctest.Wait()
		for i := range 40 {
			event := fmt.Appendf(nil, `"%d%s"`, i, strings.Repeat("e", 20_000))
			if n, err := s.node.Send(t.Context(), "", "ada", event, broker.JSON); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		buf := make([]byte, 5000)
		for read := 0; read < 40*20_000; { // 800 KB in some 160 s
			n, err := p.in.Read(buf)
			if err != nil {
				t.Fatalf("closed after %d bytes: %v %v", read, err, s.Closes())
			}
			read += n
			s.sleep(time.Second)
		}
		go io.Copy(io.Discard, p.in)
		p.send(`{"type":"ping"}`)
		synctest.Wait()
		if s.sessions() != 1 {
			t.Errorf("closed: %v", s.Closes())
		}
		p.nc.Close()
		synctest.Wait()
	})
}

// TestAnAnswerToAPingMayHaveWaitedForThePause has a peer that is not read for most of the time it has for its pong.
func TestAnAnswerToAPingMayHaveWaitedForThePause(t *testing.T) {
	inTime(t, func(set *settings) { set.loops.WriteBufferBytes = 16 << 10 }, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		p.send(`{"type":"connect","payload":{"user":"ada"}}`)
		p.want(wire.Ping, "")
		event := []byte(`"` + strings.Repeat("e", 50_000) + `"`)
		for range 3 {
			if n, err := s.node.Send(t.Context(), "", "ada", event, broker.JSON); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		s.sleep(8 * time.Second)
		for range 3 {
			p.want(wire.Text, "eee")
		}
		s.sleep(8 * time.Second)
		if s.sessions() != 1 {
			t.Fatalf("closed: %v", s.Closes())
		}
		p.nc.Close()
		synctest.Wait()
	})
}

// TestTheEndOfALargeFrameIsWaitedForTenSeconds has a peer stop in the middle of one.
func TestTheEndOfALargeFrameIsWaitedForTenSeconds(t *testing.T) {
	inTime(t, func(set *settings) { set.loops.WriteBufferBytes = 4096 }, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"files"}`)
		p.want(wire.Text, `"id":1`)
		p.want(wire.Ping, "")
		s.publish(t, "files", `"`+strings.Repeat("f", 30_000)+`"`)
		synctest.Wait()
		p.write([]byte(frame(0x8a, ""))) // which does not put it off
		s.wantClosedWithin(t, 9*time.Second, 12*time.Second, 4001)
	})
}

// TestALargeFrameDoesNotPutOffThePing has a peer vanish in the middle of one, with a heartbeat quicker than the time it
// would have had for the rest.
func TestALargeFrameDoesNotPutOffThePing(t *testing.T) {
	inTime(t, func(set *settings) {
		set.loops.WriteBufferBytes = 4096
		set.transport.PingEvery, set.transport.PongTimeout = 2*time.Second, time.Second
	}, func(t *testing.T, s *server) {
		p := attachPipe(t, s)
		p.want(wire.Text, "connected")
		p.send(`{"type":"subscribe","id":1,"channel":"files"}`)
		p.want(wire.Text, `"id":1`)
		s.publish(t, "files", `"`+strings.Repeat("f", 30_000)+`"`)
		s.wantClosedWithin(t, time.Second, 5*time.Second, 4002)
	})
}

// TestAFloodInOneReadIsAnsweredInFull sends more at once than the answers to it may wait.
func TestAFloodInOneReadIsAnsweredInFull(t *testing.T) {
	inTime(t, func(set *settings) {
		set.session.Limits.OutboxBytes, set.loops.WriteBufferBytes = 4000, 4000
	}, func(t *testing.T, s *server) {
		const requests = 2000
		var flood strings.Builder
		for i := range requests {
			flood.WriteString(frame(0x81, fmt.Sprintf(`{"type":"ping","id":%d}`, i)))
		}
		p := attachWith(t, s, nil, nil, flood.String()+frame(0x88, "\x03\xe8"))
		synctest.Wait()
		if out := s.node.Shard(0).Counters.MessagesOut.Load(); out > 500 {
			t.Errorf("%d answers were made for nobody", out)
		}
		p.want(wire.Text, "connected")
		for i := range requests {
			p.want(wire.Text, fmt.Sprintf(`{"type":"pong","id":%d}`, i))
		}
		p.wantClose(1000, "")
		p.nc.Close()
		synctest.Wait()
		if got := s.Closes(); got[1000] != 1 || s.sessions() != 0 {
			t.Errorf("%d sessions, closes %v", s.sessions(), got)
		}
	})
}
