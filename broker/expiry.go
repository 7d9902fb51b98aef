package broker

import (
	"sync"
	"time"
)

// expiredHeaders are those of every such Delete. Like all of a published entry they are never modified.
var expiredHeaders = map[string]string{ExpiredHeader: "1"}

const (
	endEvery = 10 * time.Millisecond // between two looks of Run at what ends, so that values that end one by one do not keep it busy
	endBatch = 1024                  // values ended in one go
)

// An agenda knows which channel has the next value that ends, and wakes Run for it. A channel whose values end later
// than planned stays where it is until its time comes: renewing a value then costs nothing here.
type agenda struct {
	mu    sync.Mutex
	queue queue[*channel]
	until int64 // Unix milliseconds: Run is asleep until then

	wake chan struct{} // Run has to be woken earlier
}

// set plans a look at a channel, or none when due is 0. A lock of a channel may be held.
func (a *agenda) set(c *channel, due int64) {
	a.mu.Lock()
	a.queue.set(c, due)
	sooner := due != 0 && due < a.until
	if sooner {
		a.until = due
	}
	a.mu.Unlock()
	if sooner {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// next takes out a channel that is due, nil when there is none.
func (a *agenda) next(now int64) *channel {
	a.mu.Lock()
	defer a.mu.Unlock()
	if due := a.queue.next(); due == 0 || due > now {
		return nil
	}
	c := a.queue.list[0]
	a.queue.set(c, 0)
	return c
}

// sleep tells Run how long it can.
func (a *agenda) sleep(now int64) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := sweepEvery
	if due := a.queue.next(); due != 0 && due-now < d.Milliseconds() { // what is further away may be too far for a Duration
		d = max(endEvery, time.Duration(due-now)*time.Millisecond)
	}
	a.until = now + d.Milliseconds()
	return d
}

// schedule has Run look at a channel when the next of its values ends, but not before the time given. The channel's lock
// is held.
func (b *Memory) schedule(c *channel, earliest int64) {
	if c.state.values == 0 {
		return
	}
	due := c.state.nextEnd(&c.keep)
	if due == 0 || c.planned != 0 && c.planned <= due {
		return
	}
	c.planned = max(due, earliest)
	b.agenda.set(c, c.planned)
}

// endValues ends values that have reached their end, so many, and tells whether there are more.
func (b *Memory) endValues(sink Sink, now int64) bool {
	for left := endBatch; left > 0; {
		c := b.agenda.next(now)
		if c == nil {
			return false
		}
		left -= 1 + b.endValuesOf(c, sink, now, left)
	}
	return true
}

// endValuesOf ends at most limit values of a channel, tells the sink, and returns how many they were. It is the caller's
// goroutine that tells it, as a publisher's would; but when others publish meanwhile, a goroutine goes on for them.
func (b *Memory) endValuesOf(c *channel, sink Sink, now int64, limit int) (n int) {
	c.mu.Lock()
	if c.dropped {
		c.mu.Unlock()
		return 0
	}
	before, full := c.size(), b.full()
	now = c.clock(now)
	for ; n < limit && len(c.pending) < maxPending; n++ {
		v := c.state.ended(ageCut(&c.keep, now), now)
		if v == nil {
			break
		}
		if e := c.end(v, now, full); c.followed {
			c.pending = append(c.pending, notice{entry: e})
		}
	}
	telling := len(c.pending) > 0 && !c.delivering
	c.delivering = c.delivering || telling
	c.planned = 0
	earliest := int64(0)
	if len(c.pending) >= maxPending {
		earliest = now + endEvery.Milliseconds()
	}
	b.schedule(c, earliest)
	grown := c.size().minus(before)
	c.mu.Unlock()
	b.grow(c, grown)
	if spare := []notice(nil); telling && c.round(sink, &spare) && c.round(sink, &spare) {
		b.tellers.Go(func() { c.drain(sink) })
	}
	return n
}

// end appends the Delete of a key whose value has reached its end.
func (c *channel) end(v *cell, now int64, full bool) *Entry {
	e := &Entry{Key: v.last.Key, Op: Delete, Headers: expiredHeaders}
	c.push(e, now, full)
	return e
}
