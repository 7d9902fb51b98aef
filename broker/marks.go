package broker

import (
	"slices"
	"sort"
)

// marks list cells by the offsets at which they were written, growing. A mark is stale when its cell has been written
// since or is gone; stale marks are skipped, and swept out once they are the majority. So writing costs the same however
// many marks there are, and a page is found by bisection.
type marks struct {
	list  []mark
	stale int
}

type mark struct {
	offset uint64
	cell   *cell
}

func (m mark) live() bool { return m.cell.last != nil && m.cell.last.Offset == m.offset }

func (m *marks) add(c *cell) { m.list = append(m.list, mark{c.last.Offset, c}) }

// lapse says that the mark of a cell has become stale; call it when it is.
func (m *marks) lapse() {
	m.stale++
	live := len(m.list) - m.stale
	if m.stale < 32 && live > 0 || 2*m.stale <= len(m.list) {
		return
	}
	if m.stale = 0; live == 0 {
		m.list = nil
		return
	}
	m.list = slices.DeleteFunc(m.list, func(x mark) bool { return !x.live() })
	if cap(m.list) > 4*live+64 {
		m.list = append(make([]mark, 0, live+live/2), m.list...)
	}
}

// oldest returns the cell written before all others, nil when there is none.
func (m *marks) oldest() *cell {
	for len(m.list) > 0 && !m.list[0].live() {
		m.list = m.list[1:]
		m.stale--
	}
	if len(m.list) == 0 {
		m.list = nil
		return nil
	}
	return m.list[0].cell
}

// after returns the index of the first mark with a greater offset, which may be stale.
func (m *marks) after(offset uint64) int {
	return sort.Search(len(m.list), func(i int) bool { return m.list[i].offset > offset })
}

// skip returns the index of the first live mark from i on, and its offset; one beyond all there can be when there is none.
func (m *marks) skip(i int) (int, uint64) {
	for ; i < len(m.list); i++ {
		if m.list[i].live() {
			return i, m.list[i].offset
		}
	}
	return i, MaxOffset + 1
}
