package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"net"
	"os"
	"time"

	"hocket.dev/wire"
)

// Read returns the next message. It blocks until one is there whole, and meanwhile
// answers pings and delivers pongs. The message belongs to the caller.
//
// When ctx ends, Read returns its cause and the connection goes on: a later Read loses
// nothing. All other errors are final: a [*CloseError] when the peer closed or the
// connection was lost; a [*wire.Error], with [ErrTooBig] where it applies, when the peer
// broke a rule and has been told so; net.ErrClosed after Close or CloseNow.
func (c *Conn) Read(ctx context.Context) (MessageType, []byte, error) {
	if err := c.acquire(ctx, c.reading, "read"); err != nil {
		return 0, nil, err
	}
	defer func() { <-c.reading }()
	if err := c.skip(ctx); err != nil {
		return 0, nil, err
	}
	for {
		ev, err := c.next(ctx)
		if err != nil {
			if c.reason() != nil {
				c.ahead.drop()
			}
			return 0, nil, err
		}
		msg, done := c.whole.Add(ev)
		if ev.Compressed {
			if msg, err = c.inflate(ev, msg); err != nil {
				return 0, nil, c.fail(err)
			}
		} else if done && ev.First {
			msg = bytes.Clone(msg) // it lies in the read buffer
		}
		if done {
			return MessageType(ev.Op), msg, nil
		}
	}
}

// Message is a message as [Conn.Messages] gives it.
type Message struct {
	Type MessageType
	Data []byte // belongs to the caller
}

// Messages returns the messages that come, to be ranged over, until the connection or ctx
// ends. Why is the last error; there is none when the peer closed without complaint:
// with [CloseNormal], [CloseGoingAway] or no code.
//
//	for msg, err := range c.Messages(ctx) {
//		if err != nil {
//			return err
//		}
//		handle(msg)
//	}
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			typ, msg, err := c.Read(ctx)
			if err != nil {
				var closed *CloseError
				if !errors.As(err, &closed) || !closed.peaceful() {
					yield(Message{}, err)
				}
				return
			}
			if !yield(Message{typ, msg}, nil) {
				return
			}
		}
	}
}

// next returns the next piece of a message. Control frames are handled here.
func (c *Conn) next(ctx context.Context) (wire.Event, error) {
	for {
		if err := c.reason(); err != nil {
			return wire.Event{}, err
		}
		if len(c.pending) == 0 {
			if err := c.fill(ctx); err != nil {
				return wire.Event{}, err
			}
		}
		ev, n, err := c.decoder.Next(c.pending)
		c.pending = c.pending[n:]
		if err != nil {
			return wire.Event{}, c.fail(err)
		}
		switch ev.Kind {
		case wire.KindData:
			return ev, nil
		case wire.KindPing:
			c.answerPing(ev.Payload)
		case wire.KindPong:
			c.deliverPong(ev.Payload)
		case wire.KindClose:
			return wire.Event{}, c.answerClose(ev)
		}
	}
}

// fill reads from the network.
func (c *Conn) fill(ctx context.Context) error {
	if ctx.Err() != nil {
		return canceled(ctx, "read")
	}
	if c.buf == nil {
		c.buf = make([]byte, readBufferBytes)
	}
	release := interrupt(ctx, c.nc, net.Conn.SetReadDeadline)
	n, err := c.nc.Read(c.buf)
	release()
	switch {
	case n > 0:
		c.alive.note()
		c.pending = c.buf[:n] // an error that came with it comes again
		return nil
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return canceled(ctx, "read")
	case err == io.EOF:
		err = io.ErrUnexpectedEOF // §7.1.4: a clean end has a close frame
	}
	return c.end(&CloseError{Code: wire.CloseAbnormal, Err: err})
}

// fail tells the peer which rule it broke and ends the connection (§7.1.7).
func (c *Conn) fail(broken error) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var rule *wire.Error
	c.queue.abandon()
	if errors.As(broken, &rule) {
		_ = c.sendClose(ctx, rule.Code, rule.Rule) // the peer's breach is the error to report
	}
	err := c.over(readError(broken))
	c.linger()
	return c.end(err)
}

// linger ends this side of the network connection and reads on until the peer has ended
// its own. Closing at once, with bytes unread or still to come, would reset the
// connection, and a reset may overtake the close frame.
func (c *Conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil {
		c.drain()
	}
}

// drain reads until the peer ends the network connection, for lingerTimeout at most.
func (c *Conn) drain() {
	if c.nc.SetReadDeadline(time.Now().Add(lingerTimeout)) == nil {
		_, _ = io.Copy(io.Discard, c.nc) // ends by EOF, deadline or CloseNow: all the same
	}
}

// answerClose completes the closing handshake that the peer began, or ends the one
// that Close began.
func (c *Conn) answerClose(ev wire.Event) error {
	received := &CloseError{Code: ev.Code, Reason: string(ev.Payload)}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	c.queue.abandon()
	_ = c.sendClose(ctx, ev.Code, "") // §5.5.1: echo the code received; a peer that is gone needs none
	err := c.over(received)
	if c.role == wire.Client {
		c.drain() // §7.1.1: the server is to end the connection, so that TIME_WAIT is on its side
	} else {
		c.linger() // §1.4: what comes behind the close frame is discarded
	}
	return c.end(err)
}

// deliverPong wakes the call of Ping that a pong answers. Others are heartbeats (§5.5.3).
func (c *Conn) deliverPong(payload []byte) {
	if len(payload) != 8 {
		return
	}
	id := binary.BigEndian.Uint64(payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiting, ok := c.pings[id]; ok {
		close(waiting)
		delete(c.pings, id)
	}
}
