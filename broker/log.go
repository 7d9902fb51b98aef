package broker

import "sort"

// A log is the retained end of a channel's history: a ring of entries that grows as it fills.
type log struct {
	ring  []*Entry // its length is a power of two, or 0
	first int      // index of the oldest
	n     int
	bytes int64 // sum of Entry.Size

	head     uint64 // offset of the newest entry ever appended
	headTime int64
	lost     uint64 // offset of the newest entry removed; 0 when none was
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
	l.bytes += e.Size()
	l.head, l.headTime = e.Offset, e.Time
}

func (l *log) resize(length int) {
	ring := make([]*Entry, length)
	for i := range l.n {
		ring[i] = l.at(i)
	}
	l.ring, l.first = ring, 0
}

// drop removes the oldest entry.
func (l *log) drop() {
	e := l.ring[l.first]
	l.ring[l.first] = nil
	l.first = (l.first + 1) & (len(l.ring) - 1)
	l.n--
	l.bytes -= e.Size()
	l.lost, l.lostTime = e.Offset, e.Time
	if l.n == 0 && len(l.ring) > 4 {
		l.ring, l.first = nil, 0
	}
}

// trim removes what r does not keep. What has passed its age goes even while the channel is only read.
func (l *log) trim(r *Retention, now int64) {
	for l.n > max(0, r.Count) || r.Bytes > 0 && l.n > 0 && l.bytes > r.Bytes {
		l.drop()
	}
	for cut := ageCut(r, now); l.n > 0 && l.at(0).Time < cut; {
		l.drop()
	}
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

// slice copies entries i to j.
func (l *log) slice(i, j int) []*Entry {
	if i >= j {
		return nil
	}
	entries := make([]*Entry, 0, j-i)
	for ; i < j; i++ {
		entries = append(entries, l.at(i))
	}
	return entries
}

// read answers q, but for the Epoch, which does not follow from the log.
func (l *log) read(q *Query, epoch string) Page {
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
		l.forward(&page, from, limit)
		page.Complete = !foreign && q.After >= l.lost
	case q.Before != 0:
		l.backward(&page, l.after(q.Before-1), limit)
	case q.Since != 0:
		l.forward(&page, l.since(q.Since), limit)
		page.Complete = l.lost == 0 || l.lostTime < q.Since
	default:
		l.backward(&page, l.n, limit)
	}
	return page
}

// forward fills page with limit entries beginning with the one at from.
func (l *log) forward(page *Page, from, limit int) {
	to := min(l.n, from+limit)
	page.Entries, page.More = l.slice(from, to), to < l.n
}

// backward fills page with the limit entries that end before to.
func (l *log) backward(page *Page, to, limit int) {
	from := max(0, to-limit)
	page.Entries, page.More = l.slice(from, to), from > 0
	page.Complete = to-from == limit || l.lost == 0
}

const defaultLimit = 1000 // Query.Limit and StateQuery.Limit
