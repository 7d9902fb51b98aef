package broker

import (
	"container/heap"
	"context"
	"slices"
)

// Read answers a query from the log in memory; see [Query] and [Page].
func (b *Memory) Read(ctx context.Context, channel string, q Query) (Page, error) {
	if err := b.serving(ctx); err != nil {
		return Page{}, err
	}
	c := b.lockExisting(channel)
	if c == nil {
		return (&log{}).read(&q, "", 0), nil
	}
	defer c.mu.Unlock()
	before, now := c.size(), c.clock(b.cfg.Now().UnixMilli())
	c.log.trim(&c.keep, now)
	b.account(c.size().minus(before))
	return c.log.read(&q, c.epoch, now), nil
}

// Heads tells the position of the newest entry of each channel, in the order asked.
func (b *Memory) Heads(ctx context.Context, channels []string) ([]Position, error) {
	if err := b.serving(ctx); err != nil {
		return nil, err
	}
	positions := make([]Position, len(channels))
	for i, name := range channels {
		if c := b.lockExisting(name); c != nil {
			positions[i] = Position{Epoch: c.epoch, Offset: c.log.head}
			c.mu.Unlock()
		}
	}
	return positions, nil
}

// State answers with the latest entry of each key. Pages of one walk by offset (each asking After the last offset of the
// one before) show every key at least once that was there all the time; a key written meanwhile may come twice, the
// second time at its later offset. In a walk by score, a key whose score changes meanwhile may come twice or be passed
// over. A value that has reached its end is not shown, also when its Delete has not been appended yet.
func (b *Memory) State(ctx context.Context, channel string, q StateQuery) (Page, error) {
	if err := b.serving(ctx); err != nil {
		return Page{}, err
	}
	c := b.lockExisting(channel)
	if c == nil {
		return (&state{}).read(&q, 0, 0, 0), nil
	}
	defer c.mu.Unlock()
	now := c.clock(b.cfg.Now().UnixMilli())
	page := c.state.read(&q, c.log.head, ageCut(&c.keep, now), now)
	page.Epoch = c.epoch
	return page, nil
}

// Keys counts the keys of a channel.
func (b *Memory) Keys(ctx context.Context, channel string) (int, error) {
	if err := b.serving(ctx); err != nil {
		return 0, err
	}
	c := b.lockExisting(channel)
	if c == nil {
		return 0, nil
	}
	defer c.mu.Unlock()
	now := c.clock(b.cfg.Now().UnixMilli())
	return c.state.len(ageCut(&c.keep, now), now), nil
}

// Channels names at most limit channels after the name after, in byte order: those that hold something, are followed,
// or have been used lately. A limit of 0 means 1000.
func (b *Memory) Channels(ctx context.Context, after string, limit int) ([]string, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	var names latest
	for i := range b.shards {
		if err := b.serving(ctx); err != nil {
			return nil, err
		}
		s := &b.shards[i]
		s.mu.RLock()
		for _, c := range s.list {
			names.offer(c.name, after, limit)
		}
		s.mu.RUnlock()
	}
	slices.Sort(names)
	return names, nil
}

func (b *Memory) serving(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.sink.Load() == nil {
		return ErrClosed
	}
	return nil
}

// latest is a heap with the last name on top: it keeps the first names of very many without sorting them all.
type latest []string

func (h latest) Len() int           { return len(h) }
func (h latest) Less(i, j int) bool { return h[i] > h[j] }
func (h latest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *latest) Push(x any)        { *h = append(*h, x.(string)) }
func (h *latest) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (h *latest) offer(name, after string, limit int) {
	switch {
	case name <= after:
	case len(*h) < limit:
		heap.Push(h, name)
	case name < (*h)[0]:
		(*h)[0] = name
		heap.Fix(h, 0)
	}
}
