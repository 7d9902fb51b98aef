package websocket

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"hocket.dev/wire"
)

// frameBytes is the size of the buffers frames are made in. A frame that fits is one
// network write, so one packet or TLS record where it fits those.
const frameBytes = 16 << 10

var frames = sync.Pool{New: func() any { return new([frameBytes]byte) }}

// Write sends one message. It blocks until the network has taken it; p is not kept and
// not changed. Messages of several goroutines never mix.
//
// When ctx ends while Write waits for its turn, nothing was sent. When it ends later, a
// part of the frame may be out and the connection is over. The errors are ctx's cause,
// [ErrNotUTF8], a [*CloseError] when the connection was lost or the peer has closed, and
// net.ErrClosed after Close or CloseNow.
//
// With [Pending] it takes a copy of the message and returns; messages go out in the order in
// which they were taken, and what keeps one from going out is the error of the next call.
// While too much is pending it waits for room until ctx ends, or the error is
// [ErrPendingFull].
func (c *Conn) Write(ctx context.Context, typ MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if c.queue != nil {
		return c.enqueue(ctx, queued{op: wire.Opcode(typ), payload: p})
	}
	return c.sendMessage(ctx, wire.Opcode(typ), p)
}

// sendMessage sends one message and waits until the network has taken it.
func (c *Conn) sendMessage(ctx context.Context, op wire.Opcode, p []byte) error {
	if c.deflate.wants(len(p)) {
		return c.sendCompressed(ctx, op, p)
	}
	return c.send(ctx, frame{op: op, last: true}, p)
}

// sendCompressed is send for a message that is to be compressed.
func (c *Conn) sendCompressed(ctx context.Context, op wire.Opcode, p []byte) error {
	s := scratches.Get().(*scratch)
	defer s.done()
	f := frame{op: op, last: true, compressed: true}
	if c.deflate.send.Window == nil {
		if s.b = c.deflate.send.Append(s.b[:0], p); len(s.b) >= len(p) {
			f.compressed = false // it became no smaller
			return c.send(ctx, f, p)
		}
		return c.send(ctx, f, s.b)
	}
	// Messages that refer to each other are compressed in the order they are sent.
	if err := c.acquireMessage(ctx); err != nil {
		return err
	}
	defer c.releaseWriting()
	if c.closeSent {
		return errClosed
	}
	s.b = c.deflate.send.Append(s.b[:0], p)
	return c.write(ctx, f, s.b)
}

// Ping sends a ping and waits for its pong, so that a peer that has vanished is
// noticed. The pong is received by Read, which must be running in another goroutine.
// The errors are those of [Conn.Write]; waiting in vain for the pong leaves the
// connection as it is.
func (c *Conn) Ping(ctx context.Context) error {
	id, answered := c.newPing()
	defer func() {
		c.mu.Lock()
		delete(c.pings, id)
		c.mu.Unlock()
	}()
	if err := c.send(ctx, frame{op: wire.Ping, last: true}, binary.BigEndian.AppendUint64(nil, id)); err != nil {
		return err
	}
	select {
	case <-answered:
		return nil
	case <-c.closed:
		return c.reason()
	case <-ctx.Done():
		return canceled(ctx, "ping")
	}
}

// newPing registers a call of Ping.
func (c *Conn) newPing() (id uint64, answered chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	if c.pings == nil {
		c.pings = make(map[uint64]chan struct{})
	}
	answered = make(chan struct{})
	c.pings[c.last] = answered
	return c.last, answered
}

// frame is a frame to be written, without its payload.
type frame struct {
	op         wire.Opcode
	last       bool // of its message
	compressed bool // RFC 7692 §6: only on the first frame of a message
}

// send writes one whole message or control frame in its turn.
func (c *Conn) send(ctx context.Context, f frame, p []byte) error {
	var err error
	if f.op.Control() { // §5.4: it may stand between the frames of a message
		err = c.acquire(ctx, c.writing, "write")
	} else {
		err = c.acquireMessage(ctx)
	}
	if err != nil {
		return err
	}
	defer c.releaseWriting()
	if c.closeSent {
		return errClosed
	}
	return c.write(ctx, f, p)
}

// acquireMessage takes the turn to write when no message is under way in frames.
func (c *Conn) acquireMessage(ctx context.Context) error {
	for {
		if err := c.acquire(ctx, c.writing, "write"); err != nil {
			return err
		}
		under := c.stream
		if under == nil {
			return nil
		}
		c.releaseWriting()
		select {
		case <-under:
		case <-c.closed:
			return c.reason()
		case <-ctx.Done():
			return canceled(ctx, "write")
		}
	}
}

// write writes one frame until ctx ends. Only in one's turn.
func (c *Conn) write(ctx context.Context, f frame, p []byte) error {
	release := interrupt(ctx, c.nc, net.Conn.SetWriteDeadline)
	err := c.writeFrame(f, p)
	release()
	return c.written(ctx, err)
}

// writeBytes writes frames that are ready. Only in one's turn.
func (c *Conn) writeBytes(ctx context.Context, b []byte) error {
	release := interrupt(ctx, c.nc, net.Conn.SetWriteDeadline)
	err := c.put(b)
	release()
	return c.written(ctx, err)
}

// written ends the connection when a write failed.
func (c *Conn) written(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	err = c.end(&CloseError{Code: wire.CloseAbnormal, Err: err})
	if ctx.Err() != nil {
		return canceled(ctx, "write")
	}
	return err
}

// releaseWriting gives up the turn, and sends a pong that came due meanwhile.
func (c *Conn) releaseWriting() {
	<-c.writing
	c.flushPong()
}

// answerPing answers a ping without waiting for a writer: a reader that waits for a
// writer, whose peer waits the same way, would hang both. Of several unanswered pings
// only the newest is answered, as §5.5.3 allows.
func (c *Conn) answerPing(payload []byte) {
	c.mu.Lock()
	c.pong = append(make([]byte, 0, len(payload)), payload...)
	c.mu.Unlock()
	c.flushPong()
}

// flushPong sends the pong that is due, unless somebody is writing: then that one sends
// it when done. Both sides first put down what they have, then look: none is forgotten.
func (c *Conn) flushPong() {
	for c.pongDue() {
		select {
		case c.writing <- struct{}{}:
		default:
			return
		}
		if p := c.takePong(); p != nil && !c.closeSent {
			if err := c.writeControl(wire.Pong, p); err != nil {
				_ = c.end(&CloseError{Code: wire.CloseAbnormal, Err: err}) // the next call reports it
			}
		}
		<-c.writing
	}
}

func (c *Conn) pongDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pong != nil
}

func (c *Conn) takePong() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pong
	c.pong = nil
	return p
}

// writeControl writes a frame that no caller's context bounds. Only in one's turn.
func (c *Conn) writeControl(op wire.Opcode, p []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	err := c.writeFrame(frame{op: op, last: true}, p)
	_ = c.nc.SetWriteDeadline(time.Time{}) // fails where the peer has closed behind reading the frame
	return err
}

// writeFrame writes one frame. Only in one's turn.
func (c *Conn) writeFrame(f frame, p []byte) error {
	buf := frames.Get().(*[frameBytes]byte)
	defer frames.Put(buf)
	h := wire.Header{Fin: f.last, Op: f.op, Length: int64(len(p)), Masked: c.role == wire.Client}
	if f.compressed {
		h.Rsv = wire.RSV1
	}
	if h.Masked {
		_, _ = rand.Read(h.Key[:]) // never fails; §5.3: a new key, not to be predicted, for each frame
	}
	head := wire.AppendHeader(buf[:0], h)
	n := copy(buf[len(head):], p)
	pos := 0
	if h.Masked {
		pos = wire.Mask(buf[len(head):len(head)+n], h.Key, 0)
	}
	if err := c.put(buf[:len(head)+n]); err != nil || n == len(p) {
		return err
	}
	if !h.Masked {
		return c.put(p[n:])
	}
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = copy(buf[:], p)
		pos = wire.Mask(buf[:n], h.Key, pos)
		if err := c.put(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}
