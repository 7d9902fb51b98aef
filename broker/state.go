package broker

import "iter"

// A state holds the values of a channel's keys, and remembers for a while which keys were deleted.
type state struct {
	cells map[string]*cell // of keys with a value, and of those deleted
	peak  int              // the most there were since the map was made: maps do not shrink by themselves

	values int // cells that hold a value, in three orders:
	order  marks
	ends   queue[*cell] // those with a TTL
	scores scores
	bytes  int64 // of values

	deleted   int   // cells of deleted keys
	deletes   marks // the same, by the offsets of the Deletes
	delBytes  int64
	forgotten uint64 // offset of the newest Delete that is remembered no more
}

const (
	maxDeletes     = 1 << 15 // deleted keys that a channel remembers; beyond it the oldest go
	maxDeleteBytes = 8 << 20 // and their bytes
)

// value returns the cell of a key that has a value, else nil.
func (s *state) value(key string) *cell {
	if c := s.cells[key]; c != nil && !c.deleted() {
		return c
	}
	return nil
}

// check tells whether e can be applied.
func (s *state) check(e *Entry) error {
	if e.Op != Append {
		return nil
	}
	c := s.value(e.Key)
	switch {
	case e.Format == JSON && !isString(e.Payload) || c != nil && !c.takes(e):
		return ErrConflict
	case c != nil && c.valueBytes()+len(e.Payload) > MaxValueBytes:
		return ErrTooLarge
	}
	return nil
}

// apply takes in an entry that check has let pass. A deleted key is remembered when remember is true.
func (s *state) apply(e *Entry, remember bool) {
	switch {
	case e.Key == "":
	case e.Op == Delete:
		switch c := s.cells[e.Key]; {
		case c == nil:
		case c.deleted():
			s.deleteAgain(c, e)
		default:
			s.delete(c, e, remember)
		}
	default:
		s.write(e)
	}
}

// write takes in a Set or an Append.
func (s *state) write(e *Entry) {
	c := s.cells[e.Key]
	wasValue, wasDeleted := false, false
	switch {
	case c == nil:
		c = s.insert(e.Key)
	case c.deleted():
		wasDeleted = true
		s.deleted--
		s.delBytes -= c.size()
	default:
		wasValue = true
		s.unlist(c)
	}
	due := int64(0)
	if e.TTL != 0 {
		due = e.end()
	}
	if e.Op == Append && c.ends.due != 0 && (due == 0 || c.ends.due < due) {
		due = c.ends.due // see Entry.TTL: else a part of the value would leave the log before the value ends
	}
	c.write(e)
	s.values++
	s.bytes += c.size()
	s.ends.set(c, due)
	s.order.add(c)
	s.rank(c)
	if wasValue {
		s.order.lapse()
	} else if wasDeleted {
		s.deletes.lapse()
	}
}

// insert puts in the cell of a key.
func (s *state) insert(key string) *cell {
	if s.cells == nil {
		s.cells = make(map[string]*cell)
	}
	c := &cell{}
	s.cells[key] = c
	s.peak = max(s.peak, len(s.cells))
	return c
}

// rank puts a value that has been written into the order of scores.
func (s *state) rank(c *cell) {
	switch {
	case s.values == 1 && c.last.Score == 0:
		s.scores = scores{} // a state that was empty begins without
	case s.scores.kept:
		s.scores.add(c)
	case c.last.Score != 0:
		// All others have 0 and stand in this order already.
		s.scores.kept = true
		s.scores.build(func(yield func(*cell) bool) {
			for _, m := range s.order.list {
				if m.live() && m.cell != c && !yield(m.cell) {
					return
				}
			}
		})
		s.scores.add(c)
	}
}

// delete ends a value with the entry e.
func (s *state) delete(c *cell, e *Entry, remember bool) {
	s.unlist(c)
	s.ends.set(c, 0)
	c.last, c.value, c.folded = bare(e), nil, nil
	s.order.lapse()
	s.deletes.add(c)
	s.deleted++
	s.delBytes += c.size()
	s.forgetBeyond(remember)
}

// deleteAgain has the newest Delete of a key be the one that is remembered: where nobody was told of those before it, since one stands
// for all, who has come as far as between them has to be.
func (s *state) deleteAgain(c *cell, e *Entry) {
	s.delBytes -= c.size()
	c.last = bare(e)
	s.deletes.add(c)
	s.deletes.lapse()
	s.delBytes += c.size()
	s.forgetBeyond(true)
}

// bare returns a Delete as it is remembered.
func bare(e *Entry) *Entry {
	if len(e.Payload) == 0 {
		return e
	}
	b := *e
	b.Payload = nil
	return &b
}

// forgetBeyond keeps what is remembered within its bounds.
func (s *state) forgetBeyond(remember bool) {
	for s.deleted > 0 && (!remember || s.deleted > maxDeletes || s.delBytes > maxDeleteBytes) {
		s.forget() // without remembering this one, those before it are of no use either
	}
}

// remove takes out a value without a trace.
func (s *state) remove(c *cell) {
	s.unlist(c)
	s.ends.set(c, 0)
	s.discard(c)
	s.order.lapse()
}

// unlist takes a value out of what is counted and out of the order of scores.
func (s *state) unlist(c *cell) {
	s.bytes -= c.size()
	s.values--
	if s.scores.kept {
		s.scores.remove(c)
	}
}

// discard takes a cell out of the map.
func (s *state) discard(c *cell) {
	delete(s.cells, c.last.Key)
	c.last, c.value, c.folded = nil, nil, nil
	switch n := len(s.cells); {
	case n == 0:
		s.cells, s.peak = nil, 0
	case s.peak > 1024 && n < s.peak/4:
		cells := make(map[string]*cell, n)
		for key, c := range s.cells {
			cells[key] = c
		}
		s.cells, s.peak = cells, n
	}
}

// forget remembers the oldest Delete no more.
func (s *state) forget() {
	c := s.deletes.oldest()
	s.forgotten = c.last.Offset
	s.deleted--
	s.delBytes -= c.size()
	s.discard(c)
	s.deletes.lapse()
}

// expire forgets Deletes from before cut, at most steps of them, all when steps is negative.
func (s *state) expire(cut int64, steps int) {
	for s.deleted > 0 && s.deletes.oldest().last.Time < cut && steps != 0 {
		s.forget()
		steps--
	}
}

// nextEnd returns when the next value reaches its end, by its own TTL or the age that r allows, 0 for never.
func (s *state) nextEnd(r *Retention) int64 {
	due := s.ends.next()
	if r.Age > 0 && s.values > 0 {
		due = firstOf(due, s.order.oldest().last.Time+r.Age.Milliseconds()+1)
	}
	return due
}

// ended returns a value that has reached its end, or was last written before cut; nil when there is none.
func (s *state) ended(cut, now int64) *cell {
	if s.values == 0 {
		return nil
	}
	if len(s.ends.list) > 0 && s.ends.list[0].ended(cut, now) {
		return s.ends.list[0]
	}
	if c := s.order.oldest(); c.last.Time < cut {
		return c
	}
	return nil
}

// len counts the values that have not reached their end. It looks at those that have.
func (s *state) len(cut, now int64) int {
	n := s.values - s.ends.countDue(now)
	if n > 0 {
		s.order.oldest() // sweeps stale marks out of the way
	}
	for _, m := range s.order.list {
		if m.live() && m.cell.last.Time >= cut {
			break
		}
		if m.live() && (m.cell.ends.due == 0 || m.cell.ends.due > now) {
			n--
		}
	}
	return n
}

// read answers q, but for the epoch. What was last written before cut has reached its end.
func (s *state) read(q *StateQuery, head uint64, cut, now int64) Page {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	page := Page{Head: head, Complete: true}
	cells := s.byOffset(q.After, q.Deletes)
	if q.Order == ByScore {
		cells = s.byScore(q)
	} else if q.Deletes && q.After != 0 { // at 0 there is nothing to forget
		page.Complete = q.After >= s.forgotten && q.After <= head
	}
	for c := range cells {
		if !c.deleted() && c.ended(cut, now) {
			continue
		}
		if len(page.Entries) == limit {
			page.More = true
			break
		}
		page.Entries = append(page.Entries, c.entry())
	}
	return page
}

// byOffset yields the values written after an offset, and with deletes also the keys that were deleted after it.
func (s *state) byOffset(after uint64, deletes bool) iter.Seq[*cell] {
	return func(yield func(*cell) bool) {
		i, j, del := s.order.after(after), 0, uint64(MaxOffset+1)
		if deletes {
			j, del = s.deletes.skip(s.deletes.after(after))
		}
		i, val := s.order.skip(i)
		for val <= MaxOffset || del <= MaxOffset {
			if val < del {
				if !yield(s.order.list[i].cell) {
					return
				}
				i, val = s.order.skip(i + 1)
			} else {
				if !yield(s.deletes.list[j].cell) {
					return
				}
				j, del = s.deletes.skip(j + 1)
			}
		}
	}
}

// byScore yields the values behind the place that q names.
func (s *state) byScore(q *StateQuery) iter.Seq[*cell] {
	from := &rank{q.AfterScore, q.After}
	switch {
	case s.scores.kept && q.HasAfterScore:
		return s.scores.after(from)
	case s.scores.kept:
		return s.scores.after(nil)
	case !q.HasAfterScore || q.AfterScore > 0:
		return s.byOffset(0, false)
	case q.AfterScore == 0:
		return s.byOffset(q.After, false)
	}
	return func(func(*cell) bool) {}
}
