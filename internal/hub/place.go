package hub

import (
	"context"
	"sort"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// placing is a cursor on its way into a log.
type placing struct {
	hub    *Hub
	req    Request
	cursor *Cursor
	done   func(Placed, error)
	tries  int // pages that were of another epoch than the log
}

func (p *placing) post(fn func()) { p.hub.cfg.Loops[p.req.Loop].Post(fn) }

// fail answers with err, unless the cursor has been closed.
func (p *placing) fail(err error) {
	if p.cursor.state == cursorWaiting {
		p.cursor.state = cursorClosed
		p.done(Placed{}, err)
	}
}

// place puts the cursor into l, on its loop, or has it wait for l to open or for a read. It answers false when l is dead.
func (p *placing) place(l *log) bool {
	l.mu.Lock()
	switch l.state {
	case logOpening:
		l.waiting = append(l.waiting, p)
		l.mu.Unlock()
		return true
	case logDead:
		l.mu.Unlock()
		return false
	}
	index, recovered, ok := l.locate(p.req.Start)
	if !ok {
		l.mu.Unlock()
		p.read(l)
		return true
	}
	p.cursor.next, p.cursor.offset = index, l.offsetBefore(index)
	if p.req.Start.Kind == Position && recovered {
		p.cursor.offset = p.req.Start.Position.Offset
	}
	placed := p.attach(l, recovered)
	l.mu.Unlock()
	p.finish(placed)
	return true
}

// locate finds where a cursor begins. ok is false when the window does not tell. l.mu is held.
func (l *log) locate(s Start) (index uint64, recovered, ok bool) {
	kept := min(len(l.window), l.keep.Count) // the window may hold more than the rule retains
	all := l.holes == 0 && (l.whole || kept == l.keep.Count)
	switch s.Kind {
	case Live:
		return l.end(), true, true
	case Last:
		n := min(max(s.Last, 0), l.keep.Count)
		if all || n <= kept && l.holes == 0 || n == 0 {
			return l.end() - uint64(min(n, kept)), true, true
		}
	case Since:
		oldest := len(l.window) - kept
		i := oldest + sort.Search(kept, func(i int) bool { return l.window[oldest+i].Time >= s.Since })
		if all || i > oldest && l.holes == 0 {
			return l.base + uint64(i), true, true
		}
	case Position:
		at := s.Position
		switch here := at.Epoch == l.epoch; {
		case here && at.Offset > l.head: // perhaps this node has not got it yet
		case here && at.Offset >= l.tail:
			i := l.index(at.Offset)
			return i, true, !l.holed(i)
		case all && (l.whole || !here):
			return l.end() - uint64(kept), false, true
		}
	}
	return 0, false, false
}

// holed says that the window has a hole at index or after it. l.mu is held.
func (l *log) holed(index uint64) bool {
	if l.holes == 0 {
		return false
	}
	for _, e := range l.window[index-l.base:] {
		if e.Op == opGap {
			return true
		}
	}
	return false
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
			p.placeBehind(l, &page, recovered)
		})
	})
	if !ok {
		p.fail(ErrBusy)
	}
}

// firstPage reads the beginning of what is asked for.
func (p *placing) firstPage(ctx context.Context) (page broker.Page, recovered bool, err error) {
	b, start := p.hub.cfg.Broker, p.req.Start
	q := broker.Query{Limit: p.hub.pageEntries}
	switch start.Kind {
	case State:
		st, ok := b.(broker.State)
		if !ok {
			return page, false, ErrNoState
		}
		page, err = st.State(ctx, p.req.Channel, broker.StateQuery{Limit: p.hub.pageEntries})
		return page, true, err
	case Last:
		q.Limit = max(min(start.Last, p.req.History.Count), 1)
	case Since:
		q.Since = max(start.Since, 1)
	case Position:
		q.HasAfter, q.After, q.Epoch = true, start.Position.Offset, start.Position.Epoch
	}
	page, err = b.Read(ctx, p.req.Channel, q)
	// A position without an epoch is none of this log, though a broker takes "" for the current one.
	if start.Kind != Position || err != nil || page.Complete && page.Epoch == start.Position.Epoch {
		return page, true, err
	}
	// What is kept. It may be complete by itself, if everything there ever was is kept.
	page, err = b.Read(ctx, p.req.Channel, broker.Query{HasAfter: true, Limit: p.hub.pageEntries})
	return page, false, err
}

// placeBehind places the cursor before the entries of page.
func (p *placing) placeBehind(l *log, page *broker.Page, recovered bool) {
	c, kind := p.cursor, p.req.Start.Kind
	if c.state != cursorWaiting {
		return
	}
	l.mu.Lock()
	if l.state != logOpen || l.epoch != page.Epoch {
		l.mu.Unlock()
		p.again(l)
		return
	}
	c.behind = &backlog{
		epoch: page.Epoch, entries: page.Entries, upTo: page.Head,
		state: kind == State, more: page.More,
	}
	switch {
	case kind == State:
	case kind == Position && recovered:
		c.offset = p.req.Start.Position.Offset
	case len(page.Entries) > 0:
		c.offset = before(page.Entries[0])
	default:
		c.offset = page.Head
	}
	if page.Head > l.head { // on its way here, or lost
		l.live.ahead, l.live.suspect = max(l.live.ahead, page.Head), true
	}
	placed := p.attach(l, recovered)
	placed.Offset = max(placed.Offset, page.Head)
	if kind == State {
		placed.Offset = page.Head
	}
	l.mu.Unlock()
	p.finish(placed)
}

// mostTries is how often a cursor may find the broker in another epoch than the log: once is news, more is trouble.
const mostTries = 3

// again begins anew: l is dead, or of another epoch than the broker.
func (p *placing) again(l *log) {
	l.mu.Lock()
	open := l.state == logOpen
	l.mu.Unlock()
	if open {
		if p.tries++; p.tries == mostTries {
			p.fail(ErrEpochChanged)
			return
		}
		l.kill(ErrEpochChanged)
	}
	p.hub.subscribe(p)
}
