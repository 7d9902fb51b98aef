package websocket

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

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
func (c *Conn) Write(ctx context.Context, typ MessageType, p []byte) error {
	switch {
	case typ != Text && typ != Binary:
		return fmt.Errorf("websocket: write: message type %d is neither Text nor Binary", typ)
	case typ == Text && !utf8.Valid(p):
		return fmt.Errorf("websocket: write: %w", ErrNotUTF8)
	}
	return c.send(ctx, wire.Opcode(typ), p)
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
	if err := c.send(ctx, wire.Ping, binary.BigEndian.AppendUint64(nil, id)); err != nil {
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

// send writes one frame in its turn.
func (c *Conn) send(ctx context.Context, op wire.Opcode, p []byte) error {
	if err := c.acquire(ctx, c.writing, "write"); err != nil {
		return err
	}
	defer c.releaseWriting()
	if c.closeSent {
		return errClosed
	}
	release := interrupt(ctx, c.nc.SetWriteDeadline)
	err := c.writeFrame(op, p)
	release()
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
	err := c.writeFrame(op, p)
	_ = c.nc.SetWriteDeadline(time.Time{}) // fails where the peer has closed behind reading the frame
	return err
}

// writeFrame writes one frame. Only in one's turn.
func (c *Conn) writeFrame(op wire.Opcode, p []byte) error {
	buf := frames.Get().(*[frameBytes]byte)
	defer frames.Put(buf)
	h := wire.Header{Fin: true, Op: op, Length: int64(len(p)), Masked: c.role == wire.Client}
	if h.Masked {
		_, _ = rand.Read(h.Key[:]) // never fails; §5.3: a new key, not to be predicted, for each frame
	}
	head := wire.AppendHeader(buf[:0], h)
	n := copy(buf[len(head):], p)
	pos := 0
	if h.Masked {
		pos = wire.Mask(buf[len(head):len(head)+n], h.Key, 0)
	}
	if _, err := c.nc.Write(buf[:len(head)+n]); err != nil || n == len(p) {
		return err
	}
	if !h.Masked {
		_, err := c.nc.Write(p[n:])
		return err
	}
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = copy(buf[:], p)
		pos = wire.Mask(buf[:n], h.Key, pos)
		if _, err := c.nc.Write(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}
