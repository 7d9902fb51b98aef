package hub

import (
	"context"
	"errors"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// What is read for a cursor that the window has left behind is bounded besides by boundedPages on the node, of at most
// boundedEntries and boundedBytes each: there may be thousands of them.
const (
	boundedPages   = 256
	boundedEntries = 128
	boundedBytes   = 256 << 10
)

type backlogKind uint8

const (
	entriesOfLog   backlogKind = iota
	wholeState                 // as it was at upTo: what has been written since is left to changesOfState
	changesOfState             // the latest entry of each key since an offset, deletes included
)

// backlog is a run of entries that a cursor is due before those of the window. The log goes on after it.
type backlog struct {
	epoch   string
	entries []*broker.Entry
	sent    int
	upTo    uint64 // the last page reaches up to here, whether or not an entry has this offset
	live    uint64 // of a state: where it was asked for. What comes after it is told, or told as missed
	asked   uint64 // how often something had been removed from the log when the page was asked for
	kind    backlogKind
	more    bool // there are further pages
	reading bool // the next page is under way
	idle    bool // nothing of the page has been taken since the last Tick
	moved   bool // of wholeState: something has been written since the first page
	bounded bool // it belongs to a cursor that was left behind
	latest  bool // the newest entry without a key comes with it
	counted bool // its page counts in Hub.refills
	newest  bool // its entries are the newest there was when the cursor jumped to the head, and marks
}

// takeBacklog makes the frames of entries that came from the broker for this cursor alone.
func (c *Cursor) takeBacklog(s *Scratch, max int) Slice {
	b := c.behind
	if b.sent < len(b.entries) {
		return c.encode(s, b.epoch, b.entries[b.sent:], max)
	}
	if b.reading {
		return Slice{}
	}
	return c.rejoin()
}

// rejoin goes on after the entries of the backlog: in the window when it reaches back far enough, else with the next
// page, which is asked for.
func (c *Cursor) rejoin() (sl Slice) {
	b, l := c.behind, c.group.log
	if !b.more {
		sl.Passed = b.upTo > c.offset
		c.offset = max(c.offset, b.upTo)
		b.goOn()
	}
	if b.kind == entriesOfLog || !b.more {
		l.mu.Lock()
		index := l.index(c.offset) // if that is the end, entries that the pages held may still come: Take knows
		inside := c.offset >= l.tail && !l.within(c.offset, index)
		if inside {
			c.next = index
			l.enter(c.offset)
		}
		l.mu.Unlock()
		if inside {
			b.drop(l.hub)
			c.behind = nil
			return sl
		}
	}
	c.readOn()
	return sl
}

// goOn says what comes after the last page where the window does not reach back to it. A state is brought up to date by
// what has changed in it, so that a log that is not retained leaves no hole.
func (b *backlog) goOn() {
	switch b.kind {
	case wholeState:
		b.more, b.kind = b.moved, changesOfState
	case changesOfState, entriesOfLog:
	}
}

// readBehind has c go on with what b says, beginning with a page that is asked for.
func (c *Cursor) readBehind(b *backlog) {
	c.behind = b
	c.readOn()
}

// readOn asks the broker for the page after the cursor's offset, now or when it has room.
func (c *Cursor) readOn() {
	b, g := c.behind, c.group
	h := g.log.hub
	b.entries, b.sent, b.idle, b.reading = nil, 0, false, true
	g.watch.Store(true)
	if b.bounded && !b.counted {
		if h.refills.Add(1) > boundedPages {
			h.refills.Add(-1)
			c.retry()
			return
		}
		b.counted = true
	}
	q := page{kind: b.kind, epoch: b.epoch, after: c.offset, limit: h.pageEntries, live: b.live, keyed: b.latest}
	if b.bounded {
		q.limit = min(q.limit, boundedEntries)
	}
	g.log.mu.Lock()
	b.asked = g.log.removals
	g.log.mu.Unlock()
	h.stats.reads.Add(1)
	ok := h.cfg.Task(func(ctx context.Context) {
		page, err := g.log.read(ctx, &q)
		g.loop.Post(func() { c.resume(b, &page, err) })
	})
	if !ok {
		c.retry()
	}
}

// page says what to read for a cursor.
type page struct {
	kind  backlogKind
	epoch string
	after uint64
	limit int
	live  uint64 // see backlog
	keyed bool   // of changesOfState: no entries without a key
}

func (l *log) read(ctx context.Context, p *page) (broker.Page, error) {
	b := l.hub.cfg.Broker
	if p.kind == entriesOfLog {
		return b.Read(ctx, l.name, broker.Query{HasAfter: true, After: p.after, Epoch: p.epoch, Limit: p.limit})
	}
	st, ok := b.(broker.State)
	if !ok {
		return broker.Page{}, ErrNoState
	}
	changes := p.kind == changesOfState
	page, err := st.State(ctx, l.name, broker.StateQuery{After: p.after, Limit: p.limit, Deletes: changes})
	if err == nil && changes && page.Complete && page.Epoch == p.epoch && !p.keyed {
		err = l.mix(ctx, p, &page)
	}
	return page, err
}

// retry asks for the page a little later. Nothing is lost by it: the cursor stays where it is.
func (c *Cursor) retry() {
	b := c.behind
	b.release(c.group.log.hub)
	c.group.loop.After(retryAfter, func() {
		if c.state == cursorPlaced && c.behind == b {
			c.readOn()
		}
	})
}

// release gives up the page.
func (b *backlog) release(h *Hub) {
	b.entries, b.sent = nil, 0
	if b.counted {
		b.counted = false
		h.refills.Add(-1)
	}
}

// drop gives up the backlog, which may be nil.
func (b *backlog) drop(h *Hub) {
	if b != nil {
		b.release(h)
	}
}

// resume takes the page that readOn asked for. b tells whether the cursor is still the one that asked.
func (c *Cursor) resume(b *backlog, page *broker.Page, err error) {
	if c.state != cursorPlaced || c.behind != b {
		return
	}
	if err == nil && page.Epoch != b.epoch {
		err = ErrEpochChanged
	}
	switch {
	case errors.Is(err, broker.ErrBusy), err == errBehind, err != nil && b.bounded && err != ErrEpochChanged && err != ErrNoState:
		c.retry()
		return
	case err != nil:
		owner := c.owner
		c.Close()
		owner.Ended(c, err)
		return
	case c.group.log.removedSince(b.asked):
		c.readOn()
		return
	}
	b.reading = false
	b.entries, b.sent, b.more = page.Entries, 0, page.More
	if b.bounded {
		b.cut()
	}
	if b.kind == entriesOfLog {
		c.resumeLog(page)
	} else {
		c.resumeState(page)
	}
	if c.behind == b && b.more && len(b.entries) == 0 { // it will have more when this node has
		b.reading = true
		c.retry()
		return
	}
	c.wake()
}

// cut keeps no more of a page than is allowed. The rest is read again.
func (b *backlog) cut() {
	bytes := int64(0)
	for i, e := range b.entries {
		if bytes += e.Size(); i > 0 && bytes > boundedBytes {
			b.entries, b.more = b.entries[:i:i], true
			return
		}
	}
}

func (c *Cursor) resumeLog(page *broker.Page) {
	b := c.behind
	if c.offset >= page.Head { // nothing new: the broker knows less than the window, which tells the gap
		b.drop(c.group.log.hub)
		c.behind, c.next = nil, 0
		return
	}
	b.upTo = page.Head
	gap := hole(c.offset, page)
	if gap == nil {
		return
	}
	l := c.group.log
	l.mu.Lock()
	removed := l.removed
	l.mu.Unlock()
	switch {
	case gap.Offset <= removed:
		gap.Key = gapRemoved
	case b.bounded:
		gap.Key = gapSlowConsumer
		c.view.terms.counts[rule.OverflowGap].Add(1)
	}
	b.entries = append([]*broker.Entry{gap}, b.entries...)
}
