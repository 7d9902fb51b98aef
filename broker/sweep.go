package broker

// A place is where a walk over all channels has come to.
type place struct {
	shard int
	index int
}

const (
	sweepLeast = 4096 // channels looked at by one sweep, or all when there are fewer
	sweepTurns = 30   // sweeps in which every channel is looked at, however many there are
	sampled    = 16   // channels among which the one with the oldest entry is chosen
	looked     = 512  // channels looked at for them, most of which may have nothing to give up
)

// walk puts channels into dst, going on from at, and returns how many. It does not go past the end of a shard. A channel
// that changes its place meanwhile may be passed over until the next time round.
func (b *Memory) walk(at *place, dst []*channel) int {
	s := &b.shards[at.shard]
	s.mu.RLock()
	n := 0
	if at.index < len(s.list) {
		n = copy(dst, s.list[at.index:])
	}
	at.index += n
	end := at.index >= len(s.list)
	s.mu.RUnlock()
	if end {
		at.shard, at.index = (at.shard+1)%shardCount, 0
	}
	return n
}

// sweep frees what has expired in the next channels, and drops those that are idle.
func (b *Memory) sweep(at *place) {
	now := b.cfg.Now().UnixMilli()
	total := int(b.count.Load())
	budget := min(total, max(sweepLeast, total/sweepTurns))
	var some [256]*channel
	for turns := 0; budget > 0 && turns < shardCount; {
		before := at.shard
		n := b.walk(at, some[:min(budget, len(some))])
		if at.shard != before {
			turns++
		}
		for _, c := range some[:n] {
			if b.sweepOne(c, now) {
				b.dropIf(c, func() bool { return c.idle(now) })
			}
		}
		budget -= n
	}
	clear(some[:])
}

// sweepOne frees what has expired in a channel and tells whether it is idle.
func (b *Memory) sweepOne(c *channel, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.size()
	c.expire(now)
	c.log.shrink()
	b.account(c.size().minus(before))
	return c.idle(now)
}

// dropIf takes a channel out of its shard, if it still may: somebody may have used it meanwhile. It answers whether it did. A publish that has found
// it but not yet locked it sees that it was dropped and looks again.
func (b *Memory) dropIf(c *channel, may func() bool) bool {
	s := b.shard(c.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped || !may() {
		return false
	}
	c.dropped = true
	b.agenda.set(c, 0)
	delete(s.byName, c.name)
	last := s.list[len(s.list)-1]
	s.list[c.place], last.place = last, c.place
	s.list[len(s.list)-1] = nil
	s.list = s.list[:len(s.list)-1]
	b.count.Add(-1)
	return true
}

// makeRoom removes the oldest entries until all channels together are a sixteenth below MaxBytes, so that not every
// publish has to. One goroutine at a time does so; the others go on, as the bound is on bytes and not on the moment.
//
// Where values of keys fill nearly all there is, hardly a channel has an entry left. So it is not looked for others for long: then
// that goes which has just come, to grown.
func (b *Memory) makeRoom(grown *channel) {
	if !b.evicting.TryLock() {
		return
	}
	defer b.evicting.Unlock()
	goal := b.cfg.MaxBytes - b.cfg.MaxBytes/16
	for {
		excess := b.logged.Load() + b.held.Load() - goal
		if excess <= 0 || b.logged.Load() <= 0 {
			return
		}
		if c := b.oldest(); c != nil {
			b.shorten(c, excess)
		} else if !b.shorten(grown, excess) {
			return
		}
	}
}

// shorten gives up a part of what a channel can, as the next oldest entry may be another channel's. It answers whether there was
// anything.
func (b *Memory) shorten(c *channel, excess int64) (some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, now := c.size(), c.clock(b.cfg.Now().UnixMilli())
	for limit := max(1, (c.log.n+c.state.deleted)/8); limit > 0 && before.logged-c.size().logged < excess; limit-- {
		if !c.evict(now) {
			break
		}
		some = true
	}
	b.account(c.size().minus(before))
	return some
}

// evict gives up the oldest entry of the log or the oldest Delete that the state remembers, and tells whether there was
// one.
func (c *channel) evict(now int64) bool {
	logged, deleted := c.oldest()
	switch {
	case logged == 0 && deleted == 0:
		return false
	case deleted == 0 || logged != 0 && logged <= deleted:
		c.log.drop(now)
	default:
		c.state.forget()
	}
	return true
}

// oldest returns the times of what would go first in the log and in the state, 0 for nothing.
func (c *channel) oldest() (logged, deleted int64) {
	if c.log.n > 0 {
		logged = c.log.at(0).Time
	}
	if c.state.deleted > 0 {
		deleted = c.state.deletes.oldest().last.Time
	}
	return logged, deleted
}

// oldest returns, among the next channels that have something to give up, the one with the oldest entry; nil when none is near.
func (b *Memory) oldest() *channel {
	var best *channel
	var bestTime int64
	var some [sampled]*channel
	for seen, left, turns := 0, looked, 0; seen < sampled && left > 0 && turns <= shardCount; {
		before := b.evictAt.shard
		n := b.walk(&b.evictAt, some[:sampled-seen])
		left -= n
		if b.evictAt.shard != before {
			turns++
		}
		for _, c := range some[:n] {
			c.mu.Lock()
			if logged, deleted := c.oldest(); logged != 0 || deleted != 0 {
				seen++
				if t := firstOf(logged, deleted); best == nil || t < bestTime {
					best, bestTime = c, t
				}
			}
			c.mu.Unlock()
		}
	}
	return best
}

// firstOf returns the earlier of two times, of which 0 is none.
func firstOf(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
