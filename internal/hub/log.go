package hub

import (
	"sort"
	"sync"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

type logState uint8

const (
	logOpening logState = iota // the first read is under way
	logOpen
	logDead // out of its shard: subscribe anew
)

// log is this node's window on one channel: its newest entries, and who follows it here.
type log struct {
	hub  *Hub
	name string

	mu      sync.Mutex
	state   logState
	keep    rule.History // what the broker retains
	waiting []*placing   // until the log is open

	epoch string
	head  uint64 // offset of the newest entry known here
	tail  uint64 // the window holds every entry with an offset greater than this one
	whole bool   // nothing before the window is retained by the broker either

	window []*broker.Entry // window[i] has index base+i
	base   uint64
	bytes  int64

	sets   []*frameSet // one per encoding in use
	groups []*group    // one per loop with followers

	early   bool   // something was delivered while opening: read once more
	ahead   uint64 // the newest offset seen while entries before it were missing
	reading bool   // a catch-up is under way
	suspect bool   // a catch-up could not be finished: try again at the next Tick

	followers int
	leftAt    int64 // when the last follower went, Unix milliseconds
	wroteAt   int64 // when the newest entry came
	checkedAt int64 // when the head was last compared with the broker's
	cachedAt  int64 // when a frame was last made, 0 when there are none
}

// firstIndex leaves room on both sides; indexes are of this node only.
const firstIndex = 1 << 32

func newLog(h *Hub, name string) *log {
	return &log{hub: h, name: name, base: firstIndex}
}

// end is the index of the entry that comes next.
func (l *log) end() uint64 { return l.base + uint64(len(l.window)) }

// deliver takes a live entry.
func (l *log) deliver(epoch string, e *broker.Entry) {
	l.mu.Lock()
	switch {
	case l.state == logDead:
	case l.state == logOpening:
		l.early = true
	case epoch == l.epoch && e.Offset <= l.head: // read already
	case l.reading || epoch != l.epoch || e.Prev != 0 && e.Prev != l.head:
		l.ahead = max(l.ahead, e.Offset)
		if !l.reading {
			defer l.catchUp()
		}
	default:
		l.append(e)
		grown := l.groups
		l.mu.Unlock()
		grow(grown)
		return
	}
	l.mu.Unlock()
}

// append puts e at the head of the window and makes its frames. l.mu is held.
func (l *log) append(e *broker.Entry) {
	index := l.end()
	l.window = append(l.window, e)
	l.head = e.Offset
	size := e.Size()
	l.bytes += size
	now := l.hub.now.Load()
	l.wroteAt = now
	for _, s := range l.sets {
		s.add(l, index, e)
		l.cachedAt = now
	}
	over := l.hub.bytes.Add(size) > l.hub.cfg.BudgetBytes
	for len(l.window) > l.hub.cfg.WindowEntries || l.bytes > l.hub.cfg.WindowBytes && len(l.window) > 1 {
		l.evict(1, len(l.window) > l.keep.Count)
	}
	if over {
		l.hub.relieve(l)
	}
}

// evict drops the n oldest entries of the window. gone says that the broker does not retain them either. l.mu is held.
func (l *log) evict(n int, gone bool) {
	var size int64
	for i, e := range l.window[:n] {
		size += e.Size()
		l.tail = e.Offset
		l.window[i] = nil // readers copy under the lock
	}
	l.window = l.window[n:]
	l.base += uint64(n)
	l.bytes -= size
	l.whole = l.whole && gone
	l.hub.bytes.Add(-size)
	if len(l.window) == 0 {
		l.window = nil
	}
}

// index finds the index of the first entry after offset, which lies in the window. l.mu is held.
func (l *log) index(offset uint64) uint64 {
	i := sort.Search(len(l.window), func(i int) bool { return l.window[i].Offset > offset })
	return l.base + uint64(i)
}

// offsetBefore is the offset of the entry before the one with the given index. l.mu is held.
func (l *log) offsetBefore(index uint64) uint64 {
	if index == l.base {
		return l.tail
	}
	return l.window[index-l.base-1].Offset
}

// set finds or makes the frameSet of an encoding and counts a cursor in. l.mu is held.
func (l *log) set(enc Encoding) *frameSet {
	for _, s := range l.sets {
		if s.enc == enc {
			s.cursors++
			return s
		}
	}
	s := &frameSet{enc: enc, cursors: 1}
	s.clear(l.end())
	l.sets = append(l.sets, s)
	return s
}

// unset counts a cursor out. l.mu is held.
func (l *log) unset(s *frameSet) {
	s.cursors--
	if s.cursors > 0 {
		return
	}
	for i := range l.sets {
		if l.sets[i] == s {
			l.sets = append(l.sets[:i:i], l.sets[i+1:]...)
			return
		}
	}
}

// group finds or makes the group of followers on one loop. l.mu is held.
func (l *log) group(loop int) *group {
	for _, g := range l.groups {
		if g.index == loop {
			return g
		}
	}
	g := &group{log: l, loop: l.hub.cfg.Loops[loop], index: loop}
	g.walk = func() { g.turn(0) }
	l.groups = append(l.groups[:len(l.groups):len(l.groups)], g) // grow reads the old slice without the lock
	return g
}

// ungroup drops a group without cursors. l.mu is held.
func (l *log) ungroup(g *group) {
	for i := range l.groups {
		if l.groups[i] == g {
			l.groups = append(l.groups[:i:i], l.groups[i+1:]...)
			return
		}
	}
}

// reset gives the log up because the broker has begun a new one: every cursor is ended and may subscribe again.
// l.mu is not held.
func (l *log) reset() { l.kill(ErrEpochChanged) }

// kill takes the log out of its shard and ends every cursor with err.
func (l *log) kill(err error) {
	l.mu.Lock()
	if l.state == logDead {
		l.mu.Unlock()
		return
	}
	l.state = logDead
	waiting, groups := l.waiting, l.groups
	l.waiting = nil
	l.hub.bytes.Add(-l.bytes)
	l.window, l.bytes = nil, 0
	l.mu.Unlock()

	l.hub.remove(l)
	for _, p := range waiting {
		p.post(func() { p.fail(err) })
	}
	for _, g := range groups {
		g.loop.Post(func() { g.close(err) })
	}
}

// relieve gives up entries of windows until the node is within its budget. It looks at the shards in turn and evicts
// the older half of the largest window there, so the windows that hold most give most. l, whose lock is held, is the
// log that went over the budget; it gives when no other can be had without waiting.
func (h *Hub) relieve(l *log) {
	for range shardCount {
		if h.bytes.Load() <= h.cfg.BudgetBytes {
			return
		}
		s := &h.shards[h.hand.Add(1)%shardCount]
		if !s.mu.TryRLock() {
			continue
		}
		var largest *log
		for _, other := range s.logs {
			if other == l || !other.mu.TryLock() {
				continue
			}
			if largest == nil || other.bytes > largest.bytes {
				if largest != nil {
					largest.mu.Unlock()
				}
				largest = other
				continue
			}
			other.mu.Unlock()
		}
		s.mu.RUnlock()
		if largest != nil {
			if n := len(largest.window); n > 0 {
				largest.evict((n+1)/2, false)
			}
			largest.mu.Unlock()
		}
	}
	if h.bytes.Load() > h.cfg.BudgetBytes && len(l.window) > 1 {
		l.evict(len(l.window)/2, false)
	}
}
