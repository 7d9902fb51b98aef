package hub

import (
	"context"
	"slices"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// firstPage is what a cursor begins with that the window does not hold.
type firstPage struct {
	page      broker.Page
	kind      backlogKind
	recovered bool
}

// first reads the beginning of what is asked for.
func (p *placing) first(ctx context.Context, l *log) (firstPage, error) {
	switch start := &p.req.Start; {
	case start.Kind == State:
		return p.whole(ctx, l, true)
	case start.Kind != Position:
		return p.entries(ctx)
	case start.WantsState:
		return p.changes(ctx, l)
	}
	f, err := p.after(ctx)
	switch {
	case err != nil:
		return f, err
	case f.recovered && p.inPart() && (f.page.More || l.pieces(f.page.Entries)):
		return p.changes(ctx, l)
	case f.recovered:
		return f, nil
	}
	// What is kept. It may be complete by itself, if everything there ever was is kept.
	f.page, err = p.hub.cfg.Broker.Read(ctx, p.req.Channel, broker.Query{HasAfter: true, Limit: p.hub.pageEntries})
	return f, err
}

// entries reads the newest ones, or those since a time.
func (p *placing) entries(ctx context.Context) (f firstPage, err error) {
	q := broker.Query{Limit: p.hub.pageEntries}
	if start := &p.req.Start; start.Kind == Last {
		q.Limit = max(min(start.Last, p.req.History.Count), 1)
	} else {
		q.Since = max(start.Since, 1)
	}
	f.recovered = true
	f.page, err = p.hub.cfg.Broker.Read(ctx, p.req.Channel, q)
	return f, err
}

// after reads what comes after the position asked for.
func (p *placing) after(ctx context.Context) (f firstPage, err error) {
	at := p.req.Start.Position
	f.page, err = p.hub.cfg.Broker.Read(ctx, p.req.Channel,
		broker.Query{HasAfter: true, After: at.Offset, Epoch: at.Epoch, Limit: p.hub.pageEntries})
	// A position without an epoch is none of this log, though a broker takes "" for the current one.
	f.recovered = f.page.Complete && f.page.Epoch == at.Epoch
	return f, err
}

// whole reads the state from its beginning.
func (p *placing) whole(ctx context.Context, l *log, recovered bool) (firstPage, error) {
	page, err := l.read(ctx, &page{kind: wholeState, limit: p.hub.pageEntries})
	return firstPage{page, wholeState, recovered}, err
}

// changes reads what has changed in the state since the position asked for. Where it is no longer known what was deleted,
// the log may have all of it; else the whole state has to do.
func (p *placing) changes(ctx context.Context, l *log) (firstPage, error) {
	at := p.req.Start.Position
	page, err := l.read(ctx, &page{
		kind: changesOfState, epoch: at.Epoch, after: at.Offset, limit: p.hub.pageEntries, live: p.promised(broker.MaxOffset),
	})
	if err != nil {
		return firstPage{}, err
	}
	if page.Complete && page.Epoch == at.Epoch && page.Head >= at.Offset {
		return firstPage{page, changesOfState, true}, nil
	}
	f, err := p.after(ctx)
	if err != nil || f.recovered && !f.page.More && !l.pieces(f.page.Entries) {
		return f, err
	}
	return p.whole(ctx, l, false)
}

// inPart says that up to the position asked for the client may have got only a part of what the keys hold: it was cut off on its
// way through a state, or through what has changed in it, to which the rule latest takes who was left behind, or before an entry
// for which a sample had left out another one.
func (p *placing) inPart() bool {
	start := &p.req.Start
	return start.WantsState ||
		start.Kind == Position && (p.req.Sample > 0 || p.req.Overflow == rule.OverflowLatest) && p.hub.hasState()
}

// promised is the offset after which the client is told of every entry without a key, or that it misses it: the one it has come
// back to, but for who asks for the state. Of that it is head, where it is told what has been read so far.
func (p *placing) promised(head uint64) uint64 {
	if p.req.Start.WantsState {
		return head
	}
	return p.req.Start.Position.Offset
}

// piecesAfter is pieces for what the window holds from index on, and what waits to come into it, as far as it lies after an offset.
// l.mu is held.
func (l *log) piecesAfter(index, offset uint64) bool {
	waiting := l.pace.waiting
	for len(waiting) > 0 && waiting[0].Offset <= offset {
		waiting = waiting[1:]
	}
	return l.pieces(l.window[index-l.base:], waiting)
}

// pieces says that some of the entries of these runs append to values that are not among them. To what a client has not got,
// nothing can be appended.
func (l *log) pieces(runs ...[]*broker.Entry) bool {
	appends := func(e *broker.Entry) bool { return e.Op == broker.Append }
	if !slices.ContainsFunc(runs, func(run []*broker.Entry) bool { return slices.ContainsFunc(run, appends) }) {
		return false
	}
	set := make(map[string]bool)
	for _, run := range runs {
		for _, e := range run {
			switch {
			case l.over(e): // and so told to nobody
			case e.Op == broker.Set, e.Op == broker.Delete:
				set[e.Key] = true
			case e.Op == broker.Append && !set[e.Key]:
				return true
			}
		}
	}
	return false
}
