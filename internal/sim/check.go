package sim

import (
	"slices"
	"strings"
	"time"

	"hocket.dev/broker"
)

// check holds what everybody has seen against the truth, at the end of the quiet time, when the engine rests. So nobody waits for
// the truth's lock: it says that what is taken down when the clients part comes later.
func (w *world) check(actors []*actor) {
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	for _, r := range w.runs {
		w.checkRun(r)
	}
	w.checkPublishes()
	w.checkSent()
	for _, r := range w.readings {
		w.checkReading(r)
	}
	for _, r := range w.states {
		w.checkStateReading(r)
	}
	for i := range w.listings {
		w.checkListing(&w.listings[i])
	}
	for _, channel := range w.profile.channels {
		w.checkEphemeral(channel)
	}
	w.checkRemovals()
	w.checkStates(actors)
	w.checkPresence(actors)
	w.checkLease()
	w.checkPulses(actors)
	w.checkAnswered(actors)
	w.checkViews()
	w.checkGathered()
	w.checkLogs()
	w.checkLag()
}

// checkRun walks through what a subscription brought, beside the log.
func (w *world) checkRun(r *run) {
	c := checker{w: w, r: r, epoch: w.truth.find(r.channel, r.Epoch), known: make(map[string]string), kind: kinds[r.channel]}
	if !r.kit && c.epoch == nil {
		c.fault(r.repliedAt, "the reply tells epoch %q, which the channel never had", r.Epoch)
		return
	}
	if r.kit {
		c.epoch = nil
	}
	c.begin()
	for i := range r.items {
		if c.failed {
			return // what follows follows from that
		}
		c.take(&r.items[i])
	}
	if r.ended == "" && !c.failed {
		c.end()
	}
}

// A checker is at a place in a run.
type checker struct {
	w       *world
	r       *run
	epoch   *epoch
	at      uint64 // everything up to here is dealt with
	free    bool   // the next entry may be any: where the run begins is not known to the checker
	state   bool   // it began with the state
	stateTo uint64
	pieces  bool              // it came back to where something may have been appended to since
	told    uint64            // up to here a gap has told what is missing
	known   map[string]string // values that the client has by now, "" for none
	kind    kind
	cover   cover
	came    time.Duration            // when the item before did
	anew    *item                    // where the SDK last began anew, nil for nowhere
	paces   map[string]time.Duration // when the newest entry that was told of each key had been appended, of a log that is sampled
	failed  bool
}

func (c *checker) fault(at time.Duration, format string, args ...any) {
	c.failed = true
	c.w.fault(c.r.channel, c.r.who, at, format, args...)
}

// begin finds where the run begins.
func (c *checker) begin() {
	r := c.r
	if r.kit {
		c.free, c.pieces = true, true // whenever it came back
		return
	}
	c.reply()
	switch r.kind {
	case fromLive:
		c.at = r.Offset
	case fromState:
		c.beginState(r.repliedAt)
	case fromPosition:
		if r.recovered {
			if r.wants {
				c.beginState(r.repliedAt)
				if r.asked.Offset > 0 { // else there is nothing to forget
					c.stateTo = r.asked.Offset
				}
			}
			c.at, c.pieces = r.asked.Offset, c.w.profile.faults.page > 0 || c.epoch.appendsAfter(r.asked.Offset, r.repliedAt)
			switch removed := c.epoch.removals.toldUpTo(r.askedAt); {
			case r.asked.Epoch != r.Epoch:
				c.fault(r.repliedAt, "recovered in epoch %s after a position of %s", r.Epoch, r.asked.Epoch)
			case r.asked.Offset > r.Offset:
				c.fault(r.repliedAt, "recovered after %d, and the newest is %d", r.asked.Offset, r.Offset)
			case r.asked.Offset < removed && !r.wants: // of a removed history the state stays
				c.fault(r.repliedAt, "recovered after %d, though all up to %d had been removed", r.asked.Offset, removed)
			}
			return
		}
		c.free = true
		c.refusal()
	default:
		c.free = true
	}
}

// take holds one item against the log.
func (c *checker) take(it *item) {
	switch it.kind {
	case gotRestart:
		c.restart(it)
		return
	case gotWhole:
		c.whole(it)
		return
	}
	if c.r.kit && (c.epoch == nil || it.epoch != c.epoch.name) {
		if c.epoch != nil {
			c.fault(it.at, "%v is of epoch %s, after one of %s, untold", it, it.epoch, c.epoch.name)
			return
		}
		if c.epoch = c.w.truth.find(c.r.channel, it.epoch); c.epoch == nil {
			c.fault(it.at, "%v is of an epoch that never was: %q", it, it.epoch)
			return
		}
		c.state = c.r.kind == fromState
	}
	if c.r.kit && c.state && c.at == 0 {
		c.beginState(it.at) // until something has come the SDK may ask anew
	}
	c.tardy(it)
	c.came = it.at
	switch it.kind {
	case gotMessage:
		c.message(it)
	case gotPosition:
		c.position(it)
	case gotGap:
		c.gap(it)
	}
}

// busyLine says that the client has begun to follow something since a moment, and may be sent much for that.
func (c *checker) busyLine(since time.Duration) bool {
	return slices.ContainsFunc(c.w.runs, func(r *run) bool { return r.session == c.r.session && r.repliedAt >= since })
}

// tardy checks that what had been appended before all was quiet has come by itself, and not with what was published afterwards, and
// that nothing waits for longer than a sample has it wait. Who has a slow line may still be catching up then. On its way to the node an
// entry may wait for a read of the log that has just begun, there and back.
func (c *checker) tardy(it *item) {
	probed, underWay := c.w.probedAt, 4*c.w.profile.faults.delay
	switch f := c.epoch.at(it.offset); {
	case f == nil || it.at <= probed || c.r.repliedAt >= probed-quiet/2:
	case f.at < probed && c.came < probed-prompt:
		c.fault(it.at, "%v was appended at %v, and comes when something else does", it, f.at)
	case f.at >= probed && it.kind == gotMessage && c.kind.sample > 0 && it.handed > f.at+underWay+3*c.kind.sample && !c.busyLine(probed):
		c.fault(it.at, "%v was appended at %v, and sent at %v: that is more than an interval", it, f.at, it.handed)
	}
}

func (c *checker) message(it *item) {
	f := c.epoch.at(it.offset)
	switch {
	case f == nil:
		c.fault(it.at, "%v is not in the log", it)
		return
	case it.offset <= c.at:
		c.fault(it.at, "%v came after %d: twice, or out of order", it, c.at)
		return
	}
	whole := (c.state || c.folds()) && c.isValue(it, f)
	joined := c.joins(it, f, whole)
	if !whole && (c.mine(f) || c.filtered(f)) {
		c.fault(it.at, "%v is its own, published without echo, or was not asked for", it)
		return
	}
	c.between(it)
	if !whole && !joined {
		c.same(it, f)
	}
	c.late(it, f, whole)
	c.cover = cover{}
	c.learn(it, f)
	c.pace(it, f)
	c.at, c.free = it.offset, false
}

// between checks what lies before a message.
func (c *checker) between(it *item) {
	if c.free {
		c.first(it.offset, it.at)
	} else {
		c.nothingBetween(it.offset-1, it)
	}
}

// same compares an entry with what the log has.
func (c *checker) same(it *item, f *fact) {
	if it.differs(f) {
		c.fault(it.at, "%v of %s differs from the log's %s %s %.40s of %+v %v", it, it.author, opName(f.Op), f.Key, f.Payload, f.From, f.tags())
	}
}

// mine says that an entry is not for this client: it published it without echo, on this very connection.
func (c *checker) mine(f *fact) bool {
	return f.NoEcho && f.From != nil && f.From.Session == c.r.session
}

// perhapsMine says so of one of the SDK's, which hides the name of its sessions.
func (c *checker) perhapsMine(f *fact) bool {
	return c.mine(f) || c.r.kit && f.NoEcho && strings.HasPrefix(f.Client, "c:"+c.r.client+"\x00")
}

// leavable says that nothing needs to be told of an entry to this client, at a moment.
func (c *checker) leavable(f *fact, at time.Duration) bool {
	return c.notFor(f, at) || c.state && (f.Offset <= c.told || c.standsFor(f, at)) || c.superseded(f, at)
}

// notFor says that an entry does not concern this client, or nobody any more, at a moment.
func (c *checker) notFor(f *fact, at time.Duration) bool {
	return c.perhapsMine(f) || c.filtered(f) || f.passed(at)
}

// filtered says that the client has not asked for such entries.
func (c *checker) filtered(f *fact) bool {
	return !passes(c.r.filter, f.tags()) && f.Op != broker.Delete
}

// nothingBetween checks that no entry has been left out, untold, up to an offset.
func (c *checker) nothingBetween(to uint64, it *item) {
	for _, f := range c.epoch.between(c.at, to) {
		if !c.leavable(f, it.at) {
			c.fault(it.at, "%v came after %d: %d was left out, untold", it, c.at, f.Offset)
			return
		}
		if c.notFor(f, it.at) {
			delete(c.known, f.Key)
		}
	}
}

func (c *checker) position(it *item) {
	if it.offset < c.at || c.epoch.at(it.offset) == nil {
		c.fault(it.at, "%v came after %d, and is nonsense", it, c.at)
		return
	}
	if !c.free {
		c.nothingBetween(it.offset, it)
	}
	c.at, c.free = it.offset, false
}

// gap checks that a gap tells exactly what is missing.
func (c *checker) gap(it *item) {
	switch {
	case it.from > it.offset || it.offset < c.at || it.from <= c.at && !c.free:
		c.fault(it.at, "%v came after %d, and is nonsense", it, c.at)
	case c.epoch.at(it.offset) == nil:
		c.fault(it.at, "%v ends where there is no entry", it)
	case len(c.epoch.between(it.from-1, it.offset)) == 0:
		c.fault(it.at, "%v holds nothing", it)
	default:
		c.reason(it)
	}
	if !c.free && !c.failed {
		c.nothingBetween(it.from-1, it)
	}
	if c.r.kit && c.state { // the SDK asks for what has changed in the state
		c.at, c.free, c.told = max(c.at, it.from-1), false, it.offset
		return
	}
	if it.reason == anew && (c.r.wants || c.r.kind == fromState) { // all of it follows, in place of what the client has
		c.at, c.state, c.stateTo, c.free = 0, true, it.offset, false
		clear(c.known)
		return
	}
	c.at, c.free, c.state = it.offset, false, c.state && it.reason == withoutKey
}

// end checks that a subscription which lives has brought all there is.
func (c *checker) end() {
	r := c.r
	newest := c.w.truth.current(r.channel)
	now := c.w.now()
	if r.kit {
		if c.epoch == nil { // nothing came at all
			for _, f := range newest.entriesSince(r.repliedAt) {
				if !c.leavable(f, now) {
					c.fault(now, "nothing came, and %d was appended since it subscribed", f.Offset)
					return
				}
			}
			return
		}
	}
	if c.epoch != newest {
		c.fault(now, "it still follows epoch %s and was not told that %s began", c.epoch.name, newest.name)
		return
	}
	for _, f := range newest.between(c.at, newest.head()) {
		if r.kit && c.notFor(f, now) { // whose positions it hides
			delete(c.known, f.Key)
		}
	}
	c.converged(newest, now)
	if c.free {
		c.first(newest.head()+1, now)
		return
	}
	for _, f := range newest.between(c.at, newest.head()) {
		switch {
		case !c.leavable(f, now):
			c.fault(now, "it stands at %d, and %d never came", c.at, f.Offset)
			return
		case !r.kit:
			c.fault(now, "it was never told the position of %d, which is not for it", f.Offset)
			return
		}
	}
}

// entriesSince are those appended after a moment.
func (e *epoch) entriesSince(at time.Duration) []*fact {
	if e == nil {
		return nil
	}
	return e.entries[e.appendedBy(at):]
}
