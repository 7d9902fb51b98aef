package broker

import "sort"

// A state holds the values of a channel's keys.
type state struct {
	cells map[string]*cell
	// order lists the offsets at which keys were written, growing. A mark is stale when its key has been written since
	// or is gone; stale marks are skipped, and swept out once they are the majority. So writing a key costs the same
	// however many there are, and a page is found by bisection.
	order []mark
	stale int
	bytes int64
}

type mark struct {
	offset uint64
	cell   *cell
}

func (m mark) live() bool { return m.cell.last != nil && m.cell.last.Offset == m.offset }

// A cell is the value of one key. Appends are collected in value and become an entry when somebody reads: a thousand
// appends then copy a thousand times their own bytes, not a thousand times the value.
type cell struct {
	last   *Entry // the latest entry of the key; nil when the key is gone
	value  []byte // what appends have added up to, in JSON without the closing quote; nil when last is the value
	folded *Entry // last as a Set of the whole value, once somebody has asked
}

// check tells whether e can be applied.
func (s *state) check(e *Entry) error {
	if e.Op != Append {
		return nil
	}
	if e.Format == JSON && !isString(e.Payload) {
		return ErrConflict
	}
	c := s.cells[e.Key]
	if c == nil {
		return nil
	}
	if c.last.Format != e.Format || e.Format == JSON && c.value == nil && !isString(c.last.Payload) {
		return ErrConflict
	}
	return nil
}

// apply takes in an entry that check has let pass.
func (s *state) apply(e *Entry) {
	if e.Key == "" {
		return
	}
	c := s.cells[e.Key]
	if e.Op == Delete {
		if c != nil {
			s.remove(e.Key, c)
			s.compact()
		}
		return
	}
	if c == nil {
		c = &cell{}
		if s.cells == nil {
			s.cells = make(map[string]*cell)
		}
		s.cells[e.Key] = c
	} else {
		s.bytes -= c.size()
		s.stale++
	}
	switch {
	case e.Op == Set || c.last == nil:
		c.value = nil
	case c.value == nil:
		c.value = append([]byte(nil), open(c.last.Format, c.last.Payload)...)
		fallthrough
	default:
		c.value = append(c.value, content(e.Format, e.Payload)...)
	}
	c.last, c.folded = e, nil
	s.bytes += c.size()
	s.order = append(s.order, mark{e.Offset, c})
	s.compact()
}

// remove takes out a key; its mark becomes stale.
func (s *state) remove(key string, c *cell) {
	s.bytes -= c.size()
	c.last, c.value, c.folded = nil, nil, nil
	delete(s.cells, key)
	s.stale++
}

// compact sweeps out stale marks when they are the majority.
func (s *state) compact() {
	if s.stale < 32 && len(s.cells) > 0 || 2*s.stale <= len(s.order) {
		return
	}
	if len(s.cells) == 0 {
		s.cells, s.order, s.stale = nil, nil, 0
		return
	}
	live := make([]mark, 0, len(s.cells)+len(s.cells)/2)
	for _, m := range s.order {
		if m.live() {
			live = append(live, m)
		}
	}
	s.order, s.stale = live, 0
}

// expire removes keys last written before cut; at most steps marks are looked at, all when steps is negative.
func (s *state) expire(cut int64, steps int) {
	if cut <= 0 {
		return
	}
	for len(s.order) > 0 && steps != 0 {
		m := s.order[0]
		if m.live() {
			if m.cell.last.Time >= cut {
				break
			}
			s.remove(m.cell.last.Key, m.cell)
		}
		s.order = s.order[1:]
		s.stale--
		steps--
	}
	s.compact()
}

// expireKey removes one key if it was last written before cut.
func (s *state) expireKey(key string, cut int64) {
	if c := s.cells[key]; c != nil && c.last.Time < cut {
		s.remove(key, c)
	}
}

func (s *state) len() int { return len(s.cells) }

// read answers q, but for the epoch and head. What was last written before cut has expired.
func (s *state) read(q *StateQuery, cut int64) (entries []*Entry, more bool) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	i := sort.Search(len(s.order), func(i int) bool { return s.order[i].offset > q.After })
	for ; i < len(s.order); i++ {
		m := s.order[i]
		if !m.live() || m.cell.last.Time < cut {
			continue
		}
		if len(entries) == limit {
			return entries, true
		}
		entries = append(entries, m.cell.entry())
	}
	return entries, false
}

// entry returns the value of the key as a Set.
func (c *cell) entry() *Entry {
	switch {
	case c.last.Op == Set:
		return c.last
	case c.folded != nil:
		return c.folded
	}
	e := *c.last
	e.Op = Set
	if c.value != nil {
		e.Payload = make([]byte, 0, len(c.value)+1)
		e.Payload = append(e.Payload, c.value...)
		if e.Format == JSON {
			e.Payload = append(e.Payload, '"')
		}
	}
	c.folded = &e
	return c.folded
}

const cellFixed = 96 // bytes: a cell, its place in the map and in the order

func (c *cell) size() int64 { return cellFixed + c.last.Size() + int64(len(c.value)) }

// isString tells whether a valid JSON value is a string.
func isString(json []byte) bool {
	json = trimSpace(json)
	return len(json) >= 2 && json[0] == '"'
}

// open returns a payload so that content can be added behind it: a JSON string without its closing quote.
func open(f Format, payload []byte) []byte {
	if f != JSON {
		return payload
	}
	payload = trimSpace(payload)
	return payload[:len(payload)-1]
}

// content returns what a payload adds: of a JSON string what stands between the quotes.
func content(f Format, payload []byte) []byte {
	if f != JSON {
		return payload
	}
	return open(f, payload)[1:]
}

// trimSpace removes the white space JSON allows around a value (RFC 8259 §2).
func trimSpace(json []byte) []byte {
	space := func(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }
	for len(json) > 0 && space(json[0]) {
		json = json[1:]
	}
	for len(json) > 0 && space(json[len(json)-1]) {
		json = json[:len(json)-1]
	}
	return json
}
