package sim

import (
	"slices"
	"strings"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// Of a log that is sampled, and of one whose overflow rule is "latest" where somebody was left behind, a client is told the
// latest of each key, and not what it stands for.

// folds says that a client may be told whole values.
func (c *checker) folds() bool { return c.kind.sample > 0 || c.jumps() }

// jumps says that a client may be taken to the latest of each key: one that was left behind, and one that comes back to where it
// may have been on that way.
func (c *checker) jumps() bool {
	return c.kind.overflow == rule.OverflowLatest && (c.w.profile.tight() || c.pieces)
}

// appendsAfter says that after an offset something was appended to what a key held there, if anything, or to what is over or removed
// by a moment.
func (e *epoch) appendsAfter(offset uint64, at time.Duration) bool {
	return slices.ContainsFunc(e.between(offset, e.head()), func(f *fact) bool {
		return f.Op == broker.Append && (f.last == nil || f.last.Offset <= offset || f.last.passed(at))
	})
}

// A cover is what an item stands for besides: the entries of its key from an offset on.
type cover struct {
	key  string
	from uint64        // 0 for none
	ends time.Duration // the first of the parts that it is made of
}

// joins says that an item is made of several parts that were appended, and notes what it stands for.
func (c *checker) joins(it *item, f *fact, whole bool) bool {
	if c.kind.sample == 0 || it.key != f.Key || it.key == "" {
		return false
	}
	if whole && it.op == "set" {
		c.cover = cover{it.key, 1, f.mortal}
		return false
	}
	text, want, ends := "", unquote([]byte(it.payload)), never
	for p := f; it.op == "append" && p != nil && p.Op == broker.Append && p.Offset > c.at && len(text) < len(want); p = p.last {
		switch more := unquote(p.Payload) + text; {
		case strings.HasSuffix(want, more):
			text, ends = more, min(ends, p.ends)
		case !p.passed(it.at): // else it was over, or had been removed, before the parts around it were joined
			return false
		}
		if text == want {
			c.cover = cover{it.key, p.Offset, ends}
			return p != f
		}
	}
	return false
}

// superseded says that an entry is told by another one, or by none because its key has a later one by then.
func (c *checker) superseded(f *fact, at time.Duration) bool {
	switch {
	case c.cover.from > 0 && f.Key == c.cover.key && f.Offset >= c.cover.from:
		return true
	case c.jumps() && (f.Key != "" || c.w.profile.tight()) && f.spent(at):
		return true
	case c.kind.sample == 0:
		return false
	case c.pieces && f.Key != "": // it came back, perhaps from amid an interval, and is told what its keys hold by now
		return f.spent(at)
	}
	for f = f.next; f != nil && f.at <= at; f = f.next {
		if f.Op != broker.Append {
			return true
		}
	}
	return false
}

// pace checks that two values of a key are not told within an interval. The second cannot be sent before an interval has passed
// since the first was appended. What a client catches up with may come at once, and where windows are small what waits is let go
// when it is too much for them.
func (c *checker) pace(it *item, f *fact) {
	if c.kind.sample == 0 || !c.w.profile.roomy() || c.r.kind != fromLive || it.op == "append" || c.r.kit {
		return
	}
	if before, ok := c.paces[f.Key]; ok && it.sentBy < before+c.kind.sample && !c.letGo(it, before) {
		c.fault(it.at, "%v was sent at %v, though one of the same key had been appended at %v", it, it.sentBy, before)
	}
	if c.paces == nil {
		c.paces = make(map[string]time.Duration)
	}
	c.paces[f.Key] = f.at
}

// letGo says that an item was waiting when a gap came, before which all is told that waits, or that something has been removed
// since a moment, before which it is too.
func (c *checker) letGo(it *item, since time.Duration) bool {
	if slices.ContainsFunc(c.epoch.removals, func(r *removal) bool { return r.told >= since && r.told <= it.sentBy }) {
		return true
	}
	i := slices.IndexFunc(c.r.items, func(gap item) bool { return gap.kind == gotGap && gap.from > it.offset })
	if i < 0 {
		return false
	}
	waited := c.epoch.between(it.offset, c.r.items[i].from-1)
	return len(waited) == 0 || waited[len(waited)-1].at <= it.sentBy
}
