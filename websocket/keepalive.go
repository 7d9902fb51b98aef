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
	heard atomic.Bool // something has come since the last tick

	// The timer's.
	asked   bool // a ping has been sent and nothing heard since
	watched bool // somebody was reading at the last tick
}

// keepAlive starts the timer, if there is to be one. It comes right behind newConn.
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
	watched := len(c.reading) > 0
	switch {
	case c.reason() != nil:
		return
	case k.heard.Swap(false):
		k.asked, next = false, k.PingEvery
	case !k.asked:
		k.asked = c.tryPing()
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

// tryPing sends a ping and reports whether it did. It does not while somebody is writing:
// a peer that takes a large message slowly is not gone, and a write that is stuck ends
// with its own context.
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
