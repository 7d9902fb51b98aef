package hub

import (
	"context"
	"sort"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// pageEntries is how many entries are read from the broker at once.
const pageEntries = 1000

// placing is a cursor on its way into a log.
type placing struct {
	hub    *Hub
	req    Request
	cursor *Cursor
	done   func(Placed, error)
}

// backlog is a run of entries that a cursor is due before those of the window.
type backlog struct {
	epoch   string
	entries []*broker.Entry
	sent    int
	more    bool // of the state
	state   bool // the entries are of the compacted state as it was at upTo; the log goes on after upTo
	upTo    uint64
	reading bool // the next page is under way
}

func (p *placing) post(fn func()) { p.hub.cfg.Loops[p.req.Loop].Post(fn) }

// fail answers with err, unless the cursor has been closed.
func (p *placing) fail(err error) {
	if p.cursor.state == cursorWaiting {
		p.cursor.state = cursorClosed
		p.done(Placed{}, err)
	}
}

// place puts the cursor into l, on its loop.
func (p *placing) place(l *log) {
	if p.cursor.state != cursorWaiting {
		return
	}
	l.mu.Lock()
	switch l.state {
	case logOpening:
		l.waiting = append(l.waiting, p)
		l.mu.Unlock()
		return
	case logDead:
		l.mu.Unlock()
		p.hub.subscribe(p)
		return
	}
	index, recovered, ok := l.locate(p.req.Start)
	if !ok {
		l.mu.Unlock()
		p.read(l)
		return
	}
	p.cursor.next, p.cursor.offset = index, l.offsetBefore(index)
	if p.req.Start.Kind == Position && recovered {
		p.cursor.offset = p.req.Start.Position.Offset
	}
	placed := p.attach(l, recovered)
	l.mu.Unlock()
	p.finish(placed)
}

// locate finds where a cursor begins. ok is false when the window does not tell. l.mu is held.
func (l *log) locate(s Start) (index uint64, recovered, ok bool) {
	kept := min(len(l.window), l.keep.Count) // the window may hold more than the rule retains
	switch s.Kind {
	case Live:
		return l.end(), true, true
	case Last:
		n := min(max(s.Last, 0), l.keep.Count)
		if n <= kept || l.whole {
			return l.end() - uint64(min(n, kept)), true, true
		}
	case Since:
		oldest := len(l.window) - kept
		i := oldest + sort.Search(kept, func(i int) bool { return l.window[oldest+i].Time >= s.Since })
		if i > oldest || l.whole || kept == l.keep.Count {
			return l.base + uint64(i), true, true
		}
	case Position:
		at := s.Position
		valid := at.Epoch == l.epoch && at.Offset <= l.head
		if valid && at.Offset >= l.tail {
			return l.index(at.Offset), true, true
		}
		if l.whole || l.keep.Count == 0 {
			return l.end() - uint64(kept), false, true
		}
	}
	return 0, false, false
}

// attach puts the cursor, whose place is set, into its group. l.mu is held.
func (p *placing) attach(l *log, recovered bool) Placed {
	p.cursor.disconnect = p.req.Overflow == rule.OverflowDisconnect
	l.group(p.req.Loop).add(p.cursor, p.req.Encoding)
	return Placed{Epoch: l.epoch, Offset: l.head, Recovered: recovered}
}

// finish answers, and lets the owner know that there is something to send.
func (p *placing) finish(placed Placed) {
	if p.req.Start.Kind == Position {
		if placed.Recovered {
			p.hub.stats.recovered.Add(1)
		} else {
			p.hub.stats.unrecovered.Add(1)
		}
	}
	p.done(placed, nil)
	p.cursor.wake()
}

// wake tells the owner when something is due.
func (c *Cursor) wake() {
	if c.state == cursorPlaced && !c.due && (c.behind != nil || c.next < c.group.end) {
		c.due = true
		c.owner.Due(c)
	}
}

// read asks the broker for what the window does not hold, and places the cursor with it.
func (p *placing) read(l *log) {
	h := p.hub
	h.stats.reads.Add(1)
	ok := h.cfg.Task(func(ctx context.Context) {
		page, recovered, err := p.firstPage(ctx)
		p.post(func() {
			if err != nil {
				p.fail(err)
				return
			}
			p.placeBehind(l, page, recovered)
		})
	})
	if !ok {
		p.fail(ErrBusy)
	}
}

// firstPage reads the beginning of what is asked for.
func (p *placing) firstPage(ctx context.Context) (page broker.Page, recovered bool, err error) {
	b, start := p.hub.cfg.Broker, p.req.Start
	q := broker.Query{Limit: pageEntries}
	switch start.Kind {
	case State:
		st, ok := b.(broker.State)
		if !ok {
			return page, false, ErrNoState
		}
		page, err = st.State(ctx, p.req.Channel, broker.StateQuery{Limit: pageEntries})
		return page, true, err
	case Last:
		q.Limit = min(start.Last, max(p.req.History.Count, 1))
	case Since:
		q.Since = max(start.Since, 1)
	case Position:
		q.HasAfter, q.After, q.Epoch = true, start.Position.Offset, start.Position.Epoch
	}
	page, err = b.Read(ctx, p.req.Channel, q)
	if start.Kind != Position || err != nil || page.Complete {
		return page, true, err
	}
	page, err = b.Read(ctx, p.req.Channel, broker.Query{HasAfter: true, Limit: pageEntries}) // what is kept
	return page, false, err
}

// placeBehind places the cursor before the entries of page.
func (p *placing) placeBehind(l *log, page broker.Page, recovered bool) {
	if p.cursor.state != cursorWaiting {
		return
	}
	c := p.cursor
	l.mu.Lock()
	if l.state != logOpen || l.epoch != page.Epoch {
		dead := l.state == logDead
		l.mu.Unlock()
		if dead {
			p.hub.subscribe(p)
		} else {
			p.fail(ErrEpochChanged)
		}
		return
	}
	state := p.req.Start.Kind == State
	c.behind = &backlog{epoch: page.Epoch, entries: page.Entries, state: state, upTo: page.Head, more: page.More}
	switch {
	case state:
	case len(page.Entries) > 0:
		c.offset = page.Entries[0].Prev
	default:
		c.offset = max(page.Head, l.tail)
	}
	placed := p.attach(l, recovered)
	if state {
		placed.Offset = page.Head
	}
	l.mu.Unlock()
	p.finish(placed)
}

// rejoin goes on after the entries of the backlog have been sent: in the window when it reaches back far enough (it
// answers true), else with the next page, which is asked for.
func (c *Cursor) rejoin() bool {
	b, l := c.behind, c.group.log
	if b.state && b.more && c.offset < b.upTo {
		c.readOn()
		return false
	}
	if b.state {
		c.offset, b.state = max(c.offset, b.upTo), false
	}
	l.mu.Lock()
	inside := c.offset >= l.tail
	if inside {
		c.next = l.index(c.offset)
		c.behind = nil
		c.group.refreshLocked()
	}
	l.mu.Unlock()
	if !inside {
		c.readOn()
	}
	return inside
}

// readOn asks the broker for the page after the cursor's offset.
func (c *Cursor) readOn() {
	b, g := c.behind, c.group
	h, name, after := g.log.hub, g.log.name, c.offset
	b.reading = true
	h.stats.reads.Add(1)
	ok := h.cfg.Task(func(ctx context.Context) {
		page, err := readAfter(ctx, h.cfg.Broker, name, b.epoch, after, b.state)
		g.loop.Post(func() { c.resume(b, page, err) })
	})
	if !ok {
		b.reading = false
		g.loop.Post(func() { c.resume(b, broker.Page{}, ErrBusy) })
	}
}

func readAfter(ctx context.Context, b broker.Broker, name, epoch string, after uint64, state bool) (broker.Page, error) {
	if state {
		return b.(broker.State).State(ctx, name, broker.StateQuery{After: after, Limit: pageEntries})
	}
	return b.Read(ctx, name, broker.Query{HasAfter: true, After: after, Epoch: epoch, Limit: pageEntries})
}

// resume takes the page that readOn asked for. b tells whether the cursor is still the one that asked.
func (c *Cursor) resume(b *backlog, page broker.Page, err error) {
	if c.state != cursorPlaced || c.behind != b {
		return
	}
	b.reading = false
	if err == nil && page.Epoch != b.epoch {
		err = ErrEpochChanged
	}
	if err != nil {
		owner := c.owner
		c.Close()
		owner.Ended(c, err)
		return
	}
	b.entries, b.sent = page.Entries, 0
	if b.state {
		b.more = page.More
		for n := len(b.entries); n > 0 && b.entries[n-1].Offset > b.upTo; n-- {
			b.entries, b.more = b.entries[:n-1], false
		}
		if len(b.entries) == 0 {
			b.more = false
		}
	} else if !page.Complete {
		b.entries = append([]*broker.Entry{hole(c.offset, page)}, b.entries...)
	}
	c.wake()
}

// hole makes the mark of the entries after the offset after that page does not hold.
func hole(after uint64, page broker.Page) *broker.Entry {
	to := page.Head
	if len(page.Entries) > 0 {
		to = max(after+1, page.Entries[0].Prev)
		if page.Entries[0].Prev == 0 {
			to = page.Entries[0].Offset - 1
		}
	}
	return &broker.Entry{Op: opGap, Prev: after, Offset: max(to, after+1)}
}
