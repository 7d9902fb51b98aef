package listen

import (
	"container/list"
	"net/netip"

	"hocket.dev/internal/limit"
)

// A lineup shares out the places for handshakes of TLS and keeps what waits for one. No address has more than its share of either,
// and a place that is given up goes to whose turn it is: every address that waits has one after the other, so that thousands of
// connections of one keep nobody else waiting. Within an address the oldest goes first. Its owner guards it.
type lineup struct {
	// Set once.
	places, placesOfOne   int
	waiters, waitersOfOne int
	exempt                func(netip.Addr) bool // who has no share, but all there is

	taken   int // places
	callers map[netip.Addr]*caller
	waiting list.List // of *waiter, the oldest first
	turns   list.List // of *caller that wait and may have one place more, the one whose turn it is first
}

// A caller is an address that has places or waits for them.
type caller struct {
	address     netip.Addr
	exempt      bool
	placesOfOne int
	taken       int
	waiting     list.List     // of *waiter, the oldest first
	turn        *list.Element // in lineup.turns; nil where it is in none
}

// A waiter is a connection without a place.
type waiter struct {
	handoff
	caller          *caller
	inAll, inCaller *list.Element
}

// arrive gives a connection a place, which is counted as c's, or has it wait: c is nil then, and excess is to be closed, which
// is what has waited longest of that address, or of all.
func (l *lineup) arrive(o handoff, from netip.Addr) (c *caller, excess []handoff) {
	c = l.caller(from)
	if l.taken < l.places && c.taken < c.placesOfOne {
		l.taken++
		c.taken++
		return c, nil
	}
	w := &waiter{handoff: o, caller: c}
	w.inAll, w.inCaller = l.waiting.PushBack(w), c.waiting.PushBack(w)
	l.queue(c)
	if c.waiting.Len() > l.waitersOfOne && !c.exempt {
		excess = append(excess, l.remove(c.waiting.Front()))
	}
	if l.waiting.Len() > l.waiters {
		excess = append(excess, l.remove(l.waiting.Front()))
	}
	return nil, excess
}

// caller finds out whose a connection is.
func (l *lineup) caller(from netip.Addr) *caller {
	address := limit.Address(from)
	c := l.callers[address]
	if c == nil {
		c = &caller{address: address, placesOfOne: l.placesOfOne}
		if l.exempt(from) {
			c.exempt, c.placesOfOne = true, l.places
		}
		l.callers[address] = c
	}
	return c
}

// queue has a caller wait for its turn, where it has reason to.
func (l *lineup) queue(c *caller) {
	if c.turn == nil && c.waiting.Len() > 0 && c.taken < c.placesOfOne {
		c.turn = l.turns.PushBack(c)
	}
}

// unqueue is the opposite.
func (l *lineup) unqueue(c *caller) {
	if c.turn != nil {
		l.turns.Remove(c.turn)
		c.turn = nil
	}
}

// remove takes a waiter out.
func (l *lineup) remove(at *list.Element) handoff {
	w := at.Value.(*waiter)
	l.waiting.Remove(w.inAll)
	w.caller.waiting.Remove(w.inCaller)
	if w.caller.waiting.Len() == 0 {
		l.unqueue(w.caller)
		l.forget(w.caller)
	}
	return w.handoff
}

// forget is for a caller that may have nothing any more.
func (l *lineup) forget(c *caller) {
	if c.taken == 0 && c.waiting.Len() == 0 {
		delete(l.callers, c.address)
	}
}

// leave gives up a place of c's, and gives it to whose turn it is; of is nil where nobody waits that may have it.
func (l *lineup) leave(c *caller) (o handoff, of *caller) {
	c.taken--
	l.taken--
	l.queue(c)
	l.forget(c)
	turn := l.turns.Front()
	if turn == nil {
		return handoff{}, nil
	}
	of = turn.Value.(*caller)
	l.unqueue(of)
	l.taken++
	of.taken++
	o = l.remove(of.waiting.Front())
	l.queue(of)
	return o, of
}

// crowded reports whether more than half of the places, or of c's, are taken.
func (l *lineup) crowded(c *caller) bool { return l.taken > l.places/2 || c.taken > c.placesOfOne/2 }

// clear takes all out that wait.
func (l *lineup) clear() (all []handoff) {
	for l.waiting.Len() > 0 {
		all = append(all, l.remove(l.waiting.Front()))
	}
	return all
}
