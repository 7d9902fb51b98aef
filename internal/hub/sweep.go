package hub

import "hocket.dev/internal/rule"

// sweepStep is how many cursors are looked at before a loop goes on with other work.
const sweepStep = 1024

// sweep is what Tick has a loop do with the cursors of a group: a page of the broker that nobody takes is given up, so
// that a client that has stopped reading costs no more than its cursor; and who is to be disconnected when it is left
// behind is, though it asks for nothing.
func (g *group) sweep() {
	g.watch.Store(false) // first: whoever says meanwhile that there is something to look at is heard
	g.refresh()          // the bounds of age move on by themselves
	g.sweepFrom(0)
}

func (g *group) sweepFrom(at int) {
	l := g.log
	l.mu.Lock()
	tail := l.tail
	if tail <= l.removed {
		tail = 0 // it was not for being slow that something is gone
	}
	l.mu.Unlock()
	end := min(at+sweepStep, len(g.cursors))
	for ; at < end && at < len(g.cursors); at++ { // owners may close cursors here
		if g.cursors[at].sweep(tail) {
			g.watch.Store(true)
		}
	}
	if at < len(g.cursors) {
		g.loop.Post(func() { g.sweepFrom(at) })
	}
}

// sweep answers whether the next Tick is to look at c again. tail is the offset that the window has passed.
func (c *Cursor) sweep(tail uint64) bool {
	b, v := c.behind, c.view
	switch {
	case b == nil:
	case !b.idle:
		b.idle = true
	default:
		c.giveUp()
	}
	if v.terms.overflow != rule.OverflowDisconnect {
		return b != nil
	}
	if gone := c.offset < tail && c.next < v.base; b == nil && c.lags() && (gone || c.lagsTooFar()) && c.end() {
		c.owner.Overflow(c)
	}
	return true
}
