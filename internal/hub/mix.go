package hub

import (
	"context"
	"errors"
	"slices"

	"hocket.dev/broker"
)

// errBehind says that the log has to come as far as a page before the page can be told.
var errBehind = errors.New("hub: the log is behind")

// mix puts the entries without a key that lie among the changes of a state into their page, which ends earlier where they
// are too many. Those that the broker has not any more, of those after p.live, are told as a gap: in pieces, between the
// changes.
func (l *log) mix(ctx context.Context, p *page, changes *broker.Page) error {
	to := changes.Head
	if changes.More {
		to = changes.Entries[len(changes.Entries)-1].Offset
	}
	mixed, behind := l.mixed(p.after, to)
	if !mixed {
		return nil
	}
	loose, reach, err := l.unkeyedUpTo(ctx, p, to)
	if err != nil {
		return err
	}
	missing := func(e *broker.Entry) bool { return e.Op == opGap }
	if behind && slices.ContainsFunc(loose, missing) { // perhaps of what has keys alone
		return errBehind
	}
	entries := changes.Entries
	for len(entries) > 0 && entries[len(entries)-1].Offset > reach {
		entries = entries[:len(entries)-1]
	}
	changes.Entries, changes.More = merge(entries, loose), changes.More || reach < to
	return nil
}

// mixed says that there may be entries without a key after an offset, and whether that is because this node does not know
// of everything up to another one.
func (l *log) mixed(after, to uint64) (mixed, behind bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	behind = l.isBehind(to)
	return behind || l.unkeyed.after(after), behind
}

// unkeyedUpTo reads entries without a key that come after p.after: as many as a page may have, or those up to an offset. It
// tells how far they reach. Marks stand for what is missing.
func (l *log) unkeyedUpTo(ctx context.Context, p *page, to uint64) (loose []*broker.Entry, reach uint64, err error) {
	for at := p.after; at < to; {
		l.hub.stats.reads.Add(1)
		got, err := l.read(ctx, &page{kind: entriesOfLog, epoch: p.epoch, after: at, limit: p.limit})
		switch {
		case err != nil:
			return nil, 0, err
		case got.Epoch != p.epoch:
			return nil, 0, ErrEpochChanged
		}
		if gap := hole(l.unkeyedSince(max(at, p.live)), &got); gap != nil && gap.Prev < to {
			gap.Offset, gap.Key = min(gap.Offset, to), gapWithoutKey
			loose = append(loose, gap)
		}
		if at = to; got.More {
			at = got.Entries[len(got.Entries)-1].Offset
		}
		for _, e := range got.Entries {
			if e.Key != "" || e.Offset > to {
				continue
			}
			if loose = append(loose, e); len(loose) >= p.limit {
				return loose, e.Offset, nil
			}
		}
	}
	return loose, to, nil
}

// merge puts changes and others in the order of their offsets. Marks among the others, which are changed, get to lie between the
// changes.
func merge(changes, others []*broker.Entry) []*broker.Entry {
	all := make([]*broker.Entry, 0, len(changes)+len(others))
	take := func() {
		if e := others[0]; e.Op != opGap || e.Prev < e.Offset {
			all = append(all, e)
		}
		others = others[1:]
	}
	for _, e := range changes {
		for len(others) > 0 && others[0].Offset < e.Offset {
			take()
		}
		if len(others) > 0 && others[0].Op == opGap && others[0].Prev < e.Offset {
			mark := others[0]
			if at := before(e); at > mark.Prev {
				all = append(all, &broker.Entry{Op: opGap, Prev: mark.Prev, Offset: at, Key: mark.Key})
			}
			mark.Prev = e.Offset
		}
		all = append(all, e)
	}
	for len(others) > 0 {
		take()
	}
	return all
}
