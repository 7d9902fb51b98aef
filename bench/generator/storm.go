//go:build linux

package generator

import (
	"errors"
	"fmt"
	"time"
)

// Storm cuts off every subscriber at once and has them come back, each to the position where it stood, spread over a
// time, while publishing goes on. Every subscriber has to get every publish once and in order, those that went out while
// it was away too, and the server has to say of each that nothing was missed.
//
// A process of its own publishes (see [Publishing]), and has one more subscriber in each room, which is not cut off. The latencies
// are its: from publish to receipt, in the calm before (Result.Calm) and from the first cut until all are back
// (Result.P99), and from publish to its answer (Result.CalmAnswer, Result.Answer). Result.CalmPublishes and Result.Publishes are how
// many they are of, and Result.Reads is how often the server asked its broker.
type Storm struct {
	Subscribers int
	Rooms       int     // not more than there are subscribers
	Rate        float64 // publishes per second to each room
	Bytes       int     // of payload
	// Warmup begins when all have subscribed. It should be long enough for what the server does after a wave of them.
	Warmup time.Duration
	Calm   time.Duration // measured before
	Back   time.Duration // over which the subscribers come back
}

// comingBack is how many handshakes of those who come back may be under way at a time. Who finds no place comes later.
const comingBack = 512

func (s Storm) run(l *loop) (Result, error) {
	if _, ok := l.target.Dialect.(resumer); !ok {
		return Result{}, errors.New("storm: the server has no positions to come back to")
	}
	r := &fanout{Fanout: Fanout{Subscribers: s.Subscribers, Rooms: s.Rooms, Bytes: s.Bytes}, loop: l, elsewhere: true}
	if err := r.join(); err != nil {
		return Result{}, err
	}
	p, err := publishElsewhere(l, Publishing{Rooms: s.Rooms, Rate: s.Rate, Bytes: s.Bytes})
	if err != nil {
		return Result{}, err
	}
	defer p.kill()
	if err := l.pass(s.Warmup); err != nil {
		return Result{}, err
	}
	calm := time.Now()
	if err := l.pass(s.Calm); err != nil {
		return Result{}, err
	}
	return r.storm(s, calm, p)
}

// storm ends the calm, cuts everybody off and measures until all are back.
func (r *fanout) storm(s Storm, calm time.Time, p *remote) (Result, error) {
	calmed := time.Now()
	reads, err := r.loop.brokerReads()
	if err != nil {
		return Result{}, err
	}
	m, err := r.loop.measure()
	if err != nil {
		return Result{}, err
	}
	r.delivered = 0
	began := time.Now()
	back := r.cutOff(s.Back)
	if err := back.all(); err != nil {
		return Result{}, err
	}
	ended := time.Now()
	result, err := m.result(r.delivered)
	if err != nil {
		return Result{}, err
	}
	readsNow, err := r.loop.brokerReads()
	if err != nil {
		return Result{}, err
	}
	result.Reads = readsNow - reads
	if err := r.end(p); err != nil {
		return Result{}, err
	}
	return result, result.tell(&p.trace, calm, calmed, began, ended)
}

// end ends publishing and returns when everybody has got everything.
func (r *fanout) end(p *remote) error {
	p.stop()
	if err := r.loop.until(p.over); err != nil {
		return err
	}
	if p.err != nil {
		return fmt.Errorf("publisher: %w", p.err)
	}
	return r.loop.until(func() bool {
		for i, room := range r.rooms {
			if room.members > 0 && room.base < uint64(p.trace.Rooms[i]) {
				return false
			}
		}
		return true
	})
}

// tell works out the latencies of a calm and a storm.
func (r *Result) tell(t *trace, calm, calmed, began, ended time.Time) error {
	answers, receipts, err := t.part(calm, calmed)
	if err != nil {
		return fmt.Errorf("calm: %w", err)
	}
	r.CalmPublishes, r.CalmAnswer, r.Calm = len(answers), answers.percentile(99), receipts.percentile(99)
	if answers, receipts, err = t.part(began, ended); err != nil {
		return fmt.Errorf("storm: %w", err)
	}
	r.Publishes, r.Answer, r.P99, r.P50 = len(answers), answers.percentile(99), receipts.percentile(99), receipts.percentile(50)
	r.Late = t.Late
	return nil
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

// cutOff drops the connections of all subscribers. They come back over a time.
func (r *fanout) cutOff(over time.Duration) *comeback {
	b := &comeback{run: r, began: time.Now()}
	for _, c := range r.loop.conns {
		if c == nil {
			continue
		}
		if s, ok := c.owner.(*subscriber); ok {
			b.away = append(b.away, s)
			r.loop.drop(c)
		}
	}
	b.every = over / time.Duration(max(len(b.away), 1))
	return b
}

// all returns when all are back.
func (b *comeback) all() error {
	l := b.run.loop
	l.moved = time.Now()
	for b.ready < len(b.away) {
		if err := l.turn(b.next()); err != nil {
			return err
		}
		if time.Since(l.moved) > stallAfter {
			return fmt.Errorf("storm: %d of %d subscribers came back, and nothing has come for %v", b.ready, len(b.away), stallAfter)
		}
	}
	return l.err
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
