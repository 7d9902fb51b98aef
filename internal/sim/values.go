package sim

import (
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// tickLag is how long a node may take to notice that a time is over: it looks about once a second.
const tickLag = time.Second + 10*time.Millisecond

// isValue says that an item is the whole value of its key as of its offset, or that it is gone.
func (c *checker) isValue(it *item, f *fact) bool {
	if it.op == "delete" && it.payload == "" {
		return f.Op == broker.Delete
	}
	return it.op == "set" && it.key == f.Key && f.holds() && it.payload == f.shown() && it.binary == (f.Format == broker.Binary) && it.score == f.Score
}

// late checks that an entry was not let go of when it was over, or the node had been told that it was removed. A value stays
// when the history is removed.
func (c *checker) late(it *item, f *fact, whole bool) {
	ends := f.ends
	switch {
	case whole:
		ends = f.mortal
	case c.cover.from > 0:
		ends = c.cover.ends
	}
	if ends != never && it.handed > ends+tickLag {
		c.fault(it.at, "%v was sent at %v, when its time had been over for %v", it, it.handed, it.handed-ends)
	}
	if !whole && !c.r.kit && f.old != never && f.old+tickLag+c.w.profile.faults.latest() < c.r.askedAt {
		c.fault(it.at, "%v was sent, which had been too old to be kept since %v when that was asked for", it, f.old)
	}
	g := f.gone
	stays := g != nil && (g.history() && whole || !g.history() && it.op == "delete" && it.payload == "")
	if g != nil && it.handed > g.told && !stays {
		c.fault(it.at, "%v was sent at %v, though it had been removed, as the node had known for %v", it, it.handed, it.handed-g.told)
	}
}

// learn takes an entry into what the client knows of its key, and checks that it knows it right.
func (c *checker) learn(it *item, f *fact) {
	before, known := c.known[f.Key]
	switch {
	case f.Key == "":
		return
	case it.op == "append" && !known:
		return
	case it.op == "append" && before+unquote([]byte(it.payload)) != f.value:
		c.fault(it.at, "%v makes %.60q of %s, which is %.60q", it, before+unquote([]byte(it.payload)), it.key, f.value)
	}
	c.known[f.Key] = f.value
}

// converged checks that what a client knows is what there is, in the end.
func (c *checker) converged(newest *epoch, now time.Duration) {
	for _, key := range sorted(c.known) {
		if f := newest.latest[key]; f.value != c.known[key] {
			c.fault(now, "it holds %.60q for %s, which is %.60q", c.known[key], key, f.value)
		}
	}
}

// reason checks that a gap has the right one.
func (c *checker) reason(it *item) {
	switch it.reason {
	case "removed":
		if upTo := c.epoch.removals.upTo(it.at); it.offset > upTo {
			c.fault(it.at, "%v is said to be removed, which has been done up to %d", it, upTo)
		}
	case "unavailable":
		c.lost(it)
	case withoutKey: // and the keys are told all the same
		c.keyless(it)
		return
	case "slow_consumer":
		switch {
		case !c.w.profile.tight() && c.kind.age > 0: // what is too old is gone, however soon a client comes for it
			c.lost(it)
		case !c.w.profile.tight():
			c.fault(it.at, "%v: nobody can be too slow here", it)
		case c.kind.overflow == rule.OverflowRefill:
			c.lost(it)
		case c.kind.overflow != rule.OverflowGap:
			c.fault(it.at, "%v is not what the rule says", it)
		case c.w.profile.roomy():
			c.hastily(it)
		}
	case anew:
	default:
		c.fault(it.at, "%v has the reason %q, which is none", it, it.reason)
	}
	c.paces = nil
	for _, f := range c.epoch.between(it.from-1, it.offset) {
		delete(c.known, f.Key)
	}
}

// What the reason of a gap says of a state.
const (
	withoutKey = "without_key" // it holds no value
	anew       = "state"       // all of the state follows
)

// keyless checks that no value is in a gap that is to hold none.
func (c *checker) keyless(it *item) {
	for _, f := range c.epoch.between(it.from-1, it.offset) {
		if f.Key != "" && !c.leavable(f, it.at) {
			c.fault(it.at, "%v is said to hold no key, and %d is of %s", it, f.Offset, f.Key)
			return
		}
	}
}

// lost checks that the log had lost what a gap holds.
func (c *checker) lost(it *item) {
	for _, f := range c.epoch.between(it.from-1, it.offset) {
		switch {
		case c.leavable(f, it.at):
		case f.dropped > it.at && f.gone == nil:
			c.fault(it.at, "%v is said to be lost, and %d is kept", it, f.Offset)
			return
		case c.wasRemoved(it, f):
			c.fault(it.at, "%v is said to be lost, and %d had been removed at %v", it, f.Offset, f.gone.at)
			return
		}
	}
}
