package hub

import (
	"context"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

const (
	// Heads are asked for as DESIGN.md says: often where something is written, seldom elsewhere.
	checkBusy = int64(time.Second / time.Millisecond)
	checkIdle = int64(30 * time.Second / time.Millisecond)
	busyFor   = int64(time.Minute / time.Millisecond)
	checkMany = 512 // channels per question
	cacheFor  = int64(2 * time.Second / time.Millisecond)
)

// open fills the window of a new log from the broker and then places who waits.
func (l *log) open(keep rule.History) {
	h := l.hub
	h.stats.reads.Add(1)
	ok := h.cfg.Task(func(ctx context.Context) {
		limit := max(1, min(keep.Count, h.cfg.WindowEntries))
		page, err := h.cfg.Broker.Read(ctx, l.name, broker.Query{Limit: limit})
		if err != nil {
			l.kill(err)
			return
		}
		l.fill(keep, page)
	})
	if !ok {
		l.kill(ErrBusy)
	}
}

// fill opens the log with what the broker has.
func (l *log) fill(keep rule.History, page broker.Page) {
	l.mu.Lock()
	if l.state != logOpening {
		l.mu.Unlock()
		return
	}
	l.state, l.keep = logOpen, keep
	l.epoch, l.head, l.tail = page.Epoch, page.Head, page.Head
	l.whole = !page.More
	l.checkedAt = l.hub.now.Load()
	l.leftAt = l.checkedAt
	if len(page.Entries) > 0 {
		l.tail = page.Entries[0].Prev
		if l.tail == 0 {
			l.tail = page.Entries[0].Offset - 1
		}
		for _, e := range page.Entries {
			l.append(e)
		}
		l.head = max(l.head, page.Head)
	}
	waiting, early := l.waiting, l.early
	l.waiting, l.early = nil, false
	l.mu.Unlock()
	if early {
		l.catchUp()
	}
	for _, p := range waiting {
		p.post(func() { p.place(l) })
	}
}

// catchUp reads what the broker has beyond the head, unless that is being done.
func (l *log) catchUp() {
	l.mu.Lock()
	start := l.state == logOpen && !l.reading
	if start {
		l.reading = true
	}
	l.mu.Unlock()
	if !start {
		return
	}
	if !l.hub.cfg.Task(l.readOn) {
		l.pause()
	}
}

// pause leaves the rest of a catch-up to the next Tick.
func (l *log) pause() {
	l.mu.Lock()
	l.reading, l.suspect = false, true
	l.mu.Unlock()
}

// readOn appends page after page until nothing that has been seen is missing.
func (l *log) readOn(ctx context.Context) {
	for {
		l.mu.Lock()
		after, epoch := l.head, l.epoch
		l.mu.Unlock()
		l.hub.stats.reads.Add(1)
		page, err := l.hub.cfg.Broker.Read(ctx, l.name,
			broker.Query{HasAfter: true, After: after, Epoch: epoch, Limit: pageEntries})
		if err != nil {
			l.pause()
			return
		}
		if page.Epoch != epoch || page.Head < after {
			l.reset()
			return
		}
		if l.take(after, page) {
			return
		}
	}
}

// take appends a page that follows on the offset after. It answers true when the catch-up is done.
func (l *log) take(after uint64, page broker.Page) (done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != logOpen {
		return true
	}
	if !page.Complete {
		l.append(hole(after, page))
	}
	for _, e := range page.Entries {
		if e.Offset > l.head {
			l.append(e)
			l.hub.stats.found.Add(1)
		}
	}
	moved := l.head > after
	if moved {
		defer grow(l.groups)
	}
	done = !page.More && (l.head >= l.ahead || !moved)
	if done {
		l.reading, l.suspect = false, l.head < l.ahead
		l.ahead = 0
	}
	return done
}

// Tick does what time brings: it forgets what has grown old, drops channels that nobody follows any more, and compares
// heads with the broker. It is called about once a second, by one goroutine at a time.
func (h *Hub) Tick(now time.Time) {
	ms := now.UnixMilli()
	h.now.Store(ms)
	var logs, check []*log
	for i := range h.shards {
		s := &h.shards[i]
		logs = logs[:0]
		s.mu.RLock()
		for _, l := range s.logs {
			logs = append(logs, l)
		}
		s.mu.RUnlock()
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
	if l.followers == 0 && now-l.leftAt > l.hub.cfg.Linger.Milliseconds() {
		l.mu.Unlock()
		l.retire()
		return false
	}
	if l.keep.Age > 0 {
		old := 0
		for old < len(l.window) && now-l.window[old].Time > l.keep.Age.Milliseconds() {
			old++
		}
		if old > 0 {
			l.evict(old, true)
		}
	}
	var grown []*group
	if l.cachedAt != 0 && now-l.cachedAt > cacheFor {
		l.cachedAt = 0
		for _, s := range l.sets {
			s.clear(l.end())
		}
		grown = l.groups // so that no loop holds on to the frames
	}
	suspect := l.suspect
	every := checkIdle
	if now-l.wroteAt < busyFor {
		every = checkBusy
	}
	check = now-l.checkedAt >= every
	l.mu.Unlock()
	grow(grown)
	if suspect {
		l.catchUp()
	}
	return check
}

// retire drops a log without followers, unless one has come since.
func (l *log) retire() {
	l.mu.Lock()
	idle := l.state == logOpen && l.followers == 0
	if idle {
		l.state = logDead
		l.hub.bytes.Add(-l.bytes)
		l.window, l.bytes = nil, 0
	}
	l.mu.Unlock()
	if idle {
		l.hub.remove(l)
	}
}

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

func (h *Hub) compare(ctx context.Context, now int64, logs []*log) {
	names := make([]string, len(logs))
	for i, l := range logs {
		names[i] = l.name
	}
	heads, err := h.cfg.Broker.Heads(ctx, names)
	if err != nil || len(heads) != len(logs) {
		return // the next Tick asks again
	}
	for i, l := range logs {
		l.mu.Lock()
		l.checkedAt = now
		changed := l.state == logOpen && heads[i].Epoch != l.epoch
		missing := !changed && heads[i].Offset > l.head
		if missing {
			l.ahead = max(l.ahead, heads[i].Offset)
		}
		l.mu.Unlock()
		switch {
		case changed:
			l.reset()
		case missing:
			l.catchUp()
		}
	}
}

// Close ends every subscription with ErrClosed.
func (h *Hub) Close() {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.RLock()
		logs := make([]*log, 0, len(s.logs))
		for _, l := range s.logs {
			logs = append(logs, l)
		}
		s.mu.RUnlock()
		for _, l := range logs {
			l.kill(ErrClosed)
		}
	}
}
