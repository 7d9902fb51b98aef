package websocket

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

// do runs fn on the loop of a server that has one, and returns when it has run.
func (s *Server) do(t testing.TB, fn func()) {
	t.Helper()
	done := make(chan struct{})
	if !s.Post(0, func() { defer close(done); fn() }) {
		t.Fatal("the server is closed")
	}
	<-done
}

// all returns the sockets of a server that has one loop. On that loop only.
func (s *Server) all() (all []*Socket) {
	for h := range s.shards[0].loop.Handlers() {
		all = append(all, (*Socket)(h.(*driver)))
	}
	return all
}

// attachCounting gives the server a connection in memory whose writes are counted.
func (s *Server) attachCounting(t *testing.T) (*countingConn, net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = b.Close() })
	nc := &countingConn{Conn: a}
	s.attach(nc, &accepted{request: httptest.NewRequest("GET", "/", nil), answered: true})
	return nc, b
}

// fill writes messages of 1,000 bytes until one is refused, and returns their number.
func fill(t *testing.T, s *Socket) (n int) {
	t.Helper()
	for msg := make([]byte, 1000); ; n++ {
		if err := s.Write(Binary, msg); err != nil {
			if !errors.Is(err, ErrPendingFull) && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			return n
		}
	}
}

func TestPendingWait(t *testing.T) {
	for _, portable := range []bool{false, true} {
		const most = 300_000
		room := make(chan int, 1)
		h := &program{writable: func(s *Socket) {
			select {
			case room <- s.Buffered():
			default: // an earlier one was not looked at
			}
		}}
		s := newServer(t, h, ServerOptions{Portable: portable, MaxPendingBytes: most})
		nc := dialRaw(t, s.listen(t))
		var so *Socket
		testproc.Until(t, "the socket", func() bool {
			s.do(t, func() {
				for _, so = range s.all() {
				}
			})
			return so != nil
		})
		sent := 0
		testproc.Until(t, "the socket to be full for good", func() bool {
			n, pending := 0, 0
			s.do(t, func() { n, pending = fill(t, so), so.Buffered() }) // in one turn: later the system may have taken some
			if pending < most || pending > most+1004 {
				t.Errorf("%d bytes are pending, want %d and at most one message more", pending, most)
			}
			sent += n
			return n == 0
		})
		s.do(t, func() {
			if sent += fill(t, so); len(room) > 0 {
				<-room // of an earlier round
			}
		})
		if n, err := io.CopyN(io.Discard, nc, int64(sent)*1004); err != nil {
			t.Fatalf("%d bytes came of %d messages: %v", n, sent, err)
		}
		if n := <-room; n > most/2 {
			t.Errorf("Writable was called with %d bytes pending", n)
		}
		if err := s.write(t, so, "more"); err != nil {
			t.Error(err)
		}
		wantBytes(t, nc, "\x81\x04more")
	}
}

// write writes a text message from outside of the loop.
func (s *Server) write(t *testing.T, so *Socket, msg string) (err error) {
	t.Helper()
	s.do(t, func() { err = so.Write(Text, []byte(msg)) })
	return err
}

// The pending bytes of a peer that reads nothing stand still under every policy.
func TestPendingDropAndClose(t *testing.T) {
	for _, policy := range []PendingPolicy{PendingDrop, PendingClose} {
		synctest.Test(t, func(t *testing.T) {
			h := echoing()
			h.writable = func(*Socket) { t.Error("Writable was called") }
			s := newServer(t, h, ServerOptions{Portable: true, MaxPendingBytes: 200_000, PendingPolicy: policy})
			peer := s.attachPipe(t)
			synctest.Wait()
			var so *Socket
			s.do(t, func() { so = s.all()[0]; fill(t, so) })
			synctest.Wait()
			s.do(t, func() { fill(t, so) })
			synctest.Wait()
			if policy == PendingClose {
				if err := <-h.closed; err != ErrPendingFull {
					t.Errorf("%v: closed with %v", policy, err)
				}
				return
			}
			var pending int
			s.do(t, func() {
				if fill(t, so) != 0 {
					t.Error("a full socket takes more")
				}
				pending = so.Buffered()
			})
			if pending < 200_000 {
				t.Errorf("%d bytes are pending", pending)
			}
			go func() { _, _ = io.Copy(io.Discard, peer) }()
			synctest.Wait()
			if err := s.write(t, so, "more"); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		})
	}
}

// What sockets write in turns, alone and together, arrives whole, in order, and by one
// write for each of them.
func TestSocketsShareATape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &program{}, ServerOptions{Portable: true})
		const sockets = 3
		var conns [sockets]*countingConn
		var got [sockets]strings.Builder
		for i := range sockets {
			nc, peer := s.attachCounting(t)
			conns[i] = nc
			go func() { _, _ = io.Copy(&got[i], peer) }()
		}
		synctest.Wait()
		var want [sockets]string
		send := func(i int, so *Socket, text string) {
			if err := so.Write(Text, []byte(text)); err != nil {
				t.Error(err)
			}
			want[i] += string(wire.AppendFrame(nil, wire.Text, []byte(text)))
		}
		all := func(text string) {
			m, err := NewPreparedMessage(Text, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			for i, so := range s.all() {
				if err := so.WritePrepared(m); err != nil {
					t.Error(err)
				}
				want[i] += string(wire.AppendFrame(nil, wire.Text, []byte(text)))
			}
		}
		turns := []func(so []*Socket){
			func([]*Socket) { all("to all"); all("to all, too") },
			func(so []*Socket) { send(0, so[0], "one"); send(1, so[1], "two"); send(0, so[0], "three") },
			func(so []*Socket) { all("first"); send(1, so[1], "alone"); all("last") },
			func(so []*Socket) { send(2, so[2], "before"); all("after"); all("behind") },
			func(so []*Socket) { all(strings.Repeat("large", 10_000)) },
			func(so []*Socket) { send(0, so[0], strings.Repeat("l", tapeBytes-20)) },
			func([]*Socket) { all("again") },
		}
		for n, turn := range turns {
			for _, nc := range conns {
				nc.writes = nil
			}
			s.do(t, func() { turn(s.all()) })
			synctest.Wait()
			for i := range sockets {
				if got[i].String() != want[i] {
					t.Fatalf("turn %d, socket %d: got %.60q (%d bytes), want %.60q (%d)", n, i, got[i].String(), got[i].Len(), want[i], len(want[i]))
				}
				if len(conns[i].writes) > 1 {
					t.Errorf("turn %d, socket %d: writes of %v bytes", n, i, conns[i].writes)
				}
				got[i].Reset()
				want[i] = ""
			}
		}
		sh := s.shards[0]
		s.do(t, func() {
			if sh.tape.refs != 0 || len(sh.tape.b) != 0 {
				t.Errorf("the tape holds %d bytes for %d sockets", len(sh.tape.b), sh.tape.refs)
			}
			for _, so := range s.all() {
				if so.transit != nil || so.span != 0 {
					t.Error("an idle socket holds memory")
				}
			}
		})
		_ = s.Close()
	})
}

// A message that was prepared for 64 KiB exactly must not become a tape of the loop.
func TestPreparedMessageIsNotWrittenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &program{}, ServerOptions{Portable: true})
		for range 2 {
			peer := s.attachPipe(t)
			go func() { _, _ = io.Copy(io.Discard, peer) }()
		}
		synctest.Wait()
		m, err := NewPreparedMessage(Binary, make([]byte, tapeBytes-wire.MaxHeaderBytes))
		if err != nil {
			t.Fatal(err)
		}
		frame := m.form(preparedKey{}).frame
		before := string(frame)
		s.do(t, func() { _ = s.all()[0].WritePrepared(m) })
		synctest.Wait()
		s.do(t, func() {
			for _, so := range s.all() { // the second needs another tape
				_ = so.Write(Binary, []byte(strings.Repeat("x", tapeBytes-100)))
			}
		})
		synctest.Wait()
		if string(frame) != before {
			t.Error("the frame has changed")
		}
		_ = s.Close()
	})
}

// pinged are options in virtual time with pings.
func pinged(every, timeout time.Duration) ServerOptions {
	return ServerOptions{
		Portable:      true,
		AcceptOptions: AcceptOptions{KeepAlive: KeepAlive{PingEvery: every, PongTimeout: timeout}},
	}
}

func TestServerPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := echoing()
		s := newServer(t, h, pinged(20*time.Second, 5*time.Second))
		peer := s.attachPipe(t)
		start := time.Now()
		wantBytes(t, peer, "\x89\x00")
		if took := time.Since(start); took < 10*time.Second || took > 21*time.Second {
			t.Errorf("first ping after %v", took)
		}
		for range 3 {
			sendBytes(t, peer, masked(wire.Pong, "")...)
			start = time.Now()
			wantBytes(t, peer, "\x89\x00")
			if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
				t.Errorf("next ping after %v, want 20 s", took)
			}
		}
		start = time.Now()
		wantClosed(t, <-h.closed, CloseAbnormal, "")
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("a silent peer was closed after %v, want 5 s", took)
		}
		_ = s.Close()
	})
}

// A program that has paused reading does not take its peer for lost.
func TestPausedSocketIsNotPingedToDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := echoing()
		h.message = func(s *Socket, _ MessageType, _ []byte) { s.Pause() }
		s := newServer(t, h, pinged(25*time.Second, 10*time.Second))
		peer := s.attachPipe(t)
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		sendBytes(t, peer, masked(wire.Text, "pause")...)
		time.Sleep(5 * time.Minute)
		var so *Socket
		s.do(t, func() { so = s.all()[0]; so.Resume() })
		time.Sleep(8 * time.Second) // of the 10 it has again
		sendBytes(t, peer, masked(wire.Close, "\x03\xe8")...)
		wantClosed(t, <-h.closed, CloseNormal, "")
		if !so.Post(func(*Socket) { t.Error("a function runs on a socket that has ended") }) {
			t.Error("Post was refused although the server runs")
		}
		_ = s.Close()
	})
}

// A peer that does not answer a close frame is waited for, but not for ever.
func TestCloseGivesUpOnASilentPeerOfASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := echoing()
		s := newServer(t, h, ServerOptions{Portable: true})
		peer := s.attachPipe(t)
		synctest.Wait()
		start := time.Now()
		s.do(t, func() { _ = s.all()[0].Close(CloseNormal, "") })
		wantBytes(t, peer, "\x88\x02\x03\xe8")
		wantClosed(t, <-h.closed, CloseAbnormal, "")
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("closed after %v", took)
		}
		_ = s.Close()
	})
}

// Pings whose answers nobody reads do not gather: §5.5.3.
func TestPongsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, &program{}, ServerOptions{Portable: true, MaxPendingBytes: 10_000})
		peer := s.attachPipe(t)
		ping := masked(wire.Ping, strings.Repeat("p", 125))
		for range 2000 {
			sendBytes(t, peer, ping...)
		}
		synctest.Wait()
		s.do(t, func() {
			if n := s.all()[0].Buffered(); n > 10_200 {
				t.Errorf("%d bytes of pongs are pending", n)
			}
		})
		_ = s.Close()
	})
}

// An idle socket is 80 bytes, a size class of the allocator; one field more makes it 96.
func TestSocketSize(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > 80 {
		t.Errorf("a Socket has %d bytes", size)
	}
}

// An idle socket has no goroutine, and an echo allocates nothing.
func TestSocketCosts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has sockets without a goroutine")
	}
	s := newServer(t, &program{message: echoing().message}, ServerOptions{})
	url := s.listen(t)
	first := dialRaw(t, url)
	for range 3 {
		dialRaw(t, url)
	}
	const sockets = 100
	before := runtime.NumGoroutine()
	for range sockets {
		dialRaw(t, url)
	}
	testproc.Until(t, "the goroutines of the handshakes to end", func() bool {
		return s.Sockets() == sockets+4 && runtime.NumGoroutine() <= before
	})

	in := masked(wire.Text, strings.Repeat("x", 128))
	request := append([]byte(nil), in...)
	answer := make([]byte, 2+2+128)
	allocs := allocations(1000, func() {
		copy(request, in)
		if _, err := first.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(first, answer); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each message echoed", allocs)
	}
}

// A prepared message allocates nothing for those that it is delivered to, with compression and
// without. TestSocketCosts says the same of an echo.
func TestDeliveriesAllocateNothing(t *testing.T) {
	for _, mode := range []CompressionMode{CompressionOff, CompressionOn} {
		const sockets = 50
		var all []*Socket // the loop's
		var messages []*PreparedMessage
		for i := range 4 {
			m, err := NewPreparedMessage(Text, []byte(prose(uint64(i), 600)))
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, m)
		}
		next := 0
		h := &program{
			open: func(s *Socket, _ *http.Request) { all = append(all, s) },
			message: func(*Socket, MessageType, []byte) {
				m := messages[next%len(messages)]
				next++
				for _, s := range all {
					if err := s.WritePrepared(m); err != nil {
						t.Error(err)
					}
				}
			},
		}
		s := newServer(t, h, ServerOptions{AcceptOptions: compressing(mode)})
		url := s.listen(t)
		var subscribers []net.Conn
		sizes := make([]int, len(messages)) // of the frames
		for range sockets {
			c := dial(t, url, &DialOptions{Compression: Compression{Mode: mode}})
			subscribers = append(subscribers, c.nc)
		}
		for i, m := range messages {
			var key preparedKey
			if mode == CompressionOn {
				key = preparedKey{15, wire.SharedLevel}
			}
			sizes[i] = len(m.form(key).frame)
		}
		in, got := masked(wire.Text, "go"), make([]byte, 1000)
		published := 0
		publish := func() {
			if _, err := subscribers[0].Write(in); err != nil {
				t.Fatal(err)
			}
			for _, nc := range subscribers {
				if _, err := io.ReadFull(nc, got[:sizes[published%len(sizes)]]); err != nil {
					t.Fatal(err)
				}
			}
			published++
		}
		for range 2 * len(messages) { // spans and tapes are made
			publish()
		}
		if allocs := allocations(100, publish); allocs != 0 {
			t.Errorf("mode %d: %v allocations for %d messages delivered", mode, allocs, sockets)
		}
	}
}
