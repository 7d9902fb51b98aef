package loop

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	streamBufferBytes = 4 << 10         // what a stream reads at once
	lingerFor         = 5 * time.Second // how long accepted bytes may take after Close
	lingerAtShutdown  = time.Second     // the same when the whole group closes
)

// A stream is the link of a connection without a descriptor, for the portable driver and beside epoll. One goroutine reads: it
// hands its only buffer to the loop and waits until that was handled, so what has arrived is bounded. Another writes while there
// is something to write.
type stream struct {
	// Set once.
	c       *Conn
	loop    *Loop
	nc      net.Conn
	most    int           // bytes that are accepted and not yet written
	handled chan struct{} // the loop has finished with in; of capacity one

	handling bool // the loop's: the handler has in now

	mu      sync.Mutex // guards everything below
	in      []byte     // arrived and not yet handled
	ended   error      // why reading is over
	broken  error      // why writing is over
	out     []byte     // accepted and not yet taken by the writing goroutine
	pending int        // bytes accepted and not yet written
	waiting bool       // the connection is full and wants to hear of room
	room    bool       // it has room again and has not heard
	writing bool       // the writing goroutine runs
	finish  finish
}

// A finish is what is to be ended when all accepted bytes are written.
type finish uint8

const (
	keepOpen finish = iota
	endWriting
	writingEnded
	endAll
)

// A boundedConn is a net.Conn with a bound of its own for the bytes that are accepted and not yet written, in place of
// Config.WriteBufferBytes. Simulated ones have it, so that each holds as much as some socket would.
type boundedConn interface{ WriteBufferBytes() int }

func newStream(l *Loop, c *Conn, nc net.Conn) *stream {
	s := &stream{c: c, loop: l, nc: nc, most: l.cfg.WriteBufferBytes, handled: make(chan struct{}, 1)}
	if own, is := nc.(boundedConn); is {
		s.most = own.WriteBufferBytes()
	}
	return s
}

func (s *stream) open(*Conn) error {
	_ = s.nc.SetDeadline(time.Time{}) // whatever the handshake left; a connection without deadlines has none to clear
	s.loop.group.wg.Go(s.readAll)
	return nil
}

// readAll is the reading goroutine. After close it reads on until nc is closed: a TCP connection that is closed with
// unread bytes loses what it has sent.
func (s *stream) readAll() {
	buf := make([]byte, streamBufferBytes)
	for {
		n, err := s.nc.Read(buf)
		if s.deliver(buf[:n], err) && n > 0 {
			<-s.handled
		}
		if err != nil {
			return
		}
	}
}

// deliver brings the loop what was read. It returns false when the stream is closed and b of no interest.
func (s *stream) deliver(b []byte, err error) bool {
	s.mu.Lock()
	open := s.finish != endAll
	if open {
		s.in, s.ended = b, err
	}
	s.mu.Unlock()
	if open {
		s.loop.arrive(s)
	}
	return open
}

// serve handles the news of the stream on the loop.
func (s *stream) serve() {
	s.mu.Lock()
	in, ended, broken, room := s.in, s.ended, s.broken, s.room
	s.room = false
	s.mu.Unlock()

	if s.c.state.has(paused) && len(in) > 0 {
		in, ended = nil, nil // the end comes after the bytes before it
	}
	if room {
		s.c.hasRoom()
	}
	if len(in) > 0 { // so it is not closed: close takes in away
		s.handling = true
		s.c.read(in)
		s.handling = false
		s.release()
	}
	if broken != nil {
		s.c.Close(broken)
	}
	if ended != nil {
		s.c.Close(ended)
	}
}

// release gives the reading goroutine its buffer back.
func (s *stream) release() {
	s.mu.Lock()
	held := len(s.in) > 0
	s.in = nil
	s.mu.Unlock()
	if held {
		s.handled <- struct{}{}
	}
}

func (s *stream) update(c *Conn) {
	if c.state.has(paused) || s.handling {
		return
	}
	s.mu.Lock()
	held := len(s.in) > 0
	s.mu.Unlock()
	if held {
		s.loop.arrive(s)
	}
}

func (s *stream) write(_ *Conn, b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finish != keepOpen {
		return 0, io.ErrClosedPipe
	}
	if s.broken != nil {
		return 0, s.broken
	}
	n := min(len(b), s.most-s.pending)
	s.waiting = n < len(b)
	s.pending += n
	s.out = append(s.out, b[:n]...)
	s.startWriting()
	return n, nil
}

func (s *stream) closeWrite(*Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finish == keepOpen {
		s.finish = endWriting
		s.startWriting()
	}
}

// close leaves the closing to the writing goroutine: it comes after the accepted bytes, and tls.Conn's Close may block.
func (s *stream) close(*Conn) {
	linger := lingerFor
	if s.loop.stopping {
		linger = lingerAtShutdown
	}
	_ = s.nc.SetWriteDeadline(time.Now().Add(linger))
	s.mu.Lock()
	s.finish = endAll
	s.startWriting()
	s.mu.Unlock()
	if !s.handling {
		s.release()
	}
}

func (s *stream) abandon(*Conn) { s.nc.Close() }

// startWriting sees to it that the writing goroutine runs. s.mu is held, and this is the loop.
func (s *stream) startWriting() {
	if !s.writing {
		s.writing = true
		s.loop.group.wg.Go(s.writeAll)
	}
}

// writeAll is the writing goroutine. It lives while there is something to write, so that an idle stream has only one.
func (s *stream) writeAll() {
	for {
		b, then := s.nextWrite()
		switch {
		case len(b) > 0:
			_, err := s.nc.Write(b)
			s.wrote(len(b), err)
		case then == endWriting:
			if nc, ok := s.nc.(interface{ CloseWrite() error }); ok {
				_ = nc.CloseWrite() // it fails only when the connection is broken, and then reading says so
			}
		case then == endAll:
			s.nc.Close()
			return
		default:
			return
		}
	}
}

// nextWrite takes what is to be written, or else what is to be ended.
func (s *stream) nextWrite() ([]byte, finish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, then := s.out, s.finish
	s.out = nil
	switch {
	case len(b) > 0:
	case then == endWriting:
		s.finish = writingEnded
	case then != endAll:
		s.writing = false
	}
	return b, then
}

// wrote accounts for n bytes that were written, or given up.
func (s *stream) wrote(n int, err error) {
	s.mu.Lock()
	s.pending -= n
	if err != nil {
		s.broken, s.out = err, nil
	}
	if s.waiting && s.pending <= s.most/2 {
		s.waiting, s.room = false, true
	}
	tell := s.room || s.broken != nil
	s.mu.Unlock()
	if tell {
		s.loop.arrive(s)
	}
}
