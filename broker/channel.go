package broker

import "sync"

// A channel is the log of one channel in memory, the values of its keys, and what is remembered about publishes.
type channel struct {
	// Set once.
	name  string
	epoch string

	mu      sync.Mutex // guards all below but place
	dropped bool       // no longer in its shard: look it up again
	log     log
	state   state
	memory  dedup
	keep    Retention // of the latest publish
	touched int64     // when it was last published to or unfollowed, Unix milliseconds
	scatter uint64    // state of the generator of holes; 0 for consecutive offsets

	followed   bool
	delivering bool     // somebody is calling the sink
	pending    []notice // what came up meanwhile
	quiet      chan struct{}
	planned    int64 // when Run is to look at the values' ends, Unix milliseconds; 0 for not at all

	place int         // in the shard's list; guarded by the shard's lock
	plan  appointment // guarded by the agenda's lock
}

func (c *channel) meeting() *appointment { return &c.plan }

// A notice is one thing to tell the sink.
type notice struct {
	entry   *Entry
	removed *Removal
}

// size is what a channel counts for against MaxBytes.
type size struct {
	logged int64 // entries in the log, and deleted keys that are remembered
	held   int64 // values of keys, remembered publishes
}

func (s size) minus(t size) size { return size{s.logged - t.logged, s.held - t.held} }

func (c *channel) size() size {
	return size{c.log.bytes + c.state.delBytes, c.state.bytes + c.memory.bytes}
}

// append adds e to the log unless it is a duplicate or cannot be. full says that no more bytes may be held besides
// the log. When the value of the key has reached its end, its Delete comes first, whatever becomes of e; it is ended.
func (c *channel) append(e *Entry, r *Retention, now int64, full bool) (receipt Receipt, ended *Entry, err error) {
	now = c.clock(now)
	window := r.dedupWindow()
	c.memory.expire(now-window, expireStep)
	if offset, ok := c.memory.find(e, now-window, &c.log); ok {
		return Receipt{Position: Position{Epoch: c.epoch, Offset: offset}, Duplicate: true}, nil, nil
	}
	if !e.valid() {
		return Receipt{}, nil, ErrConflict
	}
	if c.followed && len(c.pending) >= maxPending {
		return Receipt{}, nil, ErrBusy
	}
	if v := c.state.value(e.Key); v != nil && v.ended(ageCut(r, now), now) {
		ended = c.end(v, now, full)
	}
	if err := c.admit(e, r, full); err != nil {
		return Receipt{}, ended, err
	}
	c.keep, c.touched = *r, now
	switch v := c.state.value(e.Key); {
	case e.Op == Delete:
		e.TTL = 0
	case e.Op == Append && e.Score == 0 && v != nil:
		e.Score = v.last.Score // what grows keeps its place
	}
	c.push(e, now, full)
	c.memory.remember(e)
	return Receipt{Position: Position{Epoch: c.epoch, Offset: e.Offset}}, ended, nil
}

// admit tells why e cannot be appended.
func (c *channel) admit(e *Entry, r *Retention, full bool) error {
	if e.HasExpect {
		if at := c.newest(e.Key); e.Expect != at {
			return &ConflictError{Position{Epoch: c.epoch, Offset: at}}
		}
	}
	if err := c.state.check(e); err != nil {
		return err
	}
	needs := c.memory.needs(e)
	if needs > 0 && (full || c.memory.len()+needs > r.dedupKeys()) || full && e.Key != "" && e.Op != Delete {
		return ErrBusy
	}
	return nil
}

// push appends what has been admitted.
func (c *channel) push(e *Entry, now int64, full bool) {
	e.Prev, e.Offset, e.Time = c.log.head, c.next(), now
	c.log.push(e)
	c.log.trim(&c.keep, now)
	c.state.apply(e, !full)
	if c.state.deleted > 0 {
		c.state.expire(now-c.keep.deletes(), expireStep)
	}
}

// newest returns the offset of the newest entry of a key that has a value, or of the channel when key is "".
func (c *channel) newest(key string) uint64 {
	if key == "" {
		return c.log.head
	}
	if v := c.state.value(key); v != nil {
		return v.last.Offset
	}
	return 0
}

// clock returns now, or the time of the newest entry if that is later: time does not step back within a channel.
func (c *channel) clock(now int64) int64 { return max(now, c.log.headTime) }

// next returns the offset of the next entry.
func (c *channel) next() uint64 {
	if c.scatter == 0 {
		return c.log.head + 1
	}
	// xorshift64: cheap, and good enough for holes. Starts stay small, so that they are easy to read and to type.
	c.scatter ^= c.scatter << 13
	c.scatter ^= c.scatter >> 7
	c.scatter ^= c.scatter << 17
	if c.log.head == 0 {
		return 1 + c.scatter>>44
	}
	return c.log.head + 1 + c.scatter>>62
}

// claim makes the caller the one who tells the sink of a and b, either of which may be nil, and of what comes after
// them; or leaves them to the one who does so already.
func (c *channel) claim(a, b *Entry) bool {
	if !c.followed || a == nil && b == nil {
		return false
	}
	if !c.delivering {
		c.delivering = true
		return true
	}
	for _, e := range [...]*Entry{a, b} {
		if e != nil {
			c.pending = append(c.pending, notice{entry: e})
		}
	}
	return false
}

// drain tells the sink what has come up while the caller was telling it of something else, until there is nothing left.
func (c *channel) drain(sink Sink) {
	for spare := []notice(nil); c.round(sink, &spare); {
	}
}

// round tells the sink what waits for it. When nothing does, it ends what claim began and returns false.
func (c *channel) round(sink Sink, spare *[]notice) bool {
	c.mu.Lock()
	batch := c.pending
	if len(batch) == 0 {
		c.settle()
		c.mu.Unlock()
		return false
	}
	c.pending = (*spare)[:0]
	followed := c.followed
	c.mu.Unlock()
	for _, n := range batch {
		switch {
		case !followed:
		case n.entry != nil:
			sink.Deliver(c.name, c.epoch, n.entry)
		default:
			sink.Removed(c.name, *n.removed)
		}
	}
	clear(batch)
	*spare = batch
	return true
}

// settle says that nobody calls the sink any more.
func (c *channel) settle() {
	if cap(c.pending) > 64 {
		c.pending = nil // a burst is over; an idle channel shall not pay for it
	}
	c.delivering = false
	if c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
}

// expire frees what has expired by now, all of it but values: these end with a Delete (see endValues).
func (c *channel) expire(now int64) {
	now = c.clock(now)
	c.log.expire(now)
	c.log.trim(&c.keep, now)
	c.state.expire(now-c.keep.deletes(), -1)
	c.memory.expire(now-c.keep.dedupWindow(), -1)
}

// idle says that nobody would miss the channel, once expire has been called. What is remembered about publishes has then
// gone as well, as no record is newer than touched. A channel whose last value has ended stays as long as it remembers
// that: who comes back within Retention.Deletes is told, instead of finding another epoch.
func (c *channel) idle(now int64) bool {
	return !c.followed && !c.delivering && c.log.n == 0 && len(c.state.cells) == 0 &&
		c.touched < now-c.keep.dedupWindow()
}

// expireStep is how much a publish cleans up at most: more than it adds, little enough not to be felt.
const expireStep = 16

// ageCut returns the time before which entries have expired, Unix milliseconds.
func ageCut(r *Retention, now int64) int64 {
	if r.Age <= 0 {
		return 0
	}
	return now - r.Age.Milliseconds()
}

// deletes returns Deletes with its default, in milliseconds.
func (r *Retention) deletes() int64 {
	if r.Deletes == 0 {
		return defaultDeletes.Milliseconds()
	}
	return r.Deletes.Milliseconds()
}

// dedupWindow returns DedupWindow with its default, in milliseconds.
func (r *Retention) dedupWindow() int64 {
	if r.DedupWindow == 0 {
		return defaultWindow.Milliseconds()
	}
	return r.DedupWindow.Milliseconds()
}

// dedupKeys returns DedupKeys with its default.
func (r *Retention) dedupKeys() int {
	if r.DedupKeys == 0 {
		return defaultKeys
	}
	return r.DedupKeys
}
