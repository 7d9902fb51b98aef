package hub

import (
	"sync/atomic"
	"time"

	"hocket.dev/internal/rule"
)

// terms are what a follower asked for besides its place and encoding. The cursors of one loop that have them in common
// share them, so that they cost a cursor nothing.
type terms struct {
	overflow rule.Overflow
	lagBytes int64 // 0 for no bound, as lagAge
	lagAge   int64 // milliseconds
	counts   *actions
}

func (h *Hub) terms(r *Request) terms {
	t := terms{overflow: r.Overflow, counts: h.count(r.Rule)}
	if r.Overflow != rule.OverflowRefill {
		t.lagBytes, t.lagAge = r.LagBytes, r.LagAge.Milliseconds()
		if r.LagAge > 0 {
			t.lagAge = max(t.lagAge, 1)
		}
	}
	return t
}

// bounded says that a cursor may be too far behind though the window holds what it is due.
func (t *terms) bounded() bool { return t.lagBytes > 0 || t.lagAge > 0 }

// Overflows counts what the overflow rule of one channel rule has done.
type Overflows struct {
	Gap        uint64 // cursors that went on with what there was, and were told what they missed
	Disconnect uint64 // sessions that were ended
	Refill     uint64 // cursors that went on with pages of the broker
	Latest     uint64 // cursors that jumped to the head
}

// actions are the counters behind Overflows, by rule.Overflow.
type actions [4]atomic.Uint64

// count finds or makes the counters of a rule.
func (h *Hub) count(pattern string) *actions {
	h.counting.Lock()
	defer h.counting.Unlock()
	a := h.actions[pattern]
	if a == nil {
		a = new(actions)
		h.actions[pattern] = a
	}
	return a
}

func (h *Hub) overflows() map[string]Overflows {
	h.counting.Lock()
	defer h.counting.Unlock()
	all := make(map[string]Overflows, len(h.actions))
	for pattern, a := range h.actions {
		all[pattern] = Overflows{
			Gap:        a[rule.OverflowGap].Load(),
			Disconnect: a[rule.OverflowDisconnect].Load(),
			Refill:     a[rule.OverflowRefill].Load(),
			Latest:     a[rule.OverflowLatest].Load(),
		}
	}
	return all
}

// lag tells where the bounds of terms lie in a log. It is a loop's, and moves on under the log's lock.
type lag struct {
	floor  uint64 // index: what comes before it is too far behind
	passed int64  // bytes that the log had been given before the entry with that index
}

// advance moves the floor to where the bounds lie by now, but not beyond upTo: what comes from there on is new to the
// loop. l.mu is held.
func (g *lag) advance(l *log, t *terms, upTo uint64) {
	if g.floor < l.base {
		*g = lag{l.base, l.dropped}
	}
	all, old := l.dropped+l.bytes, l.hub.now.Load()-t.lagAge
	for g.floor < upTo {
		e := l.window[g.floor-l.base]
		if !(t.lagBytes > 0 && all-g.passed > t.lagBytes || t.lagAge > 0 && e.Time < old) {
			return
		}
		g.passed += e.Size()
		g.floor++
	}
}

// resumeAt finds where a cursor goes on that was too far behind: at the oldest entry for which half the bounds hold, so
// that not every further entry leaves it behind again. l.mu is held.
func (l *log) resumeAt(t *terms) uint64 {
	n, bytes, old := len(l.window), int64(0), l.hub.now.Load()-t.lagAge/2
	for n > 0 {
		e := l.window[n-1]
		if bytes += e.Size(); t.lagBytes > 0 && bytes > t.lagBytes/2 || t.lagAge > 0 && e.Time < old {
			break
		}
		n--
	}
	return l.base + uint64(n)
}

// retryAfter is how long a cursor waits that could not be read for because too much else is.
const retryAfter = 100 * time.Millisecond
