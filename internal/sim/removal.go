package sim

import (
	"slices"
	"time"

	"hocket.dev/broker"
)

// A removal took entries out of a log.
type removal struct {
	broker.Removal
	at   time.Duration
	told time.Duration // when the node was
}

// history says that all was removed, up to an offset.
func (r *removal) history() bool { return r.Key == "" && r.UpTo > 0 }

// removals are those of an epoch.
type removals []*removal

// upTo is the newest offset up to which all was removed by then.
func (l removals) upTo(at time.Duration) (offset uint64) {
	for _, r := range l {
		if r.history() && r.at <= at {
			offset = max(offset, r.UpTo)
		}
	}
	return offset
}

// toldUpTo is upTo as far as the node had been told by then.
func (l removals) toldUpTo(at time.Duration) (offset uint64) {
	for _, r := range l {
		if r.history() && r.told <= at {
			offset = max(offset, r.UpTo)
		}
	}
	return offset
}

// remove takes down a removal.
func (t *truth) remove(channel string, r broker.Removal) *removal {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.current(channel)
	gone := &removal{Removal: r, at: t.now(), told: never}
	e.removals = append(e.removals, gone)
	for _, f := range e.entries {
		if f.gone == nil && f.removedBy(&r) {
			f.gone = gone
		}
	}
	e.kept = slices.DeleteFunc(e.kept, func(f *fact) bool { return f.gone == gone })
	return gone
}

// removedBy says that a removal takes an entry out. Of a key the Delete that is the newest stays.
func (f *fact) removedBy(r *broker.Removal) bool {
	if r.Key == "" {
		return f.Offset <= r.UpTo || f.Offset == r.Offset
	}
	if f.Key != r.Key || r.UpTo > 0 && f.Offset > r.UpTo {
		return false
	}
	newest := f.next == nil || r.UpTo > 0 && f.next.Offset > r.UpTo
	return f.Op != broker.Delete || !newest
}

// tell notes that the node has been told of a removal, or will never hold what it took.
func (t *truth) tell(r *removal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.told = min(r.told, t.now())
}

// hidden says that an entry is in no page any more at a moment: its time is over, or it was removed.
func (f *fact) hidden(at time.Duration) bool { return f.ends <= at || f.gone != nil && f.gone.at <= at }

// passed says that an entry need not be told any more at a moment, other than by passing it.
func (f *fact) passed(at time.Duration) bool {
	return f.ends <= at || f.gone != nil && !f.gone.history() && f.gone.at <= at
}
