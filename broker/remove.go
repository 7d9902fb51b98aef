package broker

import (
	"context"
	"errors"
)

var _ Remover = (*Memory)(nil)

// errRemoval answers a Removal that does not say what to take out, or says more than one thing.
var errRemoval = errors.New("broker: a removal names exactly one of an offset up to which, an offset, and a key, which an offset may bound")

// Remove takes entries out of a log; see [Remover]. Looking for the entries of a key takes as long as the log is. It
// answers ErrBusy where too much waits for the sink.
func (b *Memory) Remove(ctx context.Context, channel string, r Removal) (int, error) {
	if err := b.serving(ctx); err != nil {
		return 0, err
	}
	if !r.valid() {
		return 0, errRemoval
	}
	c := b.lockExisting(channel)
	if c == nil {
		if r.Epoch != "" {
			return 0, ErrConflict
		}
		return 0, nil
	}
	sink := b.sink.Load() // again, as settle relies on it being looked at under the lock
	if sink == nil || len(c.pending) >= maxPending {
		c.mu.Unlock()
		if sink == nil {
			return 0, ErrClosed
		}
		return 0, ErrBusy
	}
	if r.Epoch != "" && r.Epoch != c.epoch {
		c.mu.Unlock()
		return 0, ErrConflict
	}
	before := c.size()
	r.Epoch, r.UpTo = c.epoch, min(r.UpTo, c.log.head)
	n, err := c.remove(&r, c.clock(b.cfg.Now().UnixMilli()))
	telling := err == nil && c.followed && !c.delivering
	if err == nil && c.followed {
		// Behind what others have appended and not told yet, as the log's order is.
		c.pending = append(c.pending, notice{removed: &r})
		c.delivering = true
	}
	grown := c.size().minus(before)
	c.mu.Unlock()
	b.account(grown)
	if telling {
		c.drain(*sink)
	}
	return n, err
}

// valid says that exactly one thing is meant.
func (r *Removal) valid() bool {
	if r.Offset != 0 {
		return r.UpTo == 0 && r.Key == ""
	}
	return r.UpTo != 0 || r.Key != ""
}

func (c *channel) remove(r *Removal, now int64) (int, error) {
	switch {
	case r.Key != "":
		return c.removeKey(r.Key, r.UpTo, now), nil
	case r.Offset != 0:
		return c.removeOne(r.Offset, now)
	}
	return c.log.removeUpTo(r.UpTo, now), nil
}

// removeOne takes out the entry at an offset, unless the log would then say something else of a key than the state.
func (c *channel) removeOne(offset uint64, now int64) (int, error) {
	c.log.expire(now)
	i := c.log.after(offset - 1)
	if i == c.log.n || c.log.at(i).Offset != offset {
		if c.state.spans(offset, ageCut(&c.keep, now), now) {
			return 0, ErrConflict // nodes may hold it, and are not to forget it
		}
		return 0, nil
	}
	e := c.log.at(i)
	if v := c.state.value(e.Key); v != nil && v.since <= offset && !v.ended(ageCut(&c.keep, now), now) {
		return 0, ErrConflict
	}
	if e.Op == Delete {
		// What comes after it may rely on there being no value: nothing does, or an Append.
		if next := c.log.next(e.Key, i+1); next == nil || next.Op == Append {
			return 0, ErrConflict
		}
	}
	return c.log.remove(func(x *Entry) bool { return x == e }), nil
}

// spans says that the entry at an offset may be a part of a value.
func (s *state) spans(offset uint64, cut, now int64) bool {
	for _, c := range s.cells {
		if !c.deleted() && c.since <= offset && offset <= c.last.Offset && !c.ended(cut, now) {
			return true
		}
	}
	return false
}

// removeKey takes out the value and the entries of a key, but a Delete with which they end: who has the value and comes
// back still has to learn that it is gone. A value that has reached its end is left to get that Delete, and one that was written
// to after upTo, which may be 0 for the head, stays.
func (c *channel) removeKey(key string, upTo uint64, now int64) (removed int) {
	if upTo == 0 {
		upTo = c.log.head
	}
	c.log.expire(now)
	v := c.state.value(key)
	if v != nil && v.ended(ageCut(&c.keep, now), now) {
		v = nil
	}
	if v != nil && v.last.Offset > upTo {
		v, upTo = nil, min(upTo, v.since-1)
	}
	last := c.log.last(key, upTo)
	if v != nil {
		if last == nil { // the log has dropped it
			removed++
		}
		c.state.remove(v)
	}
	return removed + c.log.remove(func(e *Entry) bool {
		return e.Key == key && e.Offset <= upTo && (e != last || e.Op != Delete)
	})
}

// next returns the oldest entry of a key from index i on, nil when there is none.
func (l *log) next(key string, i int) *Entry {
	for ; i < l.n; i++ {
		if e := l.at(i); e.Key == key {
			return e
		}
	}
	return nil
}

// last returns the newest entry of a key up to an offset, nil when the log holds none.
func (l *log) last(key string, upTo uint64) *Entry {
	for i := l.after(upTo) - 1; i >= 0; i-- {
		if e := l.at(i); e.Key == key {
			return e
		}
	}
	return nil
}
