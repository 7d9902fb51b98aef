package hub

import (
	"cmp"
	"slices"

	"hocket.dev/broker"
)

// unkeyed is what a log knows of its entries without a key: of these a follower that jumps is told the newest. It is guarded by
// the log's lock.
type unkeyed struct {
	newest *broker.Entry // wherever it is by now: also where it waits to come into the window; nil for none that is known
	// Among the offsets after from, up to to, there may be others that are not known. Where to is before the newest they are
	// no matter.
	from, to uint64
	// After opened, where the log was, there is none up to first, which is set when one has come.
	opened, first uint64
	came          bool
}

// last is the offset of the newest, 0 for none.
func (u *unkeyed) last() uint64 {
	if u.newest == nil {
		return 0
	}
	return u.newest.Offset
}

// after says that there may be some after an offset.
func (u *unkeyed) after(offset uint64) bool { return offset < max(u.last(), u.to) }

// since is an offset after which the first may come that comes after another one.
func (u *unkeyed) since(offset uint64) uint64 {
	if offset < u.opened {
		return offset
	}
	return max(offset, u.first)
}

// unkeyedSince is what unkeyed.since answers: where the log began after this node had opened it, nothing was before.
func (l *log) unkeyedSince(offset uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unkeyed.since(offset)
}

// put takes note of an entry, or mark of what could not be read, that has come to the head.
func (u *unkeyed) put(e *broker.Entry) {
	switch {
	case e.Op == opRemoved:
		return
	case e.Op == opGap:
		if u.to <= u.last() {
			u.from = e.Prev
		}
		u.to = e.Offset
	case e.Key == "":
		u.newest = e
	default:
		return
	}
	if !u.came {
		u.first, u.came = before(e), true
	}
}

// forget says that the newest is not to be had any more.
func (u *unkeyed) forget() {
	u.newest, u.from, u.to = nil, 0, max(u.last(), u.to)
}

// findUnkeyed looks for the newest entry without a key in the window. What has left that is not known any more. l.mu is held.
func (l *log) findUnkeyed() {
	u := &l.unkeyed
	u.newest, u.from, u.to = nil, 0, l.tail
	for _, e := range l.window {
		u.put(e)
	}
}

// unkeyedAfter gives what is known of the entries without a key after an offset, up to the end of the window, whose others are
// among them. What is not known it marks. l.mu is held.
func (l *log) unkeyedAfter(offset uint64) (known []*broker.Entry) {
	u := &l.unkeyed
	since := u.since(offset)
	mark := func(from, to uint64) {
		if from = max(from, since); from < to {
			known = append(known, &broker.Entry{Op: opGap, Prev: from, Offset: to})
		}
	}
	switch last := u.last(); {
	case last <= offset:
		mark(u.from, min(u.to, l.tail))
	case last <= l.tail:
		mark(offset, cmp.Or(u.newest.Prev, last)) // for whom the newest is not
		known = append(known, u.newest)
		mark(max(u.from, last), min(u.to, l.tail))
	default:
		mark(offset, l.tail)
	}
	return append(known, l.window[l.index(offset)-l.base:]...)
}

// addUnkeyed puts the newest entry without a key that there is for c where it belongs among the entries of a page. Where the
// log has not come as far as the page, that entry is not known yet: then the page has to be asked for once more.
func (c *Cursor) addUnkeyed(page *broker.Page) {
	b, l := c.behind, c.group.log
	l.mu.Lock()
	behind, known := l.isBehind(page.Head), append(l.unkeyedAfter(c.offset), l.pace.waiting...)
	l.mu.Unlock()
	if behind {
		b.entries, b.more = nil, true
		return
	}
	to := page.Head
	if n := len(b.entries); b.more && n > 0 {
		to = b.entries[n-1].Offset
	}
	b.entries = merge(b.entries, c.dueUnkeyed(known, page.Head, to))
}

// dueUnkeyed picks the newest entry without a key, of those up to head, that there is for c, and marks of what comes after it
// and is not to be had, which may have been newer. It gives those up to an offset, as the next page brings the others.
func (c *Cursor) dueUnkeyed(known []*broker.Entry, head, to uint64) (due []*broker.Entry) {
	newer := false // c will be told one that comes after head: what is not to be had is no matter then
	for i := len(known) - 1; i >= 0 && known[i].Offset > c.offset; i-- {
		switch e := known[i]; {
		case e.Op == opGap:
			mark := &broker.Entry{Op: opGap, Prev: max(e.Prev, c.offset), Offset: min(e.Offset, to), Key: gapWithoutKey}
			if !newer && mark.Prev < mark.Offset {
				due = append(due, mark)
			}
			continue
		case newer && e.Offset > head, !c.gets(e):
			continue
		case e.Offset > head:
			newer = true
			continue
		case e.Offset <= to:
			due = append(due, e)
		}
		break
	}
	slices.Reverse(due)
	return due
}

// gets says that e has no key and that there is something of it for c.
func (c *Cursor) gets(e *broker.Entry) bool {
	l := c.group.log
	return e.Key == "" && !l.over(e) && !skips(e, c.owner.Name()) && len(c.view.set.enc.AppendEntry(nil, l.name, "", e)) > 0
}
