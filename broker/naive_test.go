package broker

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// A naive channel does what the contract says in the simplest way: it keeps lists and looks through all of them. Nobody
// tells it offsets and the order in which values end; it takes those from the broker.
type naive struct {
	epoch    string
	head     *Entry // the newest entry ever appended
	log      []*Entry
	lost     uint64
	lostTime int64
	keep     Retention
	values   map[string][]*Entry // the entries each value is made of
	deletes  []*Entry            // remembered
	forgot   uint64
	names    map[string]*Entry // published with an idempotency key
}

func newNaive() *naive {
	return &naive{head: &Entry{}, values: map[string][]*Entry{}, names: map[string]*Entry{}}
}

// ended says that a value has reached its end.
func (m *naive) ended(key string, r Retention, now int64) bool {
	parts := m.values[key]
	if len(parts) == 0 {
		return false
	}
	last := parts[len(parts)-1]
	return slices.ContainsFunc(parts, func(e *Entry) bool { return e.Expired(now) }) ||
		r.Age > 0 && last.Time < now-r.Age.Milliseconds()
}

// newest is what a publish may expect.
func (m *naive) newest(key string, r Retention, now int64) uint64 {
	parts := m.values[key]
	switch {
	case key == "":
		return m.head.Offset
	case len(parts) == 0 || m.ended(key, r, now):
		return 0
	}
	return parts[len(parts)-1].Offset
}

// fits says that an Append can be added to the value.
func (m *naive) fits(e *Entry, r Retention, now int64) bool {
	if e.Op != Append {
		return true
	}
	text := func(e *Entry) bool { return bytes.HasPrefix(e.Payload, []byte(`"`)) }
	parts := m.values[e.Key]
	return text(e) && (len(parts) == 0 || m.ended(e.Key, r, now) || text(parts[0]))
}

// push takes in an entry that the broker has appended.
func (m *naive) push(e *Entry, now int64) {
	if parts := m.values[e.Key]; e.Op == Append && e.Score == 0 && len(parts) > 0 {
		e.Score = parts[len(parts)-1].Score
	}
	m.head = e
	m.log = append(m.log, e)
	m.trim(now)
	switch parts := m.values[e.Key]; {
	case e.Key == "":
	case e.Op == Delete:
		known := slices.ContainsFunc(m.deletes, func(d *Entry) bool { return d.Key == e.Key })
		m.deletes = slices.DeleteFunc(m.deletes, func(d *Entry) bool { return d.Key == e.Key })
		if known || len(parts) > 0 {
			m.deletes = append(m.deletes, e)
		}
		delete(m.values, e.Key)
	case e.Op == Set:
		m.values[e.Key] = []*Entry{e}
	case e.Op == Append:
		m.values[e.Key] = append(slices.Clone(parts), e)
	}
	if e.Op != Delete {
		m.deletes = slices.DeleteFunc(m.deletes, func(d *Entry) bool { return d.Key == e.Key })
	}
	m.forget(now)
}

func (m *naive) forget(now int64) {
	window := m.keep.Deletes
	if window == 0 {
		window = 10 * time.Minute
	}
	for len(m.deletes) > 0 && m.deletes[0].Time < now-window.Milliseconds() {
		m.forgot, m.deletes = m.deletes[0].Offset, m.deletes[1:]
	}
}

// trim takes out of the log what is not kept.
func (m *naive) trim(now int64) {
	m.log = slices.DeleteFunc(m.log, func(e *Entry) bool { return e.Expired(now) })
	for len(m.log) > 0 {
		var size int64
		for _, e := range m.log {
			size += e.Size()
		}
		old := m.keep.Age > 0 && m.log[0].Time < now-m.keep.Age.Milliseconds()
		if len(m.log) <= m.keep.Count && (m.keep.Bytes == 0 || size <= m.keep.Bytes) && !old {
			return
		}
		m.lost, m.lostTime, m.log = m.log[0].Offset, m.log[0].Time, m.log[1:]
	}
}

// remove answers what Remove should.
func (m *naive) remove(r Removal, now int64) (int, error) {
	m.log = slices.DeleteFunc(m.log, func(e *Entry) bool { return e.Expired(now) })
	before := len(m.log)
	parts := m.values[r.Key]
	lives := len(parts) > 0 && !m.ended(r.Key, m.keep, now)
	stays := lives && r.UpTo != 0 && parts[len(parts)-1].Offset > r.UpTo
	last := map[string]*Entry{}
	for _, e := range m.log {
		if r.UpTo == 0 || e.Offset <= r.UpTo && !(stays && slices.Contains(parts, e)) {
			last[e.Key] = e
		}
	}
	switch {
	case r.UpTo != 0 && r.Key == "":
		for len(m.log) > 0 && m.log[0].Offset <= r.UpTo {
			m.lostTime, m.log = m.log[0].Time, m.log[1:]
		}
		m.lost = max(m.lost, min(r.UpTo, m.head.Offset))
	case r.Offset != 0:
		if !slices.ContainsFunc(m.log, func(e *Entry) bool { return e.Offset == r.Offset }) && m.spans(r.Offset, now) {
			return 0, ErrConflict
		}
		for i, e := range m.log {
			next := slices.IndexFunc(m.log[i+1:], func(x *Entry) bool { return x.Key == e.Key })
			present := !m.ended(e.Key, m.keep, now) && slices.Contains(m.values[e.Key], e)
			if e.Offset == r.Offset && (present || e.Op == Delete && (next < 0 || m.log[i+1+next].Op == Append)) {
				return 0, ErrConflict
			}
		}
		m.log = slices.DeleteFunc(m.log, func(e *Entry) bool { return e.Offset == r.Offset })
	default:
		m.log = slices.DeleteFunc(m.log, func(e *Entry) bool {
			return e.Key == r.Key && (r.UpTo == 0 || e.Offset <= r.UpTo) && !(e == last[r.Key] && e.Op == Delete) &&
				!(stays && slices.Contains(parts, e))
		})
		if lives && !stays {
			if last[r.Key] == nil {
				before++
			}
			delete(m.values, r.Key)
		}
	}
	return before - len(m.log), nil
}

// spans says that an entry may be a part of a value.
func (m *naive) spans(offset uint64, now int64) bool {
	for key, parts := range m.values {
		if len(parts) > 0 && !m.ended(key, m.keep, now) && parts[0].Offset <= offset && offset <= parts[len(parts)-1].Offset {
			return true
		}
	}
	return false
}

// read answers a query.
func (m *naive) read(q Query, now int64) Page {
	m.trim(now)
	page := Page{Epoch: m.epoch, Head: m.head.Offset}
	foreign := q.HasAfter && (q.Epoch != "" && q.Epoch != m.epoch || q.After > page.Head)
	for _, e := range m.log {
		if foreign || (!q.HasAfter || e.Offset > q.After) && (q.Before == 0 || e.Offset < q.Before) && e.Time >= q.Since {
			page.Entries = append(page.Entries, e)
		}
	}
	page.More = len(page.Entries) > q.Limit
	if q.HasAfter || q.Since != 0 {
		page.Entries = page.Entries[:min(q.Limit, len(page.Entries))]
		page.Complete = !foreign && q.After >= m.lost
		if q.Since != 0 {
			page.Complete = m.lost == 0 || m.lostTime < q.Since
		}
		return page
	}
	page.Entries = page.Entries[max(0, len(page.Entries)-q.Limit):]
	page.Complete = len(page.Entries) == q.Limit || m.lost == 0
	return page
}

// state answers a query of the state.
func (m *naive) state(q StateQuery, now int64) Page {
	page := Page{Epoch: m.epoch, Head: m.head.Offset, Complete: true}
	for key := range m.values {
		if !m.ended(key, m.keep, now) {
			page.Entries = append(page.Entries, m.fold(key))
		}
	}
	byScore := func(a, b *Entry) int {
		if a.Score != b.Score {
			if a.Score > b.Score {
				return -1
			}
			return 1
		}
		return int(a.Offset) - int(b.Offset)
	}
	behind := func(e *Entry) bool { return e.Offset > q.After }
	if q.Order == ByScore {
		at := &Entry{Offset: q.After, Score: q.AfterScore}
		behind = func(e *Entry) bool { return !q.HasAfterScore || byScore(at, e) < 0 }
		slices.SortFunc(page.Entries, byScore)
	} else {
		if q.Deletes {
			page.Entries = append(page.Entries, m.deletes...)
			page.Complete = q.After == 0 || q.After >= m.forgot && q.After <= page.Head
		}
		slices.SortFunc(page.Entries, func(a, b *Entry) int { return int(a.Offset) - int(b.Offset) })
	}
	page.Entries = slices.DeleteFunc(page.Entries, func(e *Entry) bool { return !behind(e) })
	page.More = len(page.Entries) > q.Limit
	page.Entries = page.Entries[:min(q.Limit, len(page.Entries))]
	return page
}

// fold makes one Set of a value.
func (m *naive) fold(key string) *Entry {
	parts := m.values[key]
	folded := *parts[len(parts)-1]
	if folded.Op == Set {
		return &folded
	}
	var text strings.Builder
	var end int64
	for _, e := range parts {
		text.Write(bytes.Trim(e.Payload, `"`))
		if e.TTL != 0 {
			end = firstOf(end, e.Time+e.TTL.Milliseconds())
		}
	}
	folded.Op, folded.Payload = Set, []byte(`"`+text.String()+`"`)
	if folded.TTL = 0; end != 0 {
		folded.TTL = time.Duration(end-folded.Time) * time.Millisecond
	}
	return &folded
}
