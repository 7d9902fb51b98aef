package sim

import (
	"time"

	"hocket.dev/broker"
)

// first checks the first entry of a run whose beginning is not known to the entry: it must not come later than it has to.
// What is kept may have been trimmed by what was appended until it came.
func (c *checker) first(offset uint64, at time.Duration) {
	r := c.r
	began := c.epoch.appendedBy(r.askedAt)
	if c.r.kit {
		c.firstOfKit(offset, at)
		return
	}
	head := c.epoch.after(r.Offset) // entries up to the reply's offset
	newest := max(head, c.epoch.appendedBy(at))
	kept := c.epoch.oldest(newest, c.w.profile.kept(r.channel), &c.kind, at) // index of the oldest entry that is kept by then
	from := head                                                             // index of the first that is due
	switch r.kind {
	case fromLast:
		from = max(min(head, kept), c.epoch.back(head, r.last, func(f *fact) bool {
			return f.ends <= r.askedAt-tickLag || f.gone != nil && f.gone.told <= r.askedAt && (f.Op != broker.Delete || f.gone.Key != "")
		}))
		oldest := c.epoch.back(min(began, head), r.last, func(f *fact) bool { return f.hidden(r.repliedAt) })
		if c.kind.sample == 0 && oldest > 0 && c.epoch.at(offset) != nil && c.epoch.after(offset) <= oldest {
			c.fault(at, "the last %d were asked for, and %d came first", r.last, offset)
		}
	case fromSince:
		from = head
		cut := c.w.start.Add(r.repliedAt - r.since).UnixMilli()
		for from > kept && c.epoch.entries[from-1].Time >= cut {
			from--
		}
		if f := c.epoch.at(offset); c.kind.sample == 0 && offset <= r.Offset && f.Time < c.w.start.Add(r.askedAt-r.since).UnixMilli()-1 {
			c.fault(at, "the last %v were asked for, and %d came first, which is older", r.since, offset)
		}
	case fromPosition: // not recovered: what is kept
		from = min(head, kept)
	}
	c.missing(from, offset, at)
}

// missing checks that no entry from an index on has been left out before an offset.
func (c *checker) missing(from int, offset uint64, at time.Duration) {
	for _, f := range c.epoch.entries[from:] {
		if f.Offset >= offset {
			return
		}
		if !c.leavable(f, at) && (f.gone == nil || f.gone.at > at) {
			c.fault(at, "%d is the first that came, and %d should have come before", offset, f.Offset)
			return
		}
	}
}

// restart takes in that the SDK begins anew: in another epoch, or where something since has been lost.
func (c *checker) restart(it *item) {
	epoch := c.w.truth.find(c.r.channel, it.epoch)
	if epoch == c.epoch && epoch != nil && !c.free && !c.kind.state && epoch.wholeAfter(c.at, it.at) {
		c.fault(it.at, "%v came after %d, though all entries since are kept", it, c.at)
	}
	c.epoch, c.free, c.at, c.told, c.state, c.anew = epoch, true, 0, 0, false, it
	clear(c.known)
	if c.r.kind == fromState && c.epoch != nil { // and so does the state
		c.beginState(it.at)
	}
}

// wholeAfter says that at a moment all entries after an offset were kept.
func (e *epoch) wholeAfter(offset uint64, at time.Duration) bool {
	for _, f := range e.between(offset, e.head()) {
		if f.dropped <= at && f.ends > f.dropped {
			return false
		}
	}
	return e.removals.upTo(at) <= offset
}

// firstOfKit checks the SDK's first entry, or the first after it began anew. All that was appended after it had subscribed, or
// after where it began anew, is due.
func (c *checker) firstOfKit(offset uint64, at time.Duration) {
	if c.anew != nil {
		c.missing(c.epoch.after(c.anew.offset), offset, at)
		return
	}
	if len(c.w.truth.logs[c.r.channel].epochs) == 1 {
		c.missing(max(c.epoch.after(c.at), c.epoch.appendedBy(c.r.repliedAt)), offset, at)
	}
}

// A run that begins with the state walks through the log from 0 as it is compacted: what a later entry of the same key stands for
// may be left out, and so may what the state does not hold.

// beginState says up to where a run may leave out what is not part of the state.
func (c *checker) beginState(at time.Duration) {
	c.state, c.stateTo, c.free = true, c.r.Offset, false
	if n := c.epoch.appendedBy(at); c.r.kit && n > 0 {
		c.stateTo = c.epoch.entries[n-1].Offset // the SDK does not tell
	}
}

// standsFor says that an entry may be left out of a state that is told at a moment.
func (c *checker) standsFor(f *fact, at time.Duration) bool {
	if f.idle || c.r.kit && c.at == 0 && f.Op == broker.Delete { // the SDK has nothing yet, and may have asked more than once
		return true
	}
	if f.Key == "" && c.away(f) && (f.dropped <= at || f.hidden(at)) {
		return true
	}
	if f.Key == "" || f.Op == broker.Delete && f.Offset <= c.stateTo {
		return f.Offset <= c.stateTo
	}
	return f.replaced() <= at || f.lives <= at
}

// away says that an entry may have come while a client was that goes on with a state: of what has no key it is told what the log has.
func (c *checker) away(f *fact) bool { return c.r.kit || c.r.wants && f.Offset <= c.r.Offset }

// reply checks what a subscribe was answered.
func (c *checker) reply() {
	r := c.r
	if head := c.epoch.after(r.Offset); head > c.epoch.appendedBy(r.repliedAt) || r.Offset > 0 && c.epoch.at(r.Offset) == nil {
		c.fault(r.repliedAt, "the reply tells the offset %d, which the log had not", r.Offset)
	}
	if !r.recovered && r.kind != fromPosition && !r.wants {
		c.fault(r.repliedAt, "told recovered:false, and nothing was to be recovered")
	}
}

// refusal checks that a client was told recovered:false only when it had to be.
func (c *checker) refusal() {
	r := c.r
	if r.asked.Epoch != r.Epoch || r.asked.Offset > r.Offset {
		return
	}
	if c.epoch.wholeAfter(r.asked.Offset, r.repliedAt) {
		c.fault(r.repliedAt, "told recovered:false after %d, though all entries since are kept", r.asked.Offset)
	}
}
