package hub

import (
	"context"
	"sort"
)

// placing is a cursor on its way into a log.
type placing struct {
	hub    *Hub
	req    Request
	cursor *Cursor
	done   func(Placed, error)
	tries  int  // pages that were of another epoch than the log
	sure   bool // the log has been read on since this was asked for
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
	if !l.admits(p.req.Encoding) {
		l.mu.Unlock()
		p.fail(ErrFilters)
		return true
	}
	index, recovered, ok := l.locate(p.req.Start)
	if ok && recovered && p.inPart() && l.piecesAfter(index, p.req.Start.Position.Offset) {
		ok = false
	}
	if !ok {
		l.mu.Unlock()
		p.read(l)
		return true
	}
	if p.inPart() && recovered && !p.sure {
		l.assure(p)
		return true
	}
	p.cursor.next, p.cursor.offset = index, l.offsetBefore(index)
	switch kind := p.req.Start.Kind; {
	case kind == Position && recovered:
		p.cursor.offset = p.req.Start.Position.Offset
	case kind == Live || kind == Last && index == l.end():
		p.cursor.offset = l.head
	}
	l.enter(p.cursor.offset)
	placed := p.attach(l, recovered)
	l.mu.Unlock()
	p.finish(placed)
	return true
}

// locate finds where a cursor begins. ok is false when the window does not tell. l.mu is held.
func (l *log) locate(s Start) (index uint64, recovered, ok bool) {
	oldest, kept := l.back(l.keep.Count) // the window may hold more than the rule retains
	all := l.holes == 0 && (l.whole || kept == l.keep.Count)
	switch s.Kind {
	case Live:
		return l.end(), true, true
	case Last:
		n := min(max(s.Last, 0), l.keep.Count)
		if all || n <= kept && l.holes == 0 || n == 0 {
			i, _ := l.back(n)
			return l.base + uint64(i), true, true
		}
	case Since:
		i := oldest + sort.Search(len(l.window)-oldest, func(i int) bool { return l.window[oldest+i].Time >= s.Since })
		if all || i > oldest && l.holes == 0 {
			return l.base + uint64(i), true, true
		}
	case Position:
		at := s.Position
		switch here := at.Epoch == l.epoch; {
		case here && at.Offset > l.head: // perhaps this node has not got it yet
		case here && at.Offset >= max(l.tail, l.removed): // what was removed may lie beyond the head
			i := l.index(at.Offset)
			return i, true, !l.holed(i) && !l.within(at.Offset, i)
		case s.WantsState: // the whole state, if not what has changed in it
		case all && (!here || at.Offset < l.lost): // else nothing may be missing: the broker knows
			return l.base + uint64(oldest), false, true
		}
	}
	return 0, false, false
}

// back finds where the newest n entries of the window begin, and counts them: there may be less. l.mu is held.
func (l *log) back(n int) (i, count int) {
	i = len(l.window)
	if l.thin == 0 {
		count = min(n, i)
		return i - count, count
	}
	for i > 0 && count < n {
		i--
		if !l.over(l.window[i]) {
			count++
		}
	}
	return i, count
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
	p.cursor.catches = p.cursor.behind != nil || p.cursor.next < l.end()
	l.group(p.req.Loop).add(p.cursor, &p.req)
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
	l.mu.Lock()
	removals := l.removals
	l.mu.Unlock()
	h.stats.reads.Add(1)
	ok := h.cfg.Task(func(ctx context.Context) {
		first, err := p.first(ctx, l)
		p.post(func() {
			switch {
			case err == errBehind:
				p.hub.cfg.Loops[p.req.Loop].After(retryAfter, func() { p.hub.subscribe(p) })
			case err != nil:
				p.fail(err)
			case l.removedSince(removals):
				p.hub.subscribe(p)
			default:
				p.placeBehind(l, &first)
			}
		})
	})
	if !ok {
		p.fail(ErrBusy)
	}
}

// placeBehind places the cursor before the entries of its first page.
func (p *placing) placeBehind(l *log, first *firstPage) {
	c, page := p.cursor, &first.page
	if c.state != cursorWaiting {
		return
	}
	l.mu.Lock()
	if l.state != logOpen || l.epoch != page.Epoch {
		l.mu.Unlock()
		p.again(l)
		return
	}
	if !l.admits(p.req.Encoding) {
		l.mu.Unlock()
		p.fail(ErrFilters)
		return
	}
	c.behind = &backlog{epoch: page.Epoch, entries: page.Entries, upTo: page.Head, live: page.Head, kind: first.kind, more: page.More}
	if first.kind == changesOfState {
		c.behind.live = p.promised(page.Head)
	}
	switch {
	case first.kind == wholeState:
	case p.req.Start.Kind == Position && first.recovered:
		c.offset = p.req.Start.Position.Offset
	case len(page.Entries) > 0:
		c.offset = before(page.Entries[0])
	default:
		c.offset = page.Head
	}
	l.isBehind(page.Head) // on its way here, or lost
	placed := p.attach(l, first.recovered)
	placed.Offset = max(placed.Offset, page.Head)
	if first.kind != entriesOfLog {
		placed.Offset = page.Head
	}
	c.group.watch.Store(true)
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
