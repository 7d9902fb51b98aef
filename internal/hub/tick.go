package hub

import (
	"context"
	"math"
	"time"

	"hocket.dev/broker"
)

// In milliseconds. Heads are asked for as DESIGN.md says: often where something is written, seldom elsewhere.
const (
	checkBusy = int64(time.Second / time.Millisecond)
	checkIdle = int64(30 * time.Second / time.Millisecond)
	busyFor   = int64(time.Minute / time.Millisecond)
	// Frames are kept this long after the last one has been made, and not much longer each.
	framesFor = int64(2 * time.Second / time.Millisecond)
)

// checkMany is how many channels are asked about at once.
const checkMany = 512

// Tick does what time brings: it forgets what has grown old, drops channels that nobody follows any more, and compares
// heads with the broker. It is called about once a second, by one goroutine at a time.
func (h *Hub) Tick(now time.Time) {
	ms := now.UnixMilli()
	h.now.Store(ms)
	var logs, check []*log
	for i := range h.shards {
		logs = h.shards[i].list(logs[:0])
		for _, l := range logs {
			if l.tick(ms) {
				check = append(check, l)
			}
		}
	}
	h.check(ms, check)
}

// tick answers whether the log's head is to be compared.
func (l *log) tick(now int64) (check bool) {
	l.mu.Lock()
	if l.state != logOpen {
		l.mu.Unlock()
		return false
	}
	if l.abandoned(now) {
		l.discard()
		l.mu.Unlock()
		l.hub.remove(l)
		return false
	}
	l.expire(now)
	var quiet []*group
	if forgotten, lapsed := l.forget(now), l.lapse(now); forgotten || lapsed {
		quiet = l.groups // so that no loop holds on to the frames
	}
	every := checkIdle
	if now-l.wroteAt < busyFor {
		every = checkBusy
	}
	suspect := l.live.suspect
	check = !suspect && now-l.checkedAt >= every
	groups := l.groups
	l.mu.Unlock()
	grow(quiet)
	for _, g := range groups {
		if g.watch.Load() {
			g.loop.Post(g.swept)
		}
	}
	if suspect {
		l.catchUp()
	}
	return check
}

// abandoned says that nobody has followed for long enough. l.mu is held.
func (l *log) abandoned(now int64) bool {
	if l.followers > 0 || len(l.unsure) > 0 {
		return false
	}
	if l.leftAt == 0 {
		l.leftAt = now
	}
	return now-l.leftAt > l.hub.cfg.Linger.Milliseconds()
}

// expire evicts what the broker no longer retains for its age. l.mu is held.
func (l *log) expire(now int64) {
	if l.keep.Age <= 0 {
		return
	}
	old, cut := 0, now-l.keep.Age.Milliseconds()
	for old < len(l.window) && l.window[old].Time < cut {
		old++
	}
	if old > 0 {
		l.evict(old, true)
	}
	if e := l.unkeyed.newest; e != nil && e.Time < cut {
		l.unkeyed.forget()
	}
}

// forget drops frames that have grown old; it answers true when none are left. l.mu is held.
func (l *log) forget(now int64) bool {
	switch {
	case l.framedAt == 0:
		return false
	case now-l.framedAt > framesFor:
		l.framedAt = 0
		for _, s := range l.sets {
			s.clear(l, l.end())
		}
		return true
	case now-l.markedAt >= framesFor/2:
		for _, s := range l.sets {
			s.trim(l, l.marks[0])
		}
		l.marks[0], l.marks[1] = l.marks[1], l.end()
		l.markedAt = now
	}
	return false
}

// lapse drops the frames of entries whose time to live is over, and those before them: frames are for everybody, so who is
// to pass an entry has its own made. It answers true when there were any. l.mu is held.
func (l *log) lapse(now int64) bool {
	if now < l.lapsesAt {
		return false
	}
	l.lapsesAt = never
	i := len(l.window)
	for i > 0 && !(l.window[i-1].TTL > 0 && lapse(l.window[i-1]) <= now) {
		if i--; l.window[i].TTL > 0 {
			l.lapsesAt = min(l.lapsesAt, lapse(l.window[i]))
		}
	}
	upTo, trimmed := l.base+uint64(i), false
	for _, s := range l.sets {
		trimmed = trimmed || s.base < upTo // the window may have let go of an entry that has a frame
		s.trim(l, upTo)
	}
	return trimmed
}

// never is when nothing lapses.
const never = math.MaxInt64

// lapse is when e's time to live is over, Unix milliseconds.
func lapse(e *broker.Entry) int64 { return e.Time + e.TTL.Milliseconds() }

// check compares heads with the broker's, in a task, unless the one before is still under way.
func (h *Hub) check(now int64, logs []*log) {
	if len(logs) == 0 || !h.checking.CompareAndSwap(false, true) {
		return
	}
	ok := h.cfg.Task(func(ctx context.Context) {
		defer h.checking.Store(false)
		for len(logs) > 0 && ctx.Err() == nil {
			n := min(len(logs), checkMany)
			h.compare(ctx, now, logs[:n])
			logs = logs[n:]
		}
	})
	if !ok {
		h.checking.Store(false)
	}
}

// compare asks for the heads of logs and has those read on that are not where the broker is.
func (h *Hub) compare(ctx context.Context, now int64, logs []*log) {
	names, known := make([]string, len(logs)), make([]uint64, len(logs))
	for i, l := range logs {
		l.mu.Lock()
		names[i], known[i] = l.name, l.head
		l.mu.Unlock()
	}
	heads, err := h.cfg.Broker.Heads(ctx, names)
	if err != nil || len(heads) != len(logs) {
		return // the next Tick asks again
	}
	for i, l := range logs {
		l.mu.Lock()
		l.checkedAt = now
		at := heads[i]
		other := at.Epoch != l.epoch || at.Offset < known[i] // a read will tell for sure
		if !other {
			l.live.ahead = max(l.live.ahead, at.Offset)
		}
		differs := other || at.Offset > l.head
		l.mu.Unlock()
		if differs {
			l.catchUp()
		}
	}
}
