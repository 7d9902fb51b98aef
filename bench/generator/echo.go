//go:build linux

package generator

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"hocket.dev/bench/payload"
	"hocket.dev/internal/load"
	"hocket.dev/wire"
)

// Echo has every connection send Flight messages in one write and wait until all of them
// have come back, again and again.
type Echo struct {
	Connections int
	Flight      int // messages of a connection under way at a time
	Bytes       int // of payload
	Warmup      time.Duration
	Duration    time.Duration
}

// echoes is a run of Echo.
type echoes struct {
	Echo
	loop    *loop
	ready   int
	done    int
	over    bool
	running int // connections with messages under way
	latency load.Histogram
	due     []byte // the frame that has to come next
	out     []byte
	p       []byte
}

// echoer is one connection of it.
type echoer struct {
	run    *echoes
	stream uint64
	sent   uint64 // messages
	back   uint64
	began  time.Time // when the batch was sent
}

func (e Echo) run(l *loop) (Result, error) {
	r := &echoes{Echo: e, loop: l}
	var conns []*echoer
	err := l.openMany(e.Connections, &r.ready, func(i int) error {
		c := &echoer{run: r, stream: uint64(i)}
		conns = append(conns, c)
		return l.dial("/echo", c)
	})
	if err != nil {
		return Result{}, err
	}
	if err := l.pass(e.Warmup); err != nil {
		return Result{}, err
	}
	r.done, r.latency = 0, load.Histogram{}
	m, err := l.measure()
	if err != nil {
		return Result{}, err
	}
	if err := l.pass(e.Duration); err != nil {
		return Result{}, err
	}
	result, err := m.result(r.done)
	if err != nil {
		return Result{}, err
	}
	if r.done == 0 {
		return Result{}, errors.New("no message came back")
	}
	result.P50, result.P99 = r.latency.Percentile(50), r.latency.Percentile(99)
	r.over = true // what is under way comes back, and nothing behind it
	return result, l.until(func() bool { return r.running == 0 })
}

// opened sends the first batch.
func (c *echoer) opened(own *conn) error {
	c.run.ready++
	c.run.running++
	c.send(own)
	return nil
}

// send sends a batch.
func (c *echoer) send(own *conn) {
	r := c.run
	r.out = r.out[:0]
	for range r.Flight {
		r.p = payload.AppendText(r.p[:0], c.stream, c.sent, r.Bytes)
		key := [4]byte{0x5e, byte(c.stream), byte(c.sent), 0xa7}
		r.out = wire.AppendMaskedFrame(r.out, wire.Text, key, r.p)
		c.sent++
	}
	c.began = time.Now()
	r.loop.write(own, r.out)
}

// received compares what comes back.
func (c *echoer) received(own *conn, b []byte) (int, error) {
	r, taken := c.run, 0
	for ; len(b) > taken; c.back++ {
		if c.back == c.sent {
			return taken, fmt.Errorf("echo: %d bytes more than were sent came back", len(b)-taken)
		}
		r.p = payload.AppendText(r.p[:0], c.stream, c.back, r.Bytes)
		r.due = wire.AppendFrame(r.due[:0], wire.Text, r.p)
		got := b[taken:min(taken+len(r.due), len(b))]
		if !bytes.Equal(got, r.due[:len(got)]) {
			return taken, fmt.Errorf("echo: message %d came back as %q", c.back, got)
		}
		if len(got) < len(r.due) {
			return taken, nil
		}
		taken += len(r.due)
		r.done++
	}
	if c.back == c.sent {
		r.latency.AddN(time.Since(c.began), uint64(r.Flight))
		if r.over {
			r.running--
		} else {
			c.send(own)
		}
	}
	return taken, nil
}
