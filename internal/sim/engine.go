package sim

import (
	"context"
	"errors"
	"sync"
	"testing/synctest"
	"time"

	"hocket.dev/broker"
)

// errEngine is a fault of the engine: the outcome is unknown.
var errEngine = errors.New("sim: the engine did not answer")

// faults say how often an engine does what, in percent, and how long it takes.
type faults struct {
	delay     time.Duration // most, of everything; 0 for an engine in the same process
	publish   int           // publishes that fail and are not applied
	answer    int           // publishes that are applied and answered with an error
	lose      int           // deliveries that are lost
	late      int           // deliveries that take up to ten times as long
	read      int           // reads that fail
	announced int           // lost deliveries that are told as a Gap
	replica   int           // lost logs of which a part is still there
	page      int           // entries in a page, at most; 0 for as many as are asked for
}

// An engine is a broker behind a network: a broker.Memory, and what goes wrong on the way to it. It outlives nodes.
type engine struct {
	seed  uint64
	truth *truth

	mu       sync.Mutex
	faults   faults
	down     bool // nothing gets through
	node     *mooring
	memory   *broker.Memory
	life     int // of memory
	stop     context.CancelFunc
	running  sync.WaitGroup
	channels map[string]*lane
	listing  dice
	underWay int // publishes, answers, deliveries and reads that take their time
}

// A mooring is a node that runs with the engine.
type mooring struct {
	sink     broker.Sink
	followed map[string]bool
}

// A lane is the way of a channel's publishes to the engine, and of its entries back: each in order.
type lane struct {
	dice     dice
	reading  int              // reads that are under way
	keep     broker.Retention // of the latest publish
	toEngine time.Time        // when the newest publish gets there, and so on
	fromHere time.Time
	toNode   time.Time
}

func newEngine(seed uint64, t *truth, f faults) *engine {
	e := &engine{seed: seed, truth: t, faults: f, channels: make(map[string]*lane), life: 1, listing: throw(seed, "list")}
	e.memory, e.stop = e.boot(1)
	return e
}

// boot starts a log that holds nothing.
func (e *engine) boot(life int) (*broker.Memory, context.CancelFunc) {
	b := broker.NewMemory(broker.MemoryConfig{Seed: throwSeed(e.seed, "memory", uint64(life)), Scatter: true})
	ctx, stop := context.WithCancel(context.Background())
	e.running.Go(func() {
		time.Sleep(time.Duration(life) * 1237 * time.Nanosecond) // so that its clock ticks beside the others
		_ = b.Run(ctx, &tap{engine: e, life: life})
	})
	<-b.Ready()
	return b, stop
}

func throwSeed(seed uint64, kind string, n ...uint64) uint64 {
	d := throw(seed, kind, n...)
	return d.next() | 1
}

// close ends the engine.
func (e *engine) close() {
	e.stop()
	e.running.Wait()
}

// lane finds the way of a channel. The lock is held.
func (e *engine) lane(channel string) *lane {
	l := e.channels[channel]
	if l == nil {
		l = &lane{dice: throw(e.seed, channel)}
		e.channels[channel] = l
		e.follow(e.memory, channel)
	}
	return l
}

// follow sees to it that the truth hears of everything.
func (e *engine) follow(m *broker.Memory, channel string) {
	names := []string{channel}
	m.Follow(names)
	if heads, err := m.Heads(context.Background(), names); err == nil {
		e.truth.begin(channel, heads[0].Epoch)
	}
}

// Run implements broker.Broker, for one node after another.
func (e *engine) Run(ctx context.Context, sink broker.Sink) error {
	m := &mooring{sink: sink, followed: make(map[string]bool)}
	e.mu.Lock()
	e.node = m
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.node = nil
	e.mu.Unlock()
	return nil
}

// detach lets nothing of the node come through any more.
func (e *engine) detach() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.node = nil
}

// Follow implements broker.Broker.
func (e *engine) Follow(channels []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range channels {
		e.lane(c)
		if e.node != nil {
			e.node.followed[c] = true
		}
	}
}

// Unfollow implements broker.Broker.
func (e *engine) Unfollow(channels []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range channels {
		if e.node != nil {
			delete(e.node.followed, c)
		}
	}
}

// later runs fn when a way of a lane is free again, after a delay; at once when there is none.
func (e *engine) later(at *time.Time, delay time.Duration, fn func()) {
	now := time.Now()
	if delay == 0 && !at.After(now) {
		e.mu.Unlock()
		fn()
		return
	}
	*at = later(now.Add(delay), at.Add(1))
	wait := at.Sub(now)
	e.underWay++
	e.mu.Unlock()
	time.AfterFunc(wait, func() {
		fn()
		e.arrived()
	})
}

func (e *engine) arrived() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.underWay--
}

// rest waits until nothing is on its way to the engine or back, and everybody has done what there is to do about what came. Until
// the caller lets time go on nothing will be.
func (e *engine) rest() {
	for {
		synctest.Wait()
		e.mu.Lock()
		quiet := e.underWay == 0
		e.mu.Unlock()
		if quiet {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Publish implements broker.Broker.
func (e *engine) Publish(channel string, entry broker.Entry, r broker.Retention, done func(broker.Receipt, error)) {
	if done == nil {
		done = func(broker.Receipt, error) {}
	}
	e.mu.Lock()
	if e.node == nil {
		e.mu.Unlock()
		done(broker.Receipt{}, broker.ErrClosed)
		return
	}
	l := e.lane(channel)
	l.keep = r
	fails, lost, busy := l.dice.chance(e.faults.publish), l.dice.chance(e.faults.answer), l.dice.chance(50)
	delay := e.delay(&l.dice)
	back := e.delay(&l.dice)
	e.later(&l.toEngine, delay, func() {
		var receipt broker.Receipt
		err := errEngine
		switch {
		case e.unreachable():
		case fails && busy:
			err = broker.ErrBusy
		case fails:
		default:
			e.current().Publish(channel, entry, r, func(r broker.Receipt, failed error) { receipt, err = r, failed })
			if lost && err == nil {
				receipt, err = broker.Receipt{}, errEngine
			}
		}
		e.mu.Lock()
		e.later(&l.fromHere, back, func() { done(receipt, err) })
	})
}

// delay draws how long something takes. The lock is held.
func (e *engine) delay(d *dice) time.Duration {
	if e.faults.delay == 0 {
		return 0
	}
	return d.time(1, e.faults.delay)
}

func (e *engine) unreachable() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.down
}

func (e *engine) current() *broker.Memory {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.memory
}

// A tap is where the log's entries come out: the truth gets all of them, the node those that are not lost.
type tap struct {
	engine *engine
	life   int
}

// Deliver implements broker.Sink.
func (t *tap) Deliver(channel, epoch string, entry *broker.Entry) {
	e := t.engine
	e.truth.add(channel, epoch, entry)
	e.mu.Lock()
	l, m := e.lane(channel), e.node
	lost := e.down || l.dice.chance(e.faults.lose)
	announced := l.dice.chance(e.faults.announced)
	delay := e.delay(&l.dice)
	if l.dice.chance(e.faults.late) {
		delay *= 10
	}
	if m == nil || t.life != e.life || lost && !announced {
		e.mu.Unlock()
		return
	}
	e.later(&l.toNode, delay, func() {
		if !e.follows(m, channel) {
			return
		}
		if lost {
			m.sink.Gap(channel)
			return
		}
		m.sink.Deliver(channel, epoch, entry)
	})
}

func (e *engine) follows(m *mooring, channel string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.node == m && m.followed[channel]
}

// Gap implements broker.Sink.
func (t *tap) Gap(string) {}

// Removed implements broker.Sink.
func (t *tap) Removed(channel string, r broker.Removal) {
	e := t.engine
	e.mu.Lock()
	l, m := e.lane(channel), e.node
	if t.life != e.life {
		e.mu.Unlock()
		return
	}
	gone := e.truth.remove(channel, r)
	if m == nil || !m.followed[channel] {
		e.mu.Unlock()
		e.truth.tell(gone)
		return
	}
	e.later(&l.toNode, e.delay(&l.dice), func() {
		if e.follows(m, channel) {
			m.sink.Removed(channel, r)
		}
		e.truth.tell(gone)
	})
}
