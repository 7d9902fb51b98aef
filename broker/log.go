package broker

import (
	"slices"
	"sort"
)

// A log is the retained end of a channel's history: a ring of entries that grows as it fills.
type log struct {
	ring  []*Entry // its length is a power of two, or 0
	first int      // index of the oldest
	n     int
	bytes int64 // sum of Entry.Size

	mortal   int   // entries with a TTL
	earliest int64 // when the first of them ends, or earlier; meaningless when mortal is 0
	pushed   int   // entries since all were last looked at

	head     uint64 // offset of the newest entry ever appended
	headTime int64
	lost     uint64 // offset of the newest entry removed before its TTL had passed; 0 when none was
	lostTime int64
}

// at returns the i-th entry, 0 being the oldest.
func (l *log) at(i int) *Entry { return l.ring[(l.first+i)&(len(l.ring)-1)] }

func (l *log) push(e *Entry) {
	if l.n == len(l.ring) {
		l.resize(max(4, 2*len(l.ring)))
	}
	l.ring[(l.first+l.n)&(len(l.ring)-1)] = e
	l.n++
	l.pushed++
	l.bytes += e.Size()
	l.expect(e)
	l.head, l.headTime = e.Offset, e.Time
}

func (l *log) resize(length int) {
	ring := make([]*Entry, length)
	for i := range l.n {
		ring[i] = l.at(i)
	}
	l.ring, l.first = ring, 0
}

// expect takes note of when an entry ends.
func (l *log) expect(e *Entry) {
	if e.TTL == 0 {
		return
	}
	if end := e.end(); l.mortal == 0 || end < l.earliest {
		l.earliest = end
	}
	l.mortal++
}

// drop removes the oldest entry. It is lost unless its TTL has passed.
func (l *log) drop(now int64) {
	e := l.ring[l.first]
	l.ring[l.first] = nil
	l.first = (l.first + 1) & (len(l.ring) - 1)
	l.n--
	l.bytes -= e.Size()
	if e.TTL != 0 {
		l.mortal--
	}
	if !e.Expired(now) {
		l.lost, l.lostTime = e.Offset, e.Time
	}
	if l.n == 0 && len(l.ring) > 4 {
		l.ring, l.first = nil, 0
	}
}

// trim removes what r does not keep. What has passed its age goes even while the channel is only read.
func (l *log) trim(r *Retention, now int64) {
	if l.mortal > 0 && l.earliest <= now && 8*l.pushed+64 > l.n {
		l.expire(now) // so that a publish looks at nine entries besides 64, as a mean
	}
	for l.n > max(0, r.Count) || r.Bytes > 0 && l.n > 0 && l.bytes > r.Bytes {
		l.drop(now)
	}
	for cut := ageCut(r, now); l.n > 0 && l.at(0).Time < cut; {
		l.drop(now)
	}
}

// expire takes out entries whose TTL has passed.
func (l *log) expire(now int64) {
	if l.mortal > 0 && l.earliest <= now {
		l.remove(func(e *Entry) bool { return e.Expired(now) })
	}
}

// remove takes out entries, wherever they stand, without their being lost, and returns how many.
func (l *log) remove(which func(e *Entry) bool) (removed int) {
	n := l.n
	l.n, l.mortal, l.pushed = 0, 0, 0
	for i := range n {
		e := l.at(i)
		if which(e) {
			l.bytes -= e.Size()
			continue
		}
		l.ring[(l.first+l.n)&(len(l.ring)-1)] = e
		l.n++
		l.expect(e)
	}
	for i := l.n; i < n; i++ {
		l.ring[(l.first+i)&(len(l.ring)-1)] = nil
	}
	return n - l.n
}

// removeUpTo takes out the entries up to an offset; nobody can go on from before it. It returns how many there were.
func (l *log) removeUpTo(offset uint64, now int64) (removed int) {
	offset = min(offset, l.head)
	l.expire(now)
	for ; l.n > 0 && l.at(0).Offset <= offset; removed++ {
		l.drop(now)
	}
	l.lost = max(l.lost, offset)
	return removed
}

// shrink gives back memory that a longer log left behind.
func (l *log) shrink() {
	switch {
	case l.n == 0:
		l.ring, l.first = nil, 0
	case len(l.ring) > 16 && l.n < len(l.ring)/4:
		l.resize(len(l.ring) / 2)
	}
}

// after returns the index of the first entry with a greater offset, n when there is none.
func (l *log) after(offset uint64) int {
	return sort.Search(l.n, func(i int) bool { return l.at(i).Offset > offset })
}

// since returns the index of the first entry at or after a time, n when there is none.
func (l *log) since(ms int64) int {
	return sort.Search(l.n, func(i int) bool { return l.at(i).Time >= ms })
}

// read answers q, but for the Epoch, which does not follow from the log. Entries whose TTL has passed are not there.
func (l *log) read(q *Query, epoch string, now int64) Page {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	page := Page{Epoch: epoch, Head: l.head}
	switch {
	case q.HasAfter:
		foreign := q.Epoch != "" && q.Epoch != epoch || q.After > l.head
		from := 0 // a position in another history says nothing: begin with the oldest
		if !foreign {
			from = l.after(q.After)
		}
		l.forward(&page, from, limit, now)
		page.Complete = !foreign && q.After >= l.lost
	case q.Before != 0:
		l.backward(&page, l.after(q.Before-1), limit, now)
	case q.Since != 0:
		l.forward(&page, l.since(q.Since), limit, now)
		page.Complete = l.lost == 0 || l.lostTime < q.Since
	default:
		l.backward(&page, l.n, limit, now)
	}
	return page
}

// forward fills page with limit entries beginning with the one at from.
func (l *log) forward(page *Page, from, limit int, now int64) {
	if from < l.n {
		page.Entries = make([]*Entry, 0, min(limit, l.n-from))
	}
	for i := from; i < l.n; i++ {
		if e := l.at(i); e.Expired(now) {
			continue
		} else if len(page.Entries) < limit {
			page.Entries = append(page.Entries, e)
		} else {
			page.More = true
			return
		}
	}
}

// backward fills page with the limit entries that end before to.
func (l *log) backward(page *Page, to, limit int, now int64) {
	if to > 0 {
		page.Entries = make([]*Entry, 0, min(limit, to))
	}
	for i := to - 1; i >= 0 && !page.More; i-- {
		if e := l.at(i); e.Expired(now) {
			continue
		} else if len(page.Entries) < limit {
			page.Entries = append(page.Entries, e)
		} else {
			page.More = true
		}
	}
	slices.Reverse(page.Entries)
	page.Complete = len(page.Entries) == limit || l.lost == 0
}

const defaultLimit = 1000 // Query.Limit and StateQuery.Limit
