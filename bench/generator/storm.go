//go:build linux

package generator

import (
	"errors"
	"fmt"
	"time"

	"hocket.dev/internal/load"
)

// Storm cuts off every subscriber at once and has them come back, each to the position where it stood, spread over a
// time, while publishing goes on. Every subscriber has to get every publish once and in order, those that went out while
// it was away too, and the server has to say of each that nothing was missed.
//
// One more subscriber in each room is not cut off, nor are those who publish. The latencies are theirs: from publish to
// receipt, in the calm before (Result.Calm) and in the storm (Result.P99), and from publish to its answer
// (Result.CalmAnswer, Result.Answer). Result.Reads is how often the server asked its broker in the storm.
type Storm struct {
	Subscribers int
	Rooms       int     // not more than there are subscribers
	Rate        float64 // publishes per second to each room
	Bytes       int     // of payload
	Warmup      time.Duration
	Calm        time.Duration // measured before
	Back        time.Duration // over which the subscribers come back
}

// stormTail is how long publishing goes on after the last subscriber has been sent back.
const stormTail = time.Second

// comingBack is how many handshakes of those who come back may be under way at a time. Who finds no place comes later.
const comingBack = 512

func (s Storm) run(l *loop) (Result, error) {
	if _, ok := l.target.Dialect.(resumer); !ok {
		return Result{}, errors.New("storm: the server has no positions to come back to")
	}
	r := &fanout{Fanout: Fanout{Subscribers: s.Subscribers, Rooms: s.Rooms, Rate: s.Rate, Bytes: s.Bytes}, loop: l, watching: true}
	if err := r.joinWatched(); err != nil {
		return Result{}, err
	}
	if err := r.publish(s.Warmup); err != nil {
		return Result{}, err
	}
	r.clear()
	if err := r.publish(s.Calm); err != nil {
		return Result{}, err
	}
	calm := Result{Calm: r.latency.Percentile(99), CalmAnswer: r.answers.Percentile(99)}
	r.clear()
	return r.storm(s, calm)
}

// clear forgets what has been measured.
func (r *fanout) clear() {
	r.latency, r.answers, r.delivered, r.late = load.Histogram{}, load.Histogram{}, 0, 0
}

// joinWatched opens every connection, and one watched subscriber more in each room.
func (r *fanout) joinWatched() error {
	if err := r.join(); err != nil {
		return err
	}
	return r.loop.openMany(r.Rooms, &r.ready, func(i int) error {
		room := r.rooms[i]
		room.members++
		return r.loop.subscribe(room.index, &r.ready, &subscriber{room: room, watched: true})
	})
}

// storm cuts everybody off and measures until everything is everywhere.
func (r *fanout) storm(s Storm, calm Result) (Result, error) {
	reads, err := r.loop.brokerReads()
	if err != nil {
		return Result{}, err
	}
	m, err := r.loop.measure()
	if err != nil {
		return Result{}, err
	}
	back := r.cutOff(s.Back)
	r.meanwhile = back.next
	if err := r.publish(s.Back + stormTail); err != nil {
		return Result{}, err
	}
	if back.ready < len(back.away) {
		return Result{}, fmt.Errorf("storm: %d of %d subscribers came back", back.ready, len(back.away))
	}
	result, err := m.result(r.delivered)
	if err != nil {
		return Result{}, err
	}
	readsNow, err := r.loop.brokerReads()
	result.Late, result.Reads = r.late, readsNow-reads
	result.Calm, result.CalmAnswer = calm.Calm, calm.CalmAnswer
	result.P50, result.P99, result.Answer = r.latency.Percentile(50), r.latency.Percentile(99), r.answers.Percentile(99)
	return result, err
}

// A comeback brings subscribers back, one after another.
type comeback struct {
	run     *fanout
	away    []*subscriber
	dialled int
	ready   int
	began   time.Time
	every   time.Duration
}

// cutOff drops the connections of all subscribers that are not watched. They come back over a time.
func (r *fanout) cutOff(over time.Duration) *comeback {
	b := &comeback{run: r, began: time.Now()}
	for _, c := range r.loop.conns {
		if c == nil {
			continue
		}
		if s, ok := c.owner.(*subscriber); ok && !s.watched {
			b.away = append(b.away, s)
			r.loop.drop(c)
		}
	}
	b.every = over / time.Duration(max(len(b.away), 1))
	return b
}

// next brings back who is due, and says when the next one is.
func (b *comeback) next() time.Time {
	l := b.run.loop
	for b.dialled < len(b.away) && b.dialled-b.ready < comingBack && l.err == nil {
		at := b.began.Add(time.Duration(b.dialled) * b.every)
		if time.Now().Before(at) {
			return at
		}
		s := b.away[b.dialled]
		b.dialled++
		path, hello := l.target.Dialect.(resumer).resume(s.room.index, s.epoch, s.offset)
		if err := l.dial(path, &rejoining{joining{l, hello, &b.ready, s}}); err != nil {
			l.fail(err)
		}
	}
	return time.Now().Add(time.Second)
}

// rejoining owns the connection of a subscriber that comes back.
type rejoining struct{ joining }

func (j *rejoining) received(c *conn, b []byte) (int, error) {
	before := *j.ready
	n, err := j.joining.received(c, b)
	if err != nil || *j.ready == before {
		return n, err
	}
	m, _, err := j.loop.message.next(b)
	if err != nil {
		return n, err
	}
	return n, j.loop.target.Dialect.(resumer).resumed(m.data)
}
