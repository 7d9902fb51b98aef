package hub

import (
	"context"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// open fills the window of a new log from the broker and then places who waits.
func (l *log) open(r *Request) {
	h, keep := l.hub, r.History
	ok := h.cfg.Task(func(ctx context.Context) {
		limit := max(1, min(keep.Count, h.cfg.WindowEntries))
		for removals, done := uint64(0), false; !done; {
			h.stats.reads.Add(1)
			page, err := h.cfg.Broker.Read(ctx, l.name, broker.Query{Limit: limit})
			if err != nil {
				l.kill(err)
				return
			}
			removals, done = l.fill(keep, limit, &page, removals)
		}
	})
	if !ok {
		l.kill(ErrBusy)
	}
}

// fill opens the log with the newest limit entries that the broker has. It answers false when some of them may have been
// removed since they were asked for: since there were as many removals as it is told.
func (l *log) fill(keep rule.History, limit int, page *broker.Page, removals uint64) (now uint64, done bool) {
	l.mu.Lock()
	if l.state != logOpening || l.removals != removals {
		defer l.mu.Unlock()
		return l.removals, l.state != logOpening
	}
	l.state, l.keep = logOpen, keep
	l.epoch = page.Epoch
	l.tail, l.whole = reach(page, limit)
	l.head = l.tail
	l.unkeyed.opened = l.tail
	if !l.whole {
		l.unkeyed.to = l.tail
	}
	for _, e := range page.Entries {
		l.append(e)
	}
	if mark := l.markUpTo(page.Head); mark != nil {
		l.append(mark)
	}
	l.wroteAt = 0
	if n := len(page.Entries); n > 0 {
		l.wroteAt = page.Entries[n-1].Time
	}
	l.checkedAt = 0 // the broker may not have followed at once: the next Tick compares
	again, waiting := l.live.again, l.waiting
	l.live, l.waiting = liveness{}, nil
	l.mu.Unlock()
	if again {
		l.catchUp()
	}
	for _, p := range waiting {
		p.post(func() { p.hub.subscribe(p) })
	}
	return removals, true
}

// reach tells how far back a page of the newest limit entries reaches: the offset after which it holds everything, and
// whether nothing up to there is to be had from the broker.
func reach(page *broker.Page, limit int) (tail uint64, whole bool) {
	switch {
	case page.Complete && !page.More && len(page.Entries) < limit:
		return 0, true // all there ever were
	case len(page.Entries) == 0:
		return page.Head, !page.More
	}
	first := page.Entries[0]
	// When the first one is not known to follow on another it may be the first ever: a position before it is then good,
	// and only the broker can tell.
	return before(first), !page.More && first.Prev != 0
}
