package hub

import (
	"context"

	"hocket.dev/broker"
)

// backlog is a run of entries that a cursor is due before those of the window. The log goes on after it.
type backlog struct {
	epoch   string
	entries []*broker.Entry
	sent    int
	more    bool   // there are further pages
	upTo    uint64 // the last page reaches up to here, whether or not an entry has this offset
	state   bool   // the pages are of the compacted state as it was at upTo
	reading bool   // the next page is under way
}

// takeBacklog makes the frames of entries that came from the broker for this cursor alone.
func (c *Cursor) takeBacklog(s *Scratch, max int) Slice {
	b := c.behind
	if b.sent < len(b.entries) {
		return c.encode(s, b.epoch, b.entries[b.sent:], max)
	}
	if !b.reading {
		c.rejoin()
	}
	return Slice{}
}

// rejoin goes on after the entries of the backlog: in the window when it reaches back far enough, else with the next
// page, which is asked for.
func (c *Cursor) rejoin() {
	b, l := c.behind, c.group.log
	if !b.more {
		c.offset = max(c.offset, b.upTo)
		b.state = false
	}
	if !b.state {
		l.mu.Lock()
		inside := c.offset >= l.tail
		if inside {
			c.next = l.index(c.offset) // if that is the end, entries that the pages held may still come: Take knows
			c.behind = nil
		}
		l.mu.Unlock()
		if inside {
			return
		}
	}
	c.readOn()
}

// readOn asks the broker for the page after the cursor's offset.
func (c *Cursor) readOn() {
	b, g := c.behind, c.group
	h, name, epoch, after, state := g.log.hub, g.log.name, b.epoch, c.offset, b.state
	b.reading = true
	h.stats.reads.Add(1)
	ok := h.cfg.Task(func(ctx context.Context) {
		page, err := h.readAfter(ctx, name, epoch, after, state)
		g.loop.Post(func() { c.resume(b, &page, err) })
	})
	if !ok {
		g.loop.Post(func() { c.resume(b, &broker.Page{}, ErrBusy) })
	}
}

func (h *Hub) readAfter(ctx context.Context, name, epoch string, after uint64, state bool) (broker.Page, error) {
	if state {
		return h.cfg.Broker.(broker.State).State(ctx, name, broker.StateQuery{After: after, Limit: h.pageEntries})
	}
	q := broker.Query{HasAfter: true, After: after, Epoch: epoch, Limit: h.pageEntries}
	return h.cfg.Broker.Read(ctx, name, q)
}

// resume takes the page that readOn asked for. b tells whether the cursor is still the one that asked.
func (c *Cursor) resume(b *backlog, page *broker.Page, err error) {
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
	b.entries, b.sent, b.more = page.Entries, 0, page.More
	switch {
	case b.state:
		b.endState()
	case c.offset >= page.Head: // nothing new: the broker knows less than the window, which tells the gap
		c.behind, c.next = nil, 0
	default:
		if gap := hole(c.offset, page); gap != nil {
			b.entries = append([]*broker.Entry{gap}, b.entries...)
		}
		b.upTo = page.Head
	}
	c.wake()
}

// endState cuts off what has been written since the first page: the log brings it.
func (b *backlog) endState() {
	n := len(b.entries)
	for n > 0 && b.entries[n-1].Offset > b.upTo {
		n--
	}
	b.more = b.more && n > 0 && n == len(b.entries)
	b.entries = b.entries[:n]
}
