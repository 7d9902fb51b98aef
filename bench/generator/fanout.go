//go:build linux

package generator

import (
	"errors"
	"fmt"
	"time"

	"hocket.dev/internal/load"
	"hocket.dev/wire"
)

// Fanout publishes to rooms and counts what their subscribers get.
type Fanout struct {
	Subscribers int
	Rooms       int     // 0 is 1; not more than there are subscribers
	Rate        float64 // publishes per second to each room
	// Open, when it is not 0, replaces Rate: so many publishes are under way at a time,
	// and a batch follows whenever one has reached every subscriber.
	Open     int
	Bytes    int  // of payload
	Book     bool // order books of 1 KiB instead
	Warmup   time.Duration
	Duration time.Duration
}

// batch is how many publishes follow at once with Fanout.Open, which is a multiple of it.
const batch = 16

// fanout is a run of Fanout.
type fanout struct {
	Fanout
	loop      *loop
	rooms     []*room
	ready     int
	published int
	open      int // published and not everywhere yet
	delivered int
	wire      int64
	payload   int64
	late      int
	now       time.Time // when the bytes came that are being looked at
	latency   load.Histogram
	trace     *trace // of each publish, where that is wanted
	elsewhere bool   // another process publishes
	message   []byte
	frames    []byte
}

func (f Fanout) run(l *loop) (Result, error) {
	f.Rooms = min(max(f.Rooms, 1), f.Subscribers)
	if f.Open%batch != 0 || f.Open == 0 && f.Rate <= 0 {
		return Result{}, fmt.Errorf("fanout: %+v is no run that ends", f)
	}
	r := &fanout{Fanout: f, loop: l}
	if err := r.join(); err != nil {
		return Result{}, err
	}
	if err := r.publish(f.Warmup); err != nil {
		return Result{}, err
	}
	r.delivered, r.wire, r.payload, r.late, r.latency = 0, 0, 0, 0, load.Histogram{}
	m, err := l.measure()
	if err != nil {
		return Result{}, err
	}
	if err := r.publish(f.Duration); err != nil {
		return Result{}, err
	}
	if r.delivered == 0 {
		return Result{}, errors.New("fanout: nothing was published")
	}
	result, err := m.result(r.delivered)
	result.Wire, result.Payload, result.Late = r.wire, r.payload, r.late
	result.P50, result.P99 = r.latency.Percentile(50), r.latency.Percentile(99)
	return result, err
}

// join opens every connection.
func (r *fanout) join() error {
	for i := range r.Rooms {
		r.rooms = append(r.rooms, &room{run: r, index: i})
	}
	err := r.loop.openMany(r.Subscribers, &r.ready, func(i int) error {
		room := r.rooms[i%r.Rooms]
		room.members++
		return r.loop.subscribe(room.index, &r.ready, &subscriber{room: room})
	})
	if err != nil || r.elsewhere {
		return err
	}
	return r.loop.openMany(r.Rooms, &r.ready, func(i int) error {
		path, _ := r.loop.target.Dialect.publisher(i)
		return r.loop.dial(path, &publisher{room: r.rooms[i]})
	})
}

// publish publishes for a time and waits until everything is everywhere.
func (r *fanout) publish(d time.Duration) error {
	end := time.Now().Add(d)
	if r.Open > 0 {
		return r.loop.until(func() bool {
			over := !time.Now().Before(end)
			for !over && r.open+batch <= r.Open {
				r.send(r.rooms[r.published/batch%r.Rooms], batch)
			}
			return over && r.open == 0
		})
	}
	return r.paced(func(next time.Time) bool { return !next.Before(end) })
}

// paced publishes at r.Rate, to one room after the other, until over says so of the time when the next is due, and waits until
// everything is everywhere.
func (r *fanout) paced(over func(next time.Time) bool) error {
	period := time.Duration(float64(time.Second) / r.Rate / float64(r.Rooms))
	for next := time.Now(); !over(next); next = next.Add(period) {
		for time.Now().Before(next) {
			if err := r.loop.turn(next); err != nil {
				return err
			}
		}
		if time.Since(next) > period*time.Duration(r.Rooms) {
			r.late++
		}
		r.send(r.rooms[r.published%r.Rooms], 1)
	}
	return r.loop.until(func() bool { return r.open == 0 })
}

// send publishes n messages to a room by one write.
func (r *fanout) send(to *room, n int) {
	r.frames = r.frames[:0]
	for range n {
		e, number := to.add()
		r.message = r.loop.target.Dialect.appendPublish(r.message[:0], to.index, number, e.payload)
		r.frames = wire.AppendMaskedFrame(r.frames, wire.Text, [4]byte{0x3c, byte(number), 0x91, 0x0f}, r.message)
	}
	now := time.Now() // behind the work on the messages, which is none of the server's
	for _, e := range to.due[len(to.due)-n:] {
		e.sent = now
		if r.trace != nil {
			e.number = r.trace.sent(to, now)
			p := to.publisher.owner.(*publisher)
			p.open = append(p.open, e.number)
		}
	}
	r.loop.write(to.publisher, r.frames)
}

// subscribe opens a connection that joins a room. ready counts it when it has, and then
// it belongs to next.
func (l *loop) subscribe(room int, ready *int, next owner) error {
	path, hello := l.target.Dialect.subscriber(room)
	return l.dial(path, &joining{l, hello, ready, next})
}

// joining owns a subscriber's connection until it has joined.
type joining struct {
	loop  *loop
	hello []string
	ready *int
	next  owner
}

func (j *joining) opened(c *conn) error {
	j.loop.greet(c, j.hello)
	return nil
}

// greet sends the first messages of a connection. They are not compressed.
func (l *loop) greet(c *conn, hello []string) {
	for _, h := range hello {
		l.write(c, wire.AppendMaskedFrame(nil, wire.Text, [4]byte{1, 2, 3, 4}, []byte(h)))
	}
}

func (j *joining) received(c *conn, b []byte) (int, error) {
	m, whole, err := j.loop.message.next(b)
	if err != nil || !whole {
		return 0, err
	}
	joined, err := j.loop.target.Dialect.joined(m.data)
	if joined {
		c.owner = j.next
		*j.ready++
		switch next := j.next.(type) {
		case *subscriber:
			err = next.joined(m.data)
		case stalled:
			next.joined(c)
		}
	}
	return m.size, err
}
