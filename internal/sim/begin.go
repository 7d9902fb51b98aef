package sim

import (
	"time"
)

// first checks the first entry of a run whose beginning is not known to the entry: it must not come later than it has to.
// What is kept may have been trimmed by what was appended until it came.
func (c *checker) first(offset uint64, at time.Duration) {
	r := c.r
	began, replied := c.epoch.appendedBy(r.askedAt), c.epoch.appendedBy(r.repliedAt)
	if c.r.kit {
		c.firstOfKit(offset, at)
		return
	}
	head := c.epoch.after(r.Offset) // entries up to the reply's offset
	newest := max(head, c.epoch.appendedBy(at))
	kept := max(0, newest-c.w.profile.kept(r.channel)) // index of the oldest entry that is kept by then
	from := head                                       // index of the first that is due
	switch r.kind {
	case fromLast:
		from = min(head, max(kept, head-r.last))
		if oldest := min(began, head) - r.last; c.epoch.after(offset) <= oldest {
			c.fault(at, "the last %d were asked for, and %d came first", r.last, offset)
		}
	case fromSince:
		from = head
		cut := c.w.start.Add(r.repliedAt - r.since).UnixMilli()
		for from > kept && c.epoch.entries[from-1].Time > cut {
			from--
		}
	case fromPosition: // not recovered: what is kept
		from = min(head, kept)
		if r.asked.Epoch == r.Epoch && r.asked.Offset > r.Offset {
			from = head // the future
		}
	}
	_ = replied
	c.missing(from, offset, at)
}

// missing checks that no entry from an index on has been left out before an offset.
func (c *checker) missing(from int, offset uint64, at time.Duration) {
	for _, f := range c.epoch.entries[from:] {
		if f.Offset >= offset {
			return
		}
		if !c.perhapsMine(f) {
			c.fault(at, "%d is the first that came, and %d should have come before", offset, f.Offset)
			return
		}
	}
}

// firstOfKit checks the SDK's first entry, or the first after it began anew. All that was appended after it had subscribed
// is due, unless it began anew since.
func (c *checker) firstOfKit(offset uint64, at time.Duration) {
	restarted := false
	for i := range c.r.items {
		it := &c.r.items[i]
		if it.at > at {
			break
		}
		restarted = restarted || it.kind == gotRestart
	}
	if restarted {
		return
	}
	if len(c.w.truth.logs[c.r.channel].epochs) == 1 {
		c.missing(max(c.epoch.after(c.at), c.epoch.appendedBy(c.r.repliedAt)), offset, at)
	}
}

// beginState finds the state that a run has to begin with, and checks that all of it came.
func (c *checker) beginState() {
	r := c.r
	want := c.epoch.fold(c.epoch.after(r.Offset))
	got := make(map[string]bool)
	for i := range r.items {
		if it := &r.items[i]; it.kind == gotMessage && it.offset <= r.Offset {
			got[it.key] = true
		} else if it.offset > r.Offset || it.kind == gotGap {
			break
		}
	}
	done := r.ended == ""
	for i := range r.items {
		done = done || r.items[i].kind == gotMessage && r.items[i].offset > r.Offset
	}
	for key := range want {
		if !got[key] && done {
			c.fault(r.repliedAt, "the state at %d began without %s@%d", r.Offset, key, want[key].offset)
			return
		}
	}
}

// folded checks an entry of a state: the whole value of its key. It answers false when the state is over.
func (c *checker) folded(it *item) bool {
	r := c.r
	if r.kit {
		// The SDK does not tell where the state ends: as long as entries could be of the state when it was asked for, they are.
		return c.foldedForKit(it)
	}
	if it.offset > r.Offset {
		return false
	}
	to := c.epoch.after(r.Offset)
	want, ok := c.epoch.fold(to)[it.key]
	text := `"` + want.text + `"`
	if !ok || want.offset != it.offset || text != it.payload || it.op != "set" {
		c.fault(it.at, "%v is in the state at %d, which has %.60s@%d", it, r.Offset, text, want.offset)
	}
	return true
}

// foldedForKit answers whether an entry is the whole value of its key at some moment since the state was asked for.
func (c *checker) foldedForKit(it *item) bool {
	i := c.epoch.after(it.offset)
	value, ok := c.epoch.fold(i)[it.key]
	return ok && it.op == "set" && value.offset == it.offset && `"`+value.text+`"` == it.payload
}

// endState goes on behind the state: all that it stands for is dealt with.
func (c *checker) endState() {
	if c.state && !c.r.kit {
		c.at = max(c.at, c.r.Offset)
	}
	c.state = false
}
