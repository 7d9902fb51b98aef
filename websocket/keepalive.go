package websocket

import (
	"errors"
	"sync/atomic"
	"time"

	"hocket.dev/wire"
)

// KeepAlive finds peers that have vanished without a word, as a phone without network
// does, and keeps what stands between from forgetting the connection. It costs one timer
// per connection, and no goroutine.
type KeepAlive struct {
	// PingEvery is how long nothing may come from the peer before a ping is sent; 0 sends
	// none. 25 s suits most proxies.
	PingEvery time.Duration
	// PongTimeout is how long anything, the pong or a message, may then take to come; 0 is
	// PingEvery. After it the connection ends with a [CloseError] that holds
	// [ErrPongTimeout]. Only Read can notice what comes, so no time counts while nobody
	// reads.
	//
	// While a message is being written no ping is sent. One that [Pending] sends has no
	// context that would end it: the connection ends in the same way when nothing has come
	// and the network has not taken the next 64 KiB of it, or its rest, in that time.
	PongTimeout time.Duration
}

// ErrPongTimeout is in the error of a connection whose peer did not answer a ping of
// [KeepAlive].
var ErrPongTimeout = errors.New("the peer did not answer a ping")

// keepAlive is the timer of a connection.
type keepAlive struct {
	KeepAlive
	c     *Conn
	timer *time.Timer
	heard atomic.Bool   // something has come since the last tick
	calls atomic.Uint64 // network writes of pending messages that have begun and ended, so odd during one

	// The timer's.
	asked   bool   // a ping has been sent and nothing heard since
	stuck   uint64 // calls at the last tick, when that kept a ping from being sent; else 0
	watched bool   // somebody was reading at the last tick
}

// pieceBytes is how much of a pending message is one network write, so that a peer which
// takes a large message slowly is told from one that takes nothing.
const pieceBytes = 64 << 10

// keepAlive starts the timer, if there is to be one. It comes behind newConn and what else sets
// up c, which the timer reads.
func (c *Conn) keepAlive(o KeepAlive) {
	if o.PingEvery <= 0 {
		return
	}
	if o.PongTimeout <= 0 {
		o.PongTimeout = o.PingEvery
	}
	k := &keepAlive{KeepAlive: o, c: c}
	c.alive = k
	// The timer must be set before it can fire and be set again.
	k.timer = time.AfterFunc(time.Hour, k.tick)
	k.timer.Reset(o.PingEvery)
}

func (k *keepAlive) stop() {
	if k != nil {
		k.timer.Stop()
	}
}

// note says that something has come.
func (k *keepAlive) note() {
	if k != nil {
		k.heard.Store(true)
	}
}

// tick is what the timer does. Only one runs at a time, as it sets the timer at its end.
func (k *keepAlive) tick() {
	c, next := k.c, k.PongTimeout
	watched, calls := len(c.reading) > 0, k.calls.Load()
	switch {
	case c.reason() != nil:
		return
	case k.heard.Swap(false):
		k.asked, k.stuck, next = false, 0, k.PingEvery
	case !k.asked && (k.stuck == 0 || k.stuck != calls):
		k.asked, k.stuck = c.tryPing(), 0
		if !k.asked && calls%2 == 1 {
			k.stuck = calls
		}
	case !watched || !k.watched: // nobody reads, or has only begun: what has come may lie unread
	default:
		_ = c.end(&CloseError{Code: wire.CloseAbnormal, Err: ErrPongTimeout}) // the next call reports it
		return
	}
	k.watched = watched
	k.timer.Reset(next)
	if c.reason() != nil {
		k.timer.Stop() // it ended between
	}
}

// put writes to the network. Only in one's turn.
//
// What the queue sends is told to the keepAlive. The program's own writes are not, as they
// end with their contexts: those of a MessageWriter, whose stream is open, and all where
// there is no queue.
func (c *Conn) put(p []byte) error {
	k := c.alive
	if k == nil || c.queue == nil || c.stream != nil {
		_, err := c.nc.Write(p)
		return err
	}
	for len(p) > 0 {
		n := min(len(p), pieceBytes)
		k.calls.Add(1)
		_, err := c.nc.Write(p[:n])
		k.calls.Add(1)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// tryPing sends a ping and reports whether it did. It does not while somebody is writing:
// a peer that takes a large message slowly is not gone, and a write that is stuck ends
// with its own context, or by tick when it is the queue's.
func (c *Conn) tryPing() bool {
	select {
	case c.writing <- struct{}{}:
	default:
		return false
	}
	defer c.releaseWriting()
	if c.closeSent {
		return false
	}
	if err := c.writeControl(wire.Ping, nil); err != nil {
		_ = c.end(&CloseError{Code: wire.CloseAbnormal, Err: err}) // the next call reports it
	}
	return true
}
