package websocket

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"hocket.dev/wire"
)

// Pending is the part of [AcceptOptions] and [DialOptions] about messages that wait to be
// sent. The zero value is none: Write blocks until the network has taken the message.
type Pending struct {
	// MaxPendingBytes is how many bytes may wait, counted before compression, each message
	// with [wire.MaxHeaderBytes] for its frame. With more than 0 Write takes a message
	// while fewer wait, so that the last one may go beyond, and returns at once; a goroutine
	// sends, which lives only while something waits.
	MaxPendingBytes int
	// Policy says what becomes of a message while as many bytes wait as may.
	Policy PendingPolicy
}

// A queue holds the messages of a connection that wait to be sent.
type queue struct {
	Pending // set once

	mu      sync.Mutex
	waiting []queued
	bytes   int           // of waiting and of the one being sent
	in, out uint64        // messages that were taken, and that are done with
	running bool          // the goroutine that sends
	closing bool          // nothing more is taken
	moved   chan struct{} // closed at the next change; nil while nobody waits for one
}

// queued is one message.
type queued struct {
	op       wire.Opcode
	payload  []byte
	prepared *PreparedMessage // instead of the two above
}

// cost is what a message counts for.
func (m queued) cost() int {
	n := len(m.payload)
	if m.prepared != nil {
		n = len(m.prepared.payload)
	}
	return n + wire.MaxHeaderBytes
}

// limitPending gives c a queue, if there is to be one. It comes right behind newConn.
func (c *Conn) limitPending(o Pending) {
	if o.MaxPendingBytes > 0 {
		c.queue = &queue{Pending: o}
	}
}

// Buffered returns how many bytes Write has taken and the network has not, as
// [Pending].MaxPendingBytes counts them; 0 without that.
func (c *Conn) Buffered() int {
	if c.queue == nil {
		return 0
	}
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	return c.queue.bytes
}

// enqueue takes a message, whose payload is copied, or does what the policy says.
func (c *Conn) enqueue(ctx context.Context, m queued) error {
	for {
		if err := c.reason(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return canceled(ctx, "write")
		}
		moved, err := c.admit(m)
		if moved == nil || err != nil {
			return err
		}
		if err := c.await(ctx, moved); err != nil {
			return err
		}
	}
}

// await waits for a change of the queue.
func (c *Conn) await(ctx context.Context, moved <-chan struct{}) error {
	select {
	case <-moved:
		return nil
	case <-c.closed:
		return c.reason()
	case <-ctx.Done():
		return canceled(ctx, "write")
	}
}

// admit takes a message, or returns what to wait for, or why not.
func (c *Conn) admit(m queued) (moved <-chan struct{}, err error) {
	q := c.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closing:
		return nil, errClosed
	case q.bytes < q.MaxPendingBytes:
		m.payload = bytes.Clone(m.payload)
		q.waiting = append(q.waiting, m)
		q.bytes += m.cost()
		q.in++
		if !q.running {
			q.running = true
			go c.sendQueued()
		}
		return nil, nil
	case q.Policy == PendingWait:
		return q.change(), nil
	case q.Policy == PendingClose:
		q.closing = true
		go c.giveUp()
	}
	return nil, ErrPendingFull
}

// change returns a channel that is closed at the next change. q.mu is held.
func (q *queue) change() <-chan struct{} {
	if q.moved == nil {
		q.moved = make(chan struct{})
	}
	return q.moved
}

// sendQueued is the goroutine that sends. It ends when nothing waits any more, and with
// the connection.
func (c *Conn) sendQueued() {
	var err error
	for {
		m, ok := c.queue.next(err)
		if !ok {
			return
		}
		if m.prepared != nil {
			err = c.sendPrepared(context.Background(), m.prepared)
		} else {
			err = c.sendMessage(context.Background(), m.op, m.payload)
		}
		c.queue.sent(m)
	}
}

// next returns the message to be sent. After an error, which has ended the connection, there
// is none.
func (q *queue) next(err error) (queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.clear()
	}
	if len(q.waiting) == 0 {
		q.waiting, q.running = nil, false
		return queued{}, false
	}
	m := q.waiting[0]
	q.waiting[0] = queued{} // for the garbage collector
	q.waiting = q.waiting[1:]
	return m, true
}

// sent accounts for a message, whatever came of it.
func (q *queue) sent(m queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= m.cost()
	q.out++
	q.tell()
}

// tell wakes who waits for a change. q.mu is held.
func (q *queue) tell() {
	if q.moved != nil {
		close(q.moved)
		q.moved = nil
	}
}

// clear gives up what is not being sent yet, and takes nothing more. q.mu is held.
func (q *queue) clear() {
	q.closing = true
	for _, m := range q.waiting {
		q.bytes -= m.cost()
		q.out++
	}
	q.waiting = nil
	q.tell()
}

// abandon is clear for a connection whose peer wants no more messages.
func (q *queue) abandon() {
	if q != nil {
		q.mu.Lock()
		q.clear()
		q.mu.Unlock()
	}
}

// sendAll waits until everything that was taken so far is sent. With last nothing more is taken
// behind it.
func (c *Conn) sendAll(ctx context.Context, last bool) error {
	q := c.queue
	if q == nil {
		return nil
	}
	q.mu.Lock()
	if last && !q.closing {
		q.closing = true
		q.tell() // who waits for room will have none
	}
	until := q.in
	for q.out < until {
		moved := q.change()
		q.mu.Unlock()
		if err := c.await(ctx, moved); err != nil {
			return err
		}
		q.mu.Lock()
	}
	q.mu.Unlock()
	return nil
}

// streaming reports whether a message is under way in frames. What waits cannot go before its
// end, but a close frame may stand between two of its frames (§5.4).
func (c *Conn) streaming(ctx context.Context) bool {
	if c.acquire(ctx, c.writing, "close") != nil {
		return false
	}
	defer c.releaseWriting()
	return c.stream != nil
}

// giveUp ends a connection whose peer does not read what it is sent, with a close frame if it
// takes one in time.
func (c *Conn) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), lingerTimeout)
	defer cancel()
	if c.streaming(ctx) || c.sendAll(ctx, true) == nil {
		_ = c.sendClose(ctx, ClosePolicy, "the peer does not read what it is sent") // it ends in any case
	}
	_ = c.end(fmt.Errorf("websocket: %w", ErrPendingFull)) // the next call reports it
}
