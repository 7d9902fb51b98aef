package hub

import (
	"maps"
	"slices"
	"time"

	"hocket.dev/broker"
)

// A log whose followers want it sampled or gathered is paced. The first entry after a silence goes on at once and begins
// an interval; what comes before its end waits, and what has waited begins the next one. So offsets are told in order, and
// each interval brings what is left of it: of a sampled log the latest of each key, of a gathered one every entry, but
// many in one message. What waits is not in the window yet.
//
// Each append is a part of a value, so it is superseded by a later set or delete of its key, never by another append.
// Parts that follow on each other, and on a set, become one entry.

// pace is guarded by the log's lock.
type pace struct {
	every   time.Duration // 0 when the log is not paced
	sample  bool
	running bool            // an interval is under way
	wanted  bool            // one has begun whose end nobody has been asked to tell
	waiting []*broker.Entry // until the interval ends
	bytes   int64           // of them
	sifted  int             // so many of them were left when superseded ones were last taken out
	// bounds are offsets at which cursors have come in among what waits, or will: what lies before one and what lies behind it
	// are not joined. They are sorted, and no more than the entries that wait or are on their way.
	bounds []uint64
	// joined tells, by its offset, the offsets of the entries from which one in the window was joined, but its own. Others, which were
	// superseded, may lie between them.
	joined map[uint64][]uint64
}

func newPace(r *Request) pace {
	if r.Sample > 0 {
		return pace{every: r.Sample, sample: true}
	}
	return pace{every: max(r.Gather, 0)}
}

// siftFrom is how many entries wait before it is worth to look for superseded ones.
const siftFrom = 64

// accept takes the entry that follows on the head. l.mu is held; who releases it does so by release.
func (l *log) accept(e *broker.Entry) {
	p := &l.pace
	switch {
	case p.every == 0, len(l.groups) == 0 && !p.running:
		l.append(e)
	case e.Op == opGap, e.Op == opRemoved:
		l.flush()
		l.append(e)
	case !p.running:
		p.running, p.wanted = true, true
		l.append(e)
	default:
		l.wait(e)
	}
}

// wait has e wait for the end of the interval. l.mu is held.
func (l *log) wait(e *broker.Entry) {
	p := &l.pace
	l.head = e.Offset
	l.unkeyed.put(e)
	p.waiting = append(p.waiting, e)
	l.waits(e.Size())
	most, bytes := l.hub.cfg.WindowEntries, l.hub.cfg.WindowBytes
	over := len(p.waiting) > most/2 || p.bytes > bytes/2
	if n := len(p.waiting); p.sample && (over || n >= siftFrom && n >= 2*p.sifted) {
		l.sift()
		over = len(p.waiting) > most/4 || p.bytes > bytes/4
	}
	if over {
		l.flush() // there is a bound for everything
	}
}

// waits counts bytes of what waits.
func (l *log) waits(bytes int64) {
	l.pace.bytes += bytes
	l.hub.bytes.Add(bytes)
}

// sift takes out of a sampled log's entries that wait those that are superseded. l.mu is held.
func (l *log) sift() {
	p := &l.pace
	done := make(map[string]bool) // keys of which something later supersedes all before
	kept := len(p.waiting)
	for i := kept - 1; i >= 0; i-- {
		e := p.waiting[i]
		if done[e.Key] {
			l.waits(-e.Size())
			continue
		}
		done[e.Key] = e.Op != broker.Append
		kept--
		p.waiting[kept] = e
	}
	clear(p.waiting[:kept])
	p.waiting = p.waiting[kept:]
	p.sifted = len(p.waiting)
}

// flush appends what waits. l.mu is held.
func (l *log) flush() {
	p := &l.pace
	if len(p.waiting) == 0 {
		return
	}
	if p.sample {
		l.sift()
	}
	entries := p.waiting
	l.waits(-p.bytes)
	p.waiting, p.sifted = nil, 0
	if p.sample {
		for len(entries) > 0 {
			n := l.run(entries)
			l.append(l.join(entries[:n]))
			entries = entries[n:]
		}
	} else {
		l.appendTogether(entries)
	}
	i, _ := slices.BinarySearch(p.bounds, l.head+1)
	if p.bounds = p.bounds[i:]; len(p.bounds) == 0 {
		p.bounds = nil
	}
}

// run counts the entries at the beginning that become one. Who filters gets each part that has the tags asked for, and every
// delete. What has ended while it waited is told to nobody, and becomes part of nothing. l.mu is held.
func (l *log) run(entries []*broker.Entry) int {
	bounds, n := l.pace.bounds, 1
	for n < len(entries) {
		a, b := entries[n-1], entries[n]
		i, _ := slices.BinarySearch(bounds, a.Offset)
		apart := i < len(bounds) && bounds[i] < b.Offset || l.over(a) || l.over(b)
		if apart || a.Op == broker.Delete || b.Op != broker.Append || b.Key != a.Key || b.Format != a.Format ||
			echo(a) != echo(b) || !maps.Equal(a.Headers, b.Headers) {
			break
		}
		n++
	}
	return n
}

// echo names the session to which e is not told, "" for none.
func echo(e *broker.Entry) string {
	if e.NoEcho && e.From != nil {
		return e.From.Session
	}
	return ""
}

// join makes one entry of a value's parts, which ends with the first of them that does. l.mu is held.
func (l *log) join(parts []*broker.Entry) *broker.Entry {
	first, last := parts[0], *parts[len(parts)-1]
	if len(parts) == 1 {
		return first
	}
	last.Op, last.Prev = first.Op, first.Prev
	payloads, end := make([][]byte, len(parts)), int64(never)
	for i, e := range parts {
		if payloads[i] = e.Payload; e.TTL > 0 {
			end = min(end, lapse(e))
		}
	}
	if end != never {
		last.TTL = time.Duration(max(end-last.Time, 1)) * time.Millisecond
	}
	last.Payload = broker.Join(nil, last.Format, payloads...)
	before := make([]uint64, len(parts)-1)
	for i := range before {
		before[i] = parts[i].Offset
	}
	if l.pace.joined == nil {
		l.pace.joined = make(map[uint64][]uint64)
	}
	l.pace.joined[last.Offset] = before
	return &last
}

// enter says that a cursor comes in behind the given offset. l.mu is held.
func (l *log) enter(offset uint64) {
	p, at := &l.pace, offset
	switch {
	case !p.sample:
		return
	case offset > l.head: // by a page that had more than this node has
	case len(p.waiting) == 0 || offset < p.waiting[0].Offset:
		return
	default: // the offset of the entry it follows on says the same, and there are only so many of those
		i, found := slices.BinarySearchFunc(p.waiting, offset, func(e *broker.Entry, offset uint64) int {
			return int(int64(e.Offset) - int64(offset))
		})
		if !found {
			i--
		}
		at = p.waiting[i].Offset
	}
	if i, found := slices.BinarySearch(p.bounds, at); !found {
		p.bounds = slices.Insert(p.bounds, i, at)
	}
}

// within says that a cursor behind the given offset has some of the parts that the entry with this index was joined from,
// and not all: only the broker has them apart. l.mu is held.
func (l *log) within(offset, index uint64) bool {
	if len(l.pace.joined) == 0 || index == l.end() {
		return false
	}
	e := l.window[index-l.base]
	parts := l.pace.joined[e.Offset]
	return e.Op == broker.Append && len(parts) > 0 && parts[0] <= offset
}

// beginInterval is called when l.mu has been released behind accept: it has a loop tell when the interval ends.
func (l *log) beginInterval(every time.Duration, loop Loop) {
	ok := loop.Post(func() {
		loop.After(every, func() { l.endInterval(loop) })
	})
	if !ok { // the node ends
		l.endInterval(nil)
	}
}

// endInterval lets go what has waited, which begins the next interval.
func (l *log) endInterval(loop Loop) {
	l.mu.Lock()
	if l.state == logDead {
		l.mu.Unlock()
		return
	}
	p := &l.pace
	end, every := l.end(), p.every
	l.flush()
	grown := l.end() != end
	p.running = grown && loop != nil
	again, groups := p.running, l.groups
	l.mu.Unlock()
	if grown {
		grow(groups)
	}
	if again {
		loop.After(every, func() { l.endInterval(loop) })
	}
}
