package loop

import (
	"iter"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A Loop is one goroutine that serves connections, posted functions and timers in turns.
type Loop struct {
	// Owner is whatever the owner of the group wants to find again from each of the loop's connections, which so need not hold
	// it themselves. It is set before the first one; the package does not touch it.
	Owner any

	// Set once.
	group   *Group
	index   int
	cfg     Config
	poll    poller
	buf     []byte // what sockets are read into
	scratch []byte

	// Any goroutine's.
	asleep atomic.Bool  // the loop waits, or is about to: whoever brings work clears it and wakes the loop
	conns  atomic.Int64 // attached and not yet told Closed
	stats  counters

	mu      sync.Mutex
	posted  []func()  // guarded by mu
	arrived []*stream // guarded by mu; portable connections with news
	closed  bool      // guarded by mu; nothing is accepted any more

	// The loop's own.
	running  backlog[func()]
	reading  backlog[*stream]
	woken    []*Conn
	flushing backlog[*Conn]
	ended    []ending
	telling  backlog[ending]
	table    table
	timers   timers
	sweep    sweep
	turnAt   time.Duration // when this turn began
	stopping bool
}

// A poller is how a loop waits, and the driver of connections that are descriptors.
type poller interface {
	// wait sleeps until there is something to read or wake is called, d at most; 0 only looks, -1 means no limit.
	wait(d time.Duration)
	// wake ends a wait, from any goroutine, also after stop.
	wake()
	// read serves what wait found ready, within a budget. behind tells whether something is left.
	read()
	behind() bool
	// adopt takes over the descriptor of nc for c, from any goroutine. A nil link means that nc has none.
	adopt(c *Conn, nc net.Conn) (*link, error)
	// stop frees what the poller holds. On the loop.
	stop()
}

// endedShare is the part of a budget that goes to connections that have ended.
const endedShare = 4

// An ending is a connection whose handler has yet to be told.
type ending struct {
	c   *Conn
	err error
}

func newLoop(g *Group, index int, cfg Config) (*Loop, error) {
	l := &Loop{
		group:   g,
		index:   index,
		cfg:     cfg,
		buf:     make([]byte, cfg.BufferBytes),
		scratch: make([]byte, scratchBytes),
	}
	l.sweep.at = noSweep
	var err error
	l.poll, err = newPoller(l)
	return l, err
}

// Index returns the loop's place in its group.
func (l *Loop) Index() int { return l.index }

// Scratch returns 64 KiB of memory for whoever runs on the loop now, to gather a write in. It is valid until the handler or
// posted function returns, and holds whatever the last user left.
func (l *Loop) Scratch() []byte { return l.scratch }

// Post has fn run on the loop, in the next step for posted functions. It may be called from any goroutine and never blocks;
// functions of one goroutine run in the order it posted them. The queue has no bound of its own: whoever posts for each
// message it takes in has to bound what it takes in. Post returns false, and fn will not run, after the group was closed.
func (l *Loop) Post(fn func()) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.posted = append(l.posted, fn)
	l.mu.Unlock()
	l.rouse()
	return true
}

// arrive has the news of s looked at in the next reading step.
func (l *Loop) arrive(s *stream) {
	l.mu.Lock()
	if !l.closed {
		l.arrived = append(l.arrived, s)
	}
	l.mu.Unlock()
	l.rouse()
}

// rouse wakes the loop when it may be asleep. On the loop itself, and while the loop is busy, that costs one load.
func (l *Loop) rouse() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.poll.wake()
	}
}

func (l *Loop) run() {
	for !l.stopping {
		l.sleep()
		l.turnAt = l.cfg.now()
		l.readStep()
		l.flushStep() // answers to what was read do not wait for what others have posted
		l.postedStep()
		l.timerStep()
		l.flushStep()
		l.closedStep()
		l.stats.turn(l.cfg.now() - l.turnAt)
	}
	l.shutdown()
}

// sleep waits for the next thing to do.
func (l *Loop) sleep() {
	d := l.idle()
	if d != 0 {
		// Whoever posts appends first and looks at asleep second; here it is the other way round, so one of the two sees the other.
		l.asleep.Store(true)
		if l.mailed() {
			d = 0
		}
	}
	l.poll.wait(d)
	l.asleep.Store(false)
}

// idle returns how long nothing is due on the loop itself: 0 when work is left over, -1 when only others can bring some.
func (l *Loop) idle() time.Duration {
	if l.poll.behind() || !l.running.empty() || !l.reading.empty() || !l.flushing.empty() || len(l.woken) > 0 ||
		len(l.ended) > 0 || !l.telling.empty() || l.sweep.at != noSweep {
		return 0
	}
	if t := l.timers.first(); t != nil {
		return max(0, t.due-l.cfg.now())
	}
	return -1
}

// busy tells whether something waits that its connections, or others for them, have asked for.
func (l *Loop) busy() bool {
	return !l.running.empty() || !l.flushing.empty() || len(l.woken) > 0 || l.mailed()
}

func (l *Loop) mailed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.posted) > 0 || len(l.arrived) > 0
}

// over reports whether a step that began at start has used up its budget.
func (l *Loop) over(start time.Duration) bool { return l.cfg.now()-start >= l.cfg.TurnBudget }

func (l *Loop) readStep() {
	l.poll.read()
	if l.reading.empty() {
		l.mu.Lock()
		l.arrived = l.reading.refill(l.arrived)
		l.mu.Unlock()
	}
	work(l, &l.reading, l.cfg.TurnBudget, (*stream).serve)
}

func (l *Loop) postedStep() {
	if l.running.empty() {
		l.mu.Lock()
		l.posted = l.running.refill(l.posted)
		l.mu.Unlock()
	}
	work(l, &l.running, l.cfg.TurnBudget, l.runPosted)
}

func (l *Loop) runPosted(fn func()) {
	l.stats.posted.Add(1)
	l.call(fn)
}

func (l *Loop) flushStep() {
	if l.flushing.empty() {
		l.woken = l.flushing.refill(l.woken)
	}
	work(l, &l.flushing, l.cfg.TurnBudget, (*Conn).flush)
}

// work is one step of a turn: it does what is in b until that is done or the budget used up. An empty step and the last item
// do without a look at the clock.
func work[T any](l *Loop, b *backlog[T], budget time.Duration, do func(T)) {
	if b.empty() {
		return
	}
	start := l.cfg.now()
	for {
		do(b.next())
		if b.empty() || l.cfg.now()-start >= budget {
			return
		}
	}
}

// closedStep tells handlers of their end, in the order of the ends, within a budget: 18,000 connections that are cut off at once
// cost a session each, some 300 ms together, and a publisher would wait for all that came before it. The budget is a share of the others',
// and grows by as much again for every keepEntries that wait, so that however fast connections come and go those that are not told do
// not pile up.
func (l *Loop) closedStep() {
	if l.telling.empty() {
		l.ended = l.telling.refill(l.ended)
	}
	budget := l.cfg.TurnBudget * time.Duration(1+(l.telling.left()+len(l.ended))/keepEntries)
	work(l, &l.telling, budget/endedShare, l.tell)
}

// tellAll is closedStep without a budget, for the end of the loop. What ends meanwhile is told, too.
func (l *Loop) tellAll() {
	for len(l.ended) > 0 || !l.telling.empty() {
		if l.telling.empty() {
			l.ended = l.telling.refill(l.ended)
		}
		l.tell(l.telling.next())
	}
}

func (l *Loop) tell(e ending) {
	e.c.tellClosed(e.err)
	l.conns.Add(-1)
}

// call runs a function that belongs to no connection.
func (l *Loop) call(fn func()) {
	defer l.rescue()
	fn()
}

func (l *Loop) rescue() {
	if v := recover(); v != nil {
		l.cfg.OnPanic(v, debug.Stack())
	}
}

// shutdown closes all connections, then accepts nothing more, then runs what was accepted until then.
func (l *Loop) shutdown() {
	for _, c := range l.table.conns() {
		c.Close(ErrGroupClosed)
	}
	l.tellAll()

	l.mu.Lock()
	l.closed = true
	rest := l.posted
	l.posted, l.arrived = nil, nil
	l.mu.Unlock()

	for !l.running.empty() {
		l.runPosted(l.running.next())
	}
	for _, fn := range rest {
		l.runPosted(fn) // a connection attached meanwhile is closed by its registration
	}
	l.tellAll()
	l.poll.stop()
}

// Handlers ranges over the handlers of the connections the loop has now. On the loop only; connections may be closed meanwhile.
func (l *Loop) Handlers() iter.Seq[Handler] {
	return func(yield func(Handler) bool) {
		for _, c := range l.table.conns() {
			if !c.state.has(closed) && !yield(c.handler) {
				return
			}
		}
	}
}
