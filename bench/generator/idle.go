//go:build linux

package generator

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"hocket.dev/bench/payload"
	"hocket.dev/wire"
)

// Idle measures the memory of connections that have been used once and say nothing. It
// opens and uses 1,000 connections and closes them, so that what a server needs in any
// case is there; reads the server's memory; opens all; and reads it again.
//
// To use is to echo one message, with compression an order book of 1 KiB, else 128 bytes
// of text; where there is no echo it is to subscribe.
type Idle struct {
	Connections int
	First       int           // connections opened and closed before, 0 is 1,000
	Pause       time.Duration // after those were closed
	Settle      time.Duration // after the last handshake
}

// user is a connection that echoes one message.
type user struct {
	loop   *loop
	used   *int
	stream uint64
}

// message is what a user sends.
func (u *user) message() []byte {
	if u.loop.target.Deflate {
		return payload.AppendBook(nil, u.stream, 0)
	}
	return payload.AppendText(nil, u.stream, 0, 128)
}

func (u *user) opened(c *conn) error {
	u.loop.write(c, u.loop.appendText(nil, u.message(), [4]byte{1, 2, 3, 4}))
	return nil
}

func (u *user) received(c *conn, b []byte) (int, error) {
	m, whole, err := u.loop.message.next(b)
	switch {
	case err != nil || !whole:
		return 0, err
	case m.op != wire.Text || !bytes.Equal(m.data, u.message()):
		return 0, fmt.Errorf("idle: %q came back as %q", u.message(), m.data)
	case u.loop.target.Deflate && !m.compressed:
		return 0, errors.New("idle: the server agreed to compression and does not use it")
	}
	*u.used++
	c.owner = quiet{u.loop}
	return m.size, nil
}

// quiet is a connection on which nothing happens any more, but that the server may ask
// whether anybody is there.
type quiet struct{ loop *loop }

func (quiet) opened(*conn) error { return nil }

func (q quiet) received(c *conn, b []byte) (int, error) {
	h, n, err := wire.ParseHeader(b)
	switch {
	case err != nil || n == 0 || int64(len(b)-n) < h.Length:
		return 0, err
	case h.Op != wire.Ping || h.Masked:
		return 0, fmt.Errorf("idle: the server sent %q", b)
	}
	end := n + int(h.Length)
	q.loop.write(c, wire.AppendMaskedFrame(nil, wire.Pong, [4]byte{1, 2, 3, 4}, b[n:end]))
	return end, nil
}

func (o Idle) run(l *loop) (Result, error) {
	if o.First == 0 {
		o.First = 1000
	}
	used := 0
	open := func(i int) error {
		if l.target.Dialect == Bare {
			return l.dial("/echo", &user{loop: l, used: &used, stream: uint64(i)})
		}
		return l.subscribe(0, &used, quiet{l})
	}
	if err := l.openMany(o.First, &used, open); err != nil {
		return Result{}, err
	}
	for _, c := range l.conns {
		if c != nil {
			l.drop(c)
		}
	}
	if err := l.pass(o.Pause); err != nil {
		return Result{}, err
	}
	before, err := l.rss()
	if err != nil {
		return Result{}, err
	}
	if err := l.openMany(o.Connections, &used, open); err != nil {
		return Result{}, err
	}
	if err := l.pass(o.Settle); err != nil {
		return Result{}, err
	}
	after, err := l.rss()
	return Result{Done: o.Connections, RSS: (after - before) / float64(o.Connections)}, err
}
