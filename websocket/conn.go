package websocket

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"hocket.dev/internal/connect"
	"hocket.dev/wire"
)

// DefaultReadLimit is how many bytes a received message may have unless
// [Conn.SetReadLimit] says otherwise: 1 MiB.
const DefaultReadLimit = 1 << 20

const (
	// closeTimeout is how long Close waits for the peer's close frame, and how long a
	// pong or close frame may take to be written.
	closeTimeout = 5 * time.Second
	// lingerTimeout is how long a connection that is over is read on, so that the close
	// frame is not lost to a reset, and how long a client waits for the server to end it.
	lingerTimeout = time.Second
	// readBufferBytes holds most messages whole; longer ones are gathered.
	readBufferBytes = 4096
)

// MessageType tells text from binary messages.
type MessageType uint8

// The two types of messages (RFC 6455 §5.6).
const (
	Text   MessageType = 1 // valid UTF-8
	Binary MessageType = 2 // arbitrary bytes
)

// String returns "text" or "binary".
func (t MessageType) String() string { return wire.Opcode(t).String() }

// Conn is a WebSocket connection, from [Accept] or [Dial]. One goroutine at a time
// may read; all methods that write, ping or close may be called from any goroutine. A Conn that is no
// longer needed must be closed with Close or CloseNow.
type Conn struct {
	// Set once.
	nc          net.Conn
	role        wire.Role
	subprotocol string
	closed      chan struct{} // closed when err is set
	deflate     *compression  // nil without; in it the two windows are the reader's and the writer's
	alive       *keepAlive    // nil without
	queue       *queue        // nil without

	// Held while reading (capacity 1), then the reader's. Channels instead of mutexes,
	// so that waiting for one ends with a context.
	reading chan struct{}
	decoder wire.Decoder
	whole   wire.Assembler
	ahead   lookahead      // into what whole has of a compressed text
	buf     []byte         // made by the first read
	pending []byte         // received and not yet decoded
	open    *MessageReader // of the message that NextReader began, until its end

	// Held while writing (capacity 1), then the writer's.
	writing   chan struct{}
	closeSent bool          // §5.5.1: no frame follows a close frame
	stream    chan struct{} // closed at the end of the message that NextWriter began; nil for none

	limits wire.Limits // the decoder's

	mu    sync.Mutex
	err   error                    // why the connection is over
	pong  []byte                   // payload of the newest ping not yet answered, nil for none
	pings map[uint64]chan struct{} // waiting calls of Ping by what they sent
	last  uint64                   // number of the last ping
}

// newConn makes a Conn of a connection whose handshake is done. pending is what was
// received behind the handshake.
func newConn(nc net.Conn, role wire.Role, subprotocol string, pending []byte) *Conn {
	c := &Conn{
		nc: nc, role: role, subprotocol: subprotocol, pending: pending,
		closed:  make(chan struct{}),
		reading: make(chan struct{}, 1),
		writing: make(chan struct{}, 1),
		limits:  wire.Limits{MessageBytes: DefaultReadLimit},
	}
	c.decoder = wire.NewDecoder(role, &c.limits)
	return c
}

// Subprotocol returns the subprotocol both sides agreed on, "" for none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// SetReadLimit sets how many bytes a received message may have; 0 or less is no limit.
// A message over it ends the connection with [CloseTooBig] as soon as a frame announces
// it, and a compressed one as soon as so much of it has been inflated. Call it before the first Read or between two, not during one.
func (c *Conn) SetReadLimit(bytes int64) { c.limits.MessageBytes = max(bytes, 0) }

// over sets why the connection ended, if nobody did before, and returns the reason
// that stands. It leaves the network connection to its caller.
func (c *Conn) over(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.closed)
		c.alive.stop()
		c.ahead.uncount()
	}
	return c.err
}

// end is over, and closes the network connection.
func (c *Conn) end(err error) error {
	err = c.over(err)
	_ = c.nc.Close() // nothing is owed to this connection any more
	return err
}

// settle waits, for the handler of a stream over HTTP/2, until nobody writes to it any more,
// the timer of KeepAlive and the goroutine of Pending among them: net/http uses what they
// write to for another request as soon as the handler returns. c has ended. A writer ends c
// itself, and must not call it.
func (c *Conn) settle() {
	if stream, ok := c.nc.(*connect.Conn); ok && c.role == wire.Server {
		stream.Wait()
	}
}

// reason returns why the connection ended, nil while it has not.
func (c *Conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// acquire takes one of the two locks, or gives up with ctx or the connection.
func (c *Conn) acquire(ctx context.Context, lock chan struct{}, doing string) error {
	if err := c.reason(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return canceled(ctx, doing)
	}
	select {
	case lock <- struct{}{}:
		if err := c.reason(); err != nil { // it may be free because of that
			<-lock
			return err
		}
		return nil
	case <-c.closed:
		return c.reason()
	case <-ctx.Done():
		return canceled(ctx, doing)
	}
}

func canceled(ctx context.Context, doing string) error {
	return fmt.Errorf("websocket: %s: %w", doing, context.Cause(ctx))
}

// interrupt makes a network call that is under way end when ctx does, by a deadline in
// the past. The returned function must be called after it; then the deadline is gone
// and nothing of ctx is left running.
//
// setDeadline is a method expression, as net.Conn.SetReadDeadline: a method value would be
// allocated for every message.
func interrupt(ctx context.Context, nc net.Conn, setDeadline func(net.Conn, time.Time) error) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = setDeadline(nc, time.Unix(1, 0)) // fails only on a closed connection
	})
	return func() {
		if !stop() {
			<-fired
			_ = setDeadline(nc, time.Time{})
		}
	}
}
