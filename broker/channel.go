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
	pending    []*Entry // appended meanwhile
	quiet      chan struct{}

	place int // in the shard's list; guarded by the shard's lock
}

// size is what a channel counts for against MaxBytes.
type size struct {
	logged int64 // entries in the log
	held   int64 // values of keys, remembered publishes
}

func (s size) minus(t size) size { return size{s.logged - t.logged, s.held - t.held} }

func (c *channel) size() size { return size{c.log.bytes, c.state.bytes + c.memory.bytes} }

// append adds e to the log unless it is a duplicate or cannot be. full says that no more bytes may be held besides
// the log.
func (c *channel) append(e *Entry, r *Retention, now int64, full bool) (Receipt, error) {
	now = c.clock(now)
	window := r.dedupWindow()
	c.memory.expire(now-window, expireStep)
	if offset, ok := c.memory.find(e, now-window, &c.log); ok {
		return Receipt{Position: Position{Epoch: c.epoch, Offset: offset}, Duplicate: true}, nil
	}
	if e.Op != Set && e.Key == "" {
		return Receipt{}, ErrConflict
	}
	c.state.expire(ageCut(r, now), expireStep)
	c.state.expireKey(e.Key, ageCut(r, now))
	if at := c.newest(e.Key); e.HasExpect && e.Expect != at {
		return Receipt{}, &ConflictError{Position{Epoch: c.epoch, Offset: at}}
	}
	if err := c.state.check(e); err != nil {
		return Receipt{}, err
	}
	needs := c.memory.needs(e)
	if needs > 0 && (full || c.memory.len()+needs > r.dedupKeys()) {
		return Receipt{}, ErrBusy
	}
	if full && e.Key != "" && e.Op != Delete || c.followed && len(c.pending) >= maxPending {
		return Receipt{}, ErrBusy
	}

	e.Prev, e.Offset, e.Time = c.log.head, c.next(), now
	c.keep, c.touched = *r, now
	c.log.push(e)
	c.log.trim(r, now)
	c.state.apply(e)
	c.memory.remember(e)
	return Receipt{Position: Position{Epoch: c.epoch, Offset: e.Offset}}, nil
}

// newest returns the offset of the newest entry of a key that has a value, or of the channel when key is "".
func (c *channel) newest(key string) uint64 {
	if key == "" {
		return c.log.head
	}
	if cell := c.state.cells[key]; cell != nil {
		return cell.last.Offset
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

// claim makes the caller the one who delivers e and what comes after it, or leaves e to the one who does so already.
func (c *channel) claim(e *Entry) bool {
	if c.delivering {
		c.pending = append(c.pending, e)
		return false
	}
	c.delivering = true
	return true
}

// drain delivers what others have appended while the caller was delivering, until there is nothing left.
func (c *channel) drain(sink Sink) {
	var spare []*Entry
	c.mu.Lock()
	for len(c.pending) > 0 {
		batch := c.pending
		c.pending = spare[:0]
		if !c.followed {
			batch = nil
		}
		c.mu.Unlock()
		for _, e := range batch {
			sink.Deliver(c.name, c.epoch, e)
		}
		clear(batch)
		spare = batch
		c.mu.Lock()
	}
	if cap(c.pending) > 64 {
		c.pending = nil // a burst is over; an idle channel shall not pay for it
	}
	c.delivering = false
	if c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
	c.mu.Unlock()
}

// expire frees what has expired by now, all of it.
func (c *channel) expire(now int64) {
	now = c.clock(now)
	c.log.trim(&c.keep, now)
	c.state.expire(ageCut(&c.keep, now), -1)
	c.memory.expire(now-c.keep.dedupWindow(), -1)
}

// idle says that nobody would miss the channel, once expire has been called. What is remembered about publishes has then
// gone as well, as no record is newer than touched.
func (c *channel) idle(now int64) bool {
	return !c.followed && !c.delivering && c.log.n == 0 && c.state.len() == 0 &&
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
