package hub

import (
	"context"

	"hocket.dev/broker"
)

// heldEntries is how many entries are kept that come live while the ones before them are read. More are read again.
const heldEntries = 256

// liveness is what a log knows of entries that it has not got. It is guarded by the log's lock.
type liveness struct {
	reading bool            // a catch-up is under way, or the log is being opened
	again   bool            // something has come that one more read has to answer
	suspect bool            // a catch-up could not be finished: the next Tick tries again
	ahead   uint64          // the newest offset heard of
	held    []*broker.Entry // came live while reading
}

// deliver takes a live entry.
func (l *log) deliver(epoch string, e *broker.Entry) {
	l.mu.Lock()
	switch {
	case l.state == logDead:
	case l.state == logOpening:
		l.live.again = true
	case epoch == l.epoch && e.Offset <= l.head: // read already
	case !l.live.reading && epoch == l.epoch && l.follows(e):
		l.accept(e)
		l.release(l.groups)
		return
	default:
		l.hold(epoch, e)
		start := !l.live.reading
		l.mu.Unlock()
		if start {
			l.catchUp()
		}
		return
	}
	l.mu.Unlock()
}

// follows says that there is no entry between the head and e. An entry that does not name the one before it might follow
// on any: only a read can tell.
func (l *log) follows(e *broker.Entry) bool { return e.Prev == l.head }

// hold keeps e until the entries before it have been read. l.mu is held.
func (l *log) hold(epoch string, e *broker.Entry) {
	v := &l.live
	if epoch != l.epoch {
		v.again = true
		return
	}
	v.ahead = max(v.ahead, e.Offset)
	if len(v.held) < heldEntries {
		v.held = append(v.held, e)
	}
}

// catchUp reads what the broker has beyond the head. If that is being done, it is done once more.
func (l *log) catchUp() {
	l.mu.Lock()
	if l.state == logDead || l.live.reading || l.state == logOpening {
		l.live.again = true
		l.mu.Unlock()
		return
	}
	l.live.reading = true
	l.mu.Unlock()
	if !l.hub.cfg.Task(l.readOn) {
		l.pause(nil)
	}
}

// pause leaves the rest of a catch-up to the next Tick. Those who wait for it, with the ones given, read for themselves.
func (l *log) pause(unsure []*placing) {
	l.mu.Lock()
	unsure = append(unsure, l.unsure...)
	l.live, l.unsure = liveness{suspect: true}, nil
	l.mu.Unlock()
	for _, p := range unsure {
		p.post(func() { p.read(l) })
	}
}

// assure has p wait until the log is known to have come as far as the broker is now. l.mu is held, and is released.
func (l *log) assure(p *placing) {
	l.unsure = append(l.unsure, p)
	l.live.again = true // a read under way may have begun too early
	l.mu.Unlock()
	l.catchUp()
}

// readOn appends page after page until nothing that has been heard of is missing.
func (l *log) readOn(ctx context.Context) {
	var unsure []*placing // for whom this read began late enough
	for {
		l.mu.Lock()
		after, epoch, ahead, removals := l.head, l.epoch, l.live.ahead, l.removals
		l.live.again = false
		unsure, l.unsure = append(unsure, l.unsure...), nil
		dead := l.state == logDead
		l.mu.Unlock()
		if dead {
			resubscribe(unsure)
			return
		}
		l.hub.stats.reads.Add(1)
		page, err := l.hub.cfg.Broker.Read(ctx, l.name,
			broker.Query{HasAfter: true, After: after, Epoch: epoch, Limit: l.hub.pageEntries})
		if err != nil {
			l.pause(unsure)
			return
		}
		if page.Epoch != epoch || page.Head < after {
			l.kill(ErrEpochChanged)
			resubscribe(unsure)
			return
		}
		if l.removedSince(removals) {
			continue
		}
		done := l.take(after, ahead, &page)
		if done || !page.More {
			resubscribe(unsure)
			unsure = nil
		}
		if done {
			return
		}
	}
}

// resubscribe places those who have waited for a read.
func resubscribe(unsure []*placing) {
	for _, p := range unsure {
		p.post(func() {
			p.sure = true
			p.hub.subscribe(p)
		})
	}
}

// take appends a page that follows on the offset after, and what is held behind it. ahead is the newest offset that had
// been heard of before the page was asked for. It answers whether the catch-up is done.
func (l *log) take(after, ahead uint64, page *broker.Page) (done bool) {
	l.mu.Lock()
	if l.state != logOpen {
		l.mu.Unlock()
		return true
	}
	end, groups := l.end(), []*group(nil)
	if gap := hole(after, page); gap != nil {
		gap.Time = l.newestTime()
		if gap.Offset <= l.removed {
			gap.Key = gapRemoved
		}
		l.accept(gap)
	}
	for _, e := range page.Entries {
		if e.Offset > l.head {
			l.accept(e)
			l.hub.stats.found.Add(1)
		}
	}
	if mark := l.markUpTo(page.Head); mark != nil && !page.More {
		l.accept(mark)
	}
	l.takeHeld()
	if l.end() > end {
		groups = l.groups
	}
	v := &l.live
	switch {
	case page.More || v.again:
	case l.head >= v.ahead:
		*v, done = liveness{}, true
	case l.head > after || v.ahead > ahead: // what is missing may have come to the broker since
	default:
		*v, done = liveness{suspect: true}, true // heard of, and not to be had yet
	}
	l.release(groups)
	return done
}

// markUpTo makes the mark of what is not there any more between the head of this log and that of the broker's, since it is
// over or was removed: cursors pass it. It is nil where that is nothing. l.mu is held.
func (l *log) markUpTo(head uint64) *broker.Entry {
	if head <= l.head {
		return nil
	}
	return &broker.Entry{Op: opRemoved, Prev: l.head, Offset: head, Time: l.newestTime()}
}

// newestTime is a time for a mark at the head: times in a window do not step back. l.mu is held.
func (l *log) newestTime() int64 {
	if n := len(l.window); n > 0 {
		return l.window[n-1].Time
	}
	return l.hub.now.Load()
}

// release releases l.mu, has groups look at what has been appended, and begins the interval that goes with it.
func (l *log) release(groups []*group) {
	every, loop := l.pace.every, Loop(nil)
	if l.pace.wanted {
		l.pace.wanted = false
		loop = l.hub.cfg.Loops[0]
		if len(l.groups) > 0 {
			loop = l.groups[0].loop
		}
	}
	l.mu.Unlock()
	grow(groups)
	if loop != nil {
		l.beginInterval(every, loop)
	}
}

// takeHeld appends what is held and follows on the head. l.mu is held.
func (l *log) takeHeld() {
	held := l.live.held
	for len(held) > 0 && (held[0].Offset <= l.head || l.follows(held[0])) {
		if held[0].Offset > l.head {
			l.accept(held[0])
		}
		held = held[1:]
	}
	if len(held) == 0 {
		held = nil
	}
	l.live.held = held
}

// hole makes the mark of the entries that are missing between the offset after and page; nil when none are.
func hole(after uint64, page *broker.Page) *broker.Entry {
	if page.Complete {
		return nil
	}
	to := page.Head
	if len(page.Entries) > 0 {
		to = before(page.Entries[0])
	}
	if to <= after {
		return nil
	}
	return &broker.Entry{Op: opGap, Prev: after, Offset: to, Key: gapUnavailable}
}

// before is the offset before e: that of the entry before it, as far as is known. Of a mark it is.
func before(e *broker.Entry) uint64 {
	if e.Prev != 0 || e.Op == opGap {
		return e.Prev
	}
	return e.Offset - 1
}
