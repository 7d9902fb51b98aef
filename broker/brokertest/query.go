package brokertest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hocket.dev/broker"
)

// A model answers queries the simple way: from the list of all entries and the number of those removed.
type model struct {
	epoch   string
	all     []*broker.Entry
	removed int
}

// trim removes what r does not keep, but for Age.
func (m *model) trim(r broker.Retention) {
	for m.removed < len(m.all) {
		kept, bytes := m.all[m.removed:], int64(0)
		for _, e := range kept {
			bytes += e.Size()
		}
		if len(kept) <= r.Count && (r.Bytes == 0 || bytes <= r.Bytes) {
			return
		}
		m.removed++
	}
}

func (m *model) read(q broker.Query) broker.Page {
	page := broker.Page{Epoch: m.epoch, Head: m.all[len(m.all)-1].Offset, Complete: true}
	limit := q.Limit
	if limit == 0 {
		limit = 1000
	}
	foreign := q.HasAfter && (q.Epoch != "" && q.Epoch != m.epoch || q.After > page.Head)
	wanted := func(e *broker.Entry) bool {
		switch {
		case foreign:
			return true
		case q.HasAfter:
			return e.Offset > q.After
		case q.Before != 0:
			return e.Offset < q.Before
		case q.Since != 0:
			return e.Time >= q.Since
		}
		return true
	}
	lost := false // an entry that was wanted has been removed
	for i, e := range m.all {
		switch {
		case !wanted(e):
		case i < m.removed:
			lost = true
		default:
			page.Entries = append(page.Entries, e)
		}
	}
	if q.HasAfter || q.Since != 0 {
		page.Complete = !foreign && !lost
		if len(page.Entries) > limit {
			page.Entries, page.More = page.Entries[:limit], true
		}
		return page
	}
	page.Complete = len(page.Entries) >= limit || m.removed == 0
	if len(page.Entries) > limit {
		page.Entries, page.More = page.Entries[len(page.Entries)-limit:], true
	}
	return page
}

func testQueries(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		n.b.Follow([]string{c})
		defer n.b.Unfollow([]string{c})
		r := broker.Retention{Count: rapid.IntRange(0, 20).Draw(t, "count")}
		if rapid.Bool().Draw(t, "bounded in bytes") {
			r.Bytes = rapid.Int64Range(1, 2000).Draw(t, "bytes")
		}
		m := &model{}
		published := rapid.IntRange(1, 30).Draw(t, "published")
		for range published {
			payload := make([]byte, rapid.IntRange(0, 300).Draw(t, "size"))
			m.epoch = n.mustPublish(c, broker.Entry{Format: broker.Binary, Payload: payload}, r).Epoch
		}
		m.all = n.delivered(c, published)
		m.trim(r)
		for range rapid.IntRange(1, 10).Draw(t, "queries") {
			q := drawQuery(t, m)
			got := n.read(c, q)
			if len(got.Entries) == 0 {
				got.Entries = nil
			}
			if diff := cmp.Diff(m.read(q), got); diff != "" {
				t.Fatalf("%d entries, %d removed; answer to %+v differs (-want +got):\n%s", len(m.all), m.removed, q, diff)
			}
		}
	})
}

func drawQuery(t *rapid.T, m *model) broker.Query {
	q := broker.Query{Limit: rapid.IntRange(0, 12).Draw(t, "limit")}
	entry := rapid.SampledFrom(m.all).Draw(t, "entry")
	offset := rapid.SampledFrom([]uint64{0, entry.Offset, entry.Offset - 1, entry.Offset + 1}).Draw(t, "offset")
	switch rapid.SampledFrom([]string{"after", "before", "since", "newest"}).Draw(t, "kind") {
	case "after":
		q.HasAfter, q.After = true, offset
		q.Epoch = rapid.SampledFrom([]string{"", m.epoch, "another"}).Draw(t, "epoch")
	case "before":
		q.Before = offset
	case "since":
		q.Since = entry.Time + rapid.Int64Range(-1, 1).Draw(t, "ms")
	}
	return q
}

func testForeignPositions(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	var head broker.Position
	for range 5 {
		head = n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep)
	}
	for _, test := range []struct {
		name     string
		query    broker.Query
		complete bool
		entries  int
	}{
		{"at the head", broker.Query{After: head.Offset, Epoch: head.Epoch}, true, 0},
		{"at the head, any epoch", broker.Query{After: head.Offset}, true, 0},
		{"at the beginning", broker.Query{Epoch: head.Epoch}, true, 5},
		{"beyond the head", broker.Query{After: head.Offset + 1, Epoch: head.Epoch}, false, 5},
		{"another epoch", broker.Query{After: head.Offset, Epoch: head.Epoch + "x"}, false, 5},
	} {
		test.query.HasAfter = true
		page := n.read(c, test.query)
		if page.Complete != test.complete || len(page.Entries) != test.entries || page.Epoch != head.Epoch || page.Head != head.Offset {
			t.Errorf("%s: %+v", test.name, page)
		}
	}
	unknown := n.read(channel(), broker.Query{HasAfter: true, After: 3, Epoch: "gone"})
	if unknown.Complete || unknown.Head != 0 || len(unknown.Entries) != 0 {
		t.Errorf("a position in a channel that does not exist: %+v", unknown)
	}
}
