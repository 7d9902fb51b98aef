package connect

import (
	"net"
	"os"
	"sync"
	"time"
)

// readBytes is how much a Conn reads at once for a reader that can be interrupted.
const readBytes = 4 << 10

// A link is one side of a stream.
type link interface {
	Read(p []byte) (int, error)  // blocks; one call at a time
	Write(p []byte) (int, error) // blocks until the network has taken p; one call at a time
	end()                        // ends this side orderly; no Write is under way, and a Read ends before long
	abort()                      // makes everything under way end, without waiting for it; may be called more than once
}

// Conn is a stream as a net.Conn. One goroutine at a time may read, any may write, set
// deadlines and close.
type Conn struct {
	// Set once.
	link          link
	direct        bool
	local, remote net.Addr
	closed        chan struct{} // closed when Close has ended this side
	readBy        *deadline
	writeBy       *deadline

	// The reader's.
	reading sync.Mutex
	results chan result // of capacity one
	asked   bool        // a goroutine reads, and will say what
	buf     []byte
	rest    []byte // of buf, read and not yet returned
	ended   error  // what the last read said

	writing chan struct{} // of capacity one, full while somebody writes

	mu     sync.Mutex // guards what follows, and is held by a deadline that aborts
	inside bool       // link.Write is under way
	over   bool       // Close was called
}

// A result is that of one read.
type result struct {
	n   int
	err error
}

func newConn(l link, local, remote net.Addr) *Conn {
	c := &Conn{
		link: l, local: local, remote: remote,
		closed:  make(chan struct{}),
		results: make(chan result, 1),
		writing: make(chan struct{}, 1),
		readBy:  newDeadline(nil),
	}
	c.writeBy = newDeadline(c.interruptWrite)
	return c
}

// ReadDirectly gives up read deadlines: Read then needs no goroutine of its own beside the
// caller's, and no buffer. It must come before the first Read.
func (c *Conn) ReadDirectly() { c.direct = true }

// Read implements net.Conn. It returns io.EOF when the peer has ended the stream, and
// net.ErrClosed after Close.
func (c *Conn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	switch {
	case c.isOver():
		return 0, net.ErrClosed
	case c.direct:
		n, err := c.link.Read(p)
		if err != nil && c.isOver() {
			err = net.ErrClosed
		}
		return n, err
	case c.readBy.hasPassed():
		return 0, os.ErrDeadlineExceeded
	}
	if len(c.rest) == 0 && c.ended == nil {
		if err := c.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if n > 0 || c.ended == nil {
		return n, nil
	}
	return 0, c.ended
}

// fetch waits for a read, which goes on when it is interrupted, so that nothing is lost.
// The goroutine lives for this one read; it ends at the latest with the stream.
func (c *Conn) fetch() error {
	if !c.asked {
		c.asked = true
		if c.buf == nil {
			c.buf = make([]byte, readBytes)
		}
		go func() {
			n, err := c.link.Read(c.buf)
			c.results <- result{n, err}
		}()
	}
	select {
	case r := <-c.results:
		c.asked, c.rest, c.ended = false, c.buf[:r.n], r.err
		if r.err != nil && r.n == 0 && c.isOver() {
			return net.ErrClosed
		}
		return nil
	case <-c.readBy.done():
		return os.ErrDeadlineExceeded
	case <-c.closed:
		return net.ErrClosed
	}
}

// Write implements net.Conn. It returns when the network has taken p, which is not kept.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	if !c.enter() {
		return 0, net.ErrClosed
	}
	defer c.leave()
	if c.writeBy.hasPassed() { // looked at after enter: one that passes later aborts
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.link.Write(p)
	switch {
	case err == nil:
	case c.isOver():
		err = net.ErrClosed
	case c.writeBy.hasPassed():
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (c *Conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside = !c.over
	return c.inside
}

// isOver says that Close was called. It may not have returned: what it has ended may end before it does, so the closed channel
// is no answer to this.
func (c *Conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

func (c *Conn) leave() {
	c.mu.Lock()
	c.inside = false
	c.mu.Unlock()
}

// interruptWrite ends a write whose deadline has passed, and the stream with it. The
// deadline is looked at again: it may have been moved for the next write, which is none of
// this one's business. The lock keeps that write from returning, and Close and Wait with
// it, before the abort is done: behind them the link may be no more.
func (c *Conn) interruptWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside && !c.over && c.writeBy.hasPassed() { // when it is over, Close has the abort
		c.link.abort()
	}
}

// Close ends the stream: orderly, or by a reset when a write is under way. It returns nil.
func (c *Conn) Close() error {
	c.mu.Lock()
	again, inside := c.over, c.inside
	c.over = true
	c.mu.Unlock()
	switch {
	case again:
		return nil
	case inside:
		c.link.abort()
	default:
		c.link.end()
	}
	close(c.closed)
	return nil
}

// CloseWrite ends this side of the stream on a client. On a server, where it ends with the
// handler, it is Close. It returns nil. No Write may be under way.
func (c *Conn) CloseWrite() error {
	half, ok := c.link.(interface{ endWriting() })
	if !ok {
		return c.Close()
	}
	half.endWriting()
	return nil
}

// Wait returns when Close was called and no write is under way any more. After it nothing
// of the stream is used for writing.
func (c *Conn) Wait() {
	<-c.closed
	c.writing <- struct{}{} // a write that comes later finds it closed
	<-c.writing
}

// SetDeadline implements net.Conn. It returns nil, as the two below.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readBy.move(t)
	c.writeBy.move(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readBy.move(t)
	return nil
}

// SetWriteDeadline implements net.Conn. A Write that is under way when the deadline passes
// ends the stream.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeBy.move(t)
	return nil
}

// LocalAddr implements net.Conn. It is nil where HTTP does not say.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn. It is nil where HTTP does not say.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }
