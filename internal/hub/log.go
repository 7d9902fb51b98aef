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
	hub     *Hub
	name    string
	gathers bool // entries that have waited for each other are told together

	// mu guards all below. It is never held while the broker, an owner or a loop is called.
	mu      sync.Mutex
	state   logState
	keep    rule.History // what the broker retains
	waiting []*placing   // until the log is open
	unsure  []*placing   // until a read that begins from now on has told how far the broker is

	epoch string
	head  uint64 // offset of the newest entry known here; of a paced log it may be waiting to come into the window
	tail  uint64 // the window holds every entry with an offset greater than this one
	whole bool   // entries up to tail are surely gone from the broker too, or there never were any
	lost  uint64 // who stands before this offset surely misses something

	window []*broker.Entry // window[i] has index base+i
	base   uint64
	bytes  int64
	// dropped is how many bytes have left the window at its end.
	dropped int64
	holes   int // marks of what could not be read, in the window
	thin    int // entries in the window that need not count: removed, or with a time to live
	// lapsesAt is no later than the first time to live of an entry with a frame is over, Unix milliseconds.
	lapsesAt int64

	removed  uint64 // entries up to this offset were removed
	removals uint64 // how often something was removed
	keyed    uint64 // offset of the newest entry with a key, or mark of what may have had one, that has come into the window
	unkeyed  unkeyed

	sets   []*frameSet // one per encoding in use
	groups []*group    // one per loop with followers
	live   liveness
	pace   pace

	followers int
	leftAt    int64     // when the last follower went, Unix milliseconds; 0 when the next Tick is to say
	wroteAt   int64     // when the newest entry came
	checkedAt int64     // when the head was last compared with the broker's
	framedAt  int64     // when a frame was last made, 0 when there are none
	markedAt  int64     // when marks were last moved on
	marks     [2]uint64 // index of the next entry at the last two times: frames before the older one are old
}

// firstIndex leaves room on both sides; indexes are of this node only.
const firstIndex = 1 << 32

func newLog(h *Hub, r *Request) *log {
	l := &log{hub: h, name: r.Channel, base: firstIndex, pace: newPace(r), lapsesAt: never}
	l.gathers = l.pace.every > 0 && !l.pace.sample
	return l
}

// end is the index of the entry that comes next.
func (l *log) end() uint64 { return l.base + uint64(len(l.window)) }

// append puts e at the head of the window and makes its frames. l.mu is held.
func (l *log) append(e *broker.Entry) {
	index := l.end()
	l.put(e)
	for _, s := range l.sets {
		s.add(l, index, e)
	}
	l.bound()
}

// appendTogether puts entries that have waited for each other at the head, and makes frames in which they are told
// together. l.mu is held.
func (l *log) appendTogether(entries []*broker.Entry) {
	index := l.end()
	for _, e := range entries {
		l.put(e)
	}
	for _, s := range l.sets {
		s.addAll(l, index, entries)
	}
	l.bound()
}

// put puts e at the head of the window. l.mu is held.
func (l *log) put(e *broker.Entry) {
	l.window = append(l.window, e)
	l.head = max(l.head, e.Offset)
	if e.Op == opGap {
		l.holes++
	}
	if e.TTL > 0 || e.Op == opRemoved {
		l.thin++
	}
	if e.TTL > 0 {
		l.lapsesAt = min(l.lapsesAt, lapse(e))
	}
	l.unkeyed.put(e)
	if e.Key != "" { // of a mark it is the reason
		l.keyed = e.Offset
	}
	l.wroteAt = l.hub.now.Load()
	l.grow(e.Size())
}

// bound evicts what is beyond the bounds of the window and of the node. l.mu is held.
func (l *log) bound() {
	if len(l.sets) > 0 {
		l.framedAt = max(l.wroteAt, 1)
	}
	for len(l.window) > l.hub.cfg.WindowEntries || l.bytes > l.hub.cfg.WindowBytes && len(l.window) > 1 {
		l.evict(1, len(l.window)-l.thin > l.keep.Count) // before a hole there is nothing either
	}
	if l.hub.bytes.Load() > l.hub.cfg.BudgetBytes {
		l.hub.relieve(l)
	}
}

// evict drops the n oldest entries of the window, n not being 0. gone says that the broker does not retain them either,
// and so nothing before them. l.mu is held.
func (l *log) evict(n int, gone bool) {
	var size int64
	for i, e := range l.window[:n] {
		size += e.Size()
		l.tail = e.Offset
		switch {
		case e.Op == opGap: // which may reach beyond what is missing
			if l.holes--; gone {
				l.lost = e.Prev + 1
			}
		case e.TTL > 0, e.Op == opRemoved:
			l.thin--
		case gone:
			l.lost = e.Offset
		}
		if l.pace.joined != nil {
			delete(l.pace.joined, e.Offset)
		}
		l.window[i] = nil // who reads entries copies them under the lock
	}
	l.window = l.window[n:]
	l.base += uint64(n)
	l.grow(-size)
	l.dropped += size
	l.whole = gone
	if len(l.window) == 0 {
		l.window = nil
	}
}

// discard gives up everything the log holds. l.mu is held.
func (l *log) discard() {
	l.state = logDead
	l.hub.bytes.Add(-l.bytes - l.pace.bytes)
	l.window, l.bytes, l.live, l.pace = nil, 0, liveness{}, pace{}
	for _, s := range l.sets {
		s.clear(l, l.base)
	}
}

// index finds the index of the first entry after offset. l.mu is held.
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
	s.clear(l, l.end())
	l.sets = append(l.sets, s)
	return s
}

// admits says that a cursor of this encoding can come in. l.mu is held.
func (l *log) admits(enc Encoding) bool {
	if len(l.sets) < mostFilters || !filtering(enc) {
		return true
	}
	n := 0
	for _, s := range l.sets {
		if s.enc == enc {
			return true
		}
		if filtering(s.enc) {
			n++
		}
	}
	return n < mostFilters
}

// unset counts a cursor out. l.mu is held.
func (l *log) unset(s *frameSet) {
	s.cursors--
	if s.cursors > 0 {
		return
	}
	for i := range l.sets {
		if l.sets[i] == s {
			s.clear(l, l.end())
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
	g := newGroup(l, loop)
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

// kill takes the log out of its shard and ends every cursor with err. l.mu is not held.
func (l *log) kill(err error) {
	l.mu.Lock()
	if l.state == logDead {
		l.mu.Unlock()
		return
	}
	l.discard()
	waiting, unsure, groups := l.waiting, l.unsure, l.groups
	l.waiting, l.unsure = nil, nil
	l.mu.Unlock()

	l.hub.remove(l)
	for _, p := range waiting {
		p.post(func() { p.fail(err) })
	}
	for _, p := range unsure {
		p.post(func() { p.hub.subscribe(p) })
	}
	for _, g := range groups {
		g.loop.Post(func() { g.close(err) })
	}
}

// sampleLogs is how many logs of a shard are looked at when room is needed.
const sampleLogs = 64

// relieve gives up entries of windows until the node is within its budget. It looks at the shards in turn and evicts
// the older half of the largest window among some there, so the windows that hold most give most. l, whose lock is
// held, is the log that went over the budget; it gives when no other can be had without waiting.
func (h *Hub) relieve(l *log) {
	for range shardCount {
		if h.bytes.Load() <= h.cfg.BudgetBytes {
			return
		}
		if largest := h.shards[h.hand.Add(1)%shardCount].lockLargest(l); largest != nil {
			largest.evict((len(largest.window)+1)/2, false)
			largest.mu.Unlock()
		}
	}
	if h.bytes.Load() > h.cfg.BudgetBytes && len(l.window) > 1 {
		l.evict(len(l.window)/2, false)
	}
}

// lockLargest finds the largest window among some logs of the shard, and locks it. It is nil when there is none that can
// be had at once. Nothing here waits for a lock, as the caller holds that of not.
func (s *shard) lockLargest(not *log) (largest *log) {
	if !s.mu.TryRLock() {
		return nil
	}
	defer s.mu.RUnlock()
	seen := 0
	for _, l := range s.logs { // in random order: Go's maps see to that
		if seen++; seen > sampleLogs {
			break
		}
		if l == not || !l.mu.TryLock() {
			continue
		}
		if len(l.window) == 0 || largest != nil && l.bytes <= largest.bytes {
			l.mu.Unlock()
			continue
		}
		if largest != nil {
			largest.mu.Unlock()
		}
		largest = l
	}
	return largest
}
