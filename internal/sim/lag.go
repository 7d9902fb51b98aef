package sim

import (
	"cmp"
	"slices"
	"time"

	"hocket.dev/internal/rule"
)

// How far a cursor may be behind: who is certainly further than that is to be treated as the rule says, and nobody else is.

// atOnce is how long a node takes to tell all of its loops what it has got.
const atOnce = 20 * time.Millisecond

// A sight is that the node was seen to have a channel's entries, up to an offset.
type sight struct {
	at     time.Duration
	offset uint64
}

// sights are what was seen while a run lived: all that anybody was sent since then.
func (w *world) sights(r *run) (all []sight) {
	for _, other := range w.runs {
		if other.kit || other.channel != r.channel || other.Epoch != r.Epoch {
			continue
		}
		for i := range other.items {
			if it := &other.items[i]; it.kind == gotMessage && it.sentBy > r.repliedAt {
				all = append(all, sight{it.sentBy, it.offset})
			}
		}
	}
	slices.SortFunc(all, func(a, b sight) int { return cmp.Compare(a.at, b.at) })
	newest := uint64(0)
	for i := range all {
		newest = max(newest, all[i].offset)
		all[i].offset = newest
	}
	return all
}

// had is the newest offset that the node certainly had at a moment.
func had(all []sight, at time.Duration) uint64 {
	i, _ := slices.BinarySearchFunc(all, at, func(s sight, at time.Duration) int { return cmp.Compare(s.at, at) })
	if i == 0 {
		return 0
	}
	return all[i-1].offset
}

// hadBy is when the node certainly had an entry; never if that was not seen.
func hadBy(all []sight, offset uint64) time.Duration {
	i, _ := slices.BinarySearchFunc(all, offset, func(s sight, offset uint64) int { return cmp.Compare(s.offset, offset) })
	if i == len(all) {
		return never
	}
	return all[i].at
}

// checkLag checks that the bounds of lag are held, and that nobody is treated as too slow who is within them.
func (w *world) checkLag() {
	for _, r := range w.runs {
		e := w.truth.find(r.channel, r.Epoch)
		if e == nil || r.kit {
			continue
		}
		if k := kinds[r.channel]; k.slow && k.overflow != rule.OverflowRefill && r.kind == fromLive { // else what was there is no lag
			w.checkSlow(r, e)
		}
		if r.tooSlow > 0 && w.profile.roomy() {
			w.checkThrownOut(r, e)
		}
	}
}

// checkSlow checks that a client was sent nothing of what it was too far behind for.
func (w *world) checkSlow(r *run, e *epoch) {
	seen := w.sights(r)
	for i := range r.items {
		it := &r.items[i]
		f := e.at(it.offset)
		if it.kind != gotMessage || f == nil {
			continue
		}
		newest := e.at(had(seen, it.handed-atOnce))
		if newest == nil || newest.at-atOnce <= hadBy(seen, it.offset) || !w.tooFar(e, f, newest) {
			continue
		}
		if kinds[r.channel].overflow == rule.OverflowLatest && (f.next == nil || hadBy(seen, f.next.Offset) > it.handed-patience) {
			continue // what there was when it jumped may take a while
		}
		w.fault(r.channel, r.who, it.at, "%v was sent at %v, when the node had had %d, and so this client was too far behind", it, it.handed, newest.Offset)
		return
	}
}

// patience is how long what a slow client is sent in place of what it has missed may take.
const patience = 5 * time.Second

// tooFar says that who stands before an entry is beyond a bound of lag when the node gets a later one.
func (w *world) tooFar(e *epoch, f, newest *fact) bool {
	l := &w.profile.limits
	return l.LagBytes > 0 && e.bytes(f.Offset, newest.Offset) > l.LagBytes || l.LagAge > 0 && newest.at-f.at > l.LagAge+tickLag
}

// mayBeTooFar says that who stands before an entry may be beyond a bound of lag, at a moment.
func (w *world) mayBeTooFar(e *epoch, f *fact, at time.Duration) bool {
	l, n := &w.profile.limits, e.appendedBy(at)
	return n > 0 && l.LagBytes > 0 && e.bytes(f.Offset, e.entries[n-1].Offset) > l.LagBytes || l.LagAge > 0 && at-f.at >= l.LagAge-time.Millisecond
}

// bytes are those of the entries from an offset to another one, both included.
func (e *epoch) bytes(from, to uint64) (n int64) {
	for _, f := range e.between(from-1, to) {
		n += f.Size()
	}
	return n
}

// wasThere says that when a client came it asked for more than it may be behind, beginning with an entry or earlier: that is no lag.
func (w *world) wasThere(r *run, e *epoch, f *fact) bool {
	l := &w.profile.limits
	if r.kit || f.Offset > r.Offset {
		return false
	}
	return l.LagBytes > 0 && e.bytes(f.Offset, r.Offset) > l.LagBytes || l.LagAge > 0 && r.askedAt-f.at > l.LagAge+tickLag
}

// checkThrownOut checks that a client was disconnected for being too slow only where it may have been.
func (w *world) checkThrownOut(r *run, e *epoch) {
	at := r.Offset
	switch n := len(r.items); {
	case n > 0:
		at = r.items[n-1].offset
	case r.kind != fromLive:
		return // where it began is not known
	}
	if i := e.after(at); i == len(e.entries) || w.wasThere(r, e, e.entries[i]) || !w.mayBeTooFar(e, e.entries[i], r.tooSlow) {
		w.fault(r.channel, r.who, r.tooSlow, "disconnected for being too slow, after %d, when it was within the bounds", at)
	}
}

// hastily checks of a gap that tells a client that it was too slow that it may have been.
func (c *checker) hastily(it *item) {
	by := it.sentBy
	if c.r.kit {
		by = it.at
	}
	missing := c.epoch.between(it.from-1, it.offset)
	if len(missing) == 0 || missing[0].old <= by || c.kind.sample > 0 {
		return
	}
	f := missing[0]
	if g := f.gone; g != nil && g.history() && g.at > c.r.repliedAt {
		by = min(by, g.told) // from then on the reason is another one
	}
	if !c.w.mayBeTooFar(c.epoch, f, by) || !c.kind.state && c.w.wasThere(c.r, c.epoch, f) {
		c.fault(it.at, "%v: it was within the bounds until %v", it, by)
	}
}

// wasRemoved says that an entry in a gap was certainly removed while the client followed, with all else in the gap, and not lost
// before: where the node was told at once, nothing else can have been decided meanwhile.
func (c *checker) wasRemoved(it *item, f *fact) bool {
	g, last := f.gone, c.epoch.at(it.offset).gone
	if c.r.kit || g == nil || last == nil || !g.history() || !last.history() {
		return false
	}
	return g.told == g.at && last.told == last.at && g.at > c.r.repliedAt && f.dropped > g.at
}
