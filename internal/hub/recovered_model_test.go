package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// recoveredModel has a log grow, drop and lose entries, and have them removed in every way, while a node hears of some of it late.
// Who comes back to any offset is told that it has recovered where nothing but single entries is gone after it, and only there,
// as far as the node has heard; and then gets everything, or is told what came later that it cannot have.
type recoveredModel struct {
	*rapid.T
	w       *world
	entries []broker.Entry
	gone    map[uint64]bool // entries that were removed one by one, or by key
	removed uint64          // everything up to here was
}

func TestRecoveredIsTrueWhereNothingIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newRecoveredModel(t)
		defer m.w.stop()
		m.w.place("a")
		t.Repeat(map[string]func(*rapid.T){
			"write":  m.write,
			"lose":   func(t *rapid.T) { m.w.broker.Lose("a", rapid.IntRange(1, 3).Draw(t, "lost")); m.write(t) },
			"remove": m.remove,
			"turn":   func(*rapid.T) { m.w.settle() },
			"wait":   func(t *rapid.T) { m.w.pass(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond) },
			"resume": m.resume,
		})
	})
}

func newRecoveredModel(t *rapid.T) *recoveredModel {
	keep := rule.History{Count: rapid.IntRange(0, 8).Draw(t, "kept")}
	switch rapid.IntRange(0, 3).Draw(t, "bound") {
	case 1:
		keep.Age = 2 * time.Second
	case 2:
		keep.Bytes = 3 * (&broker.Entry{Payload: []byte("x")}).Size()
	}
	w := openWorld(t, tasksByHand, window(rapid.IntRange(1, 8).Draw(t, "window")), keeping(keep),
		func(_ *world, _ *Config, b *broker.MemoryConfig) { b.Scatter = rapid.Bool().Draw(t, "scattered") })
	w.hub.pageEntries = rapid.IntRange(1, 4).Draw(t, "page")
	return &recoveredModel{T: t, w: w, gone: map[uint64]bool{}}
}

func (m *recoveredModel) write(t *rapid.T) {
	e := broker.Entry{Format: broker.Text, Payload: []byte("x"), Key: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")}
	if rapid.IntRange(0, 4).Draw(t, "brief") == 0 {
		e.TTL = time.Second
	}
	e.Offset, e.Time = m.w.put("a", e), m.w.clock.UnixMilli()
	m.entries = append(m.entries, e)
}

func (m *recoveredModel) remove(t *rapid.T) {
	if len(m.entries) == 0 {
		t.Skip("nothing is there")
	}
	e := rapid.SampledFrom(m.entries).Draw(t, "entry")
	how := rapid.SampledFrom([]string{"all before", "all", "alone", "key"}).Draw(t, "how")
	r := broker.Removal{UpTo: e.Offset}
	switch {
	case how == "all":
		r.UpTo = broker.MaxOffset
	case how == "alone" || how == "key" && e.Key == "":
		r = broker.Removal{Offset: e.Offset}
	case how == "key":
		r = broker.Removal{Key: e.Key}
	}
	switch _, err := m.w.broker.Remove(context.Background(), "a", r); {
	case errors.Is(err, broker.ErrConflict): // a value rests on it
		t.Skip(err)
	case err != nil:
		m.Fatal(err)
	}
	if r.Key == "" {
		m.removed = max(m.removed, min(r.UpTo, m.w.head("a")))
	}
	for _, e := range m.entries {
		if e.Offset == r.Offset || r.Key != "" && e.Key == r.Key {
			m.gone[e.Offset] = true
		}
	}
}

// resume comes back to where an entry is, beside it, at nothing, or beyond the head.
func (m *recoveredModel) resume(t *rapid.T) {
	places := []uint64{0, m.w.head("a") + 1}
	for _, e := range m.entries {
		places = append(places, e.Offset, e.Offset-1)
	}
	at := broker.Position{Epoch: m.w.epoch("a"), Offset: rapid.SampledFrom(places).Draw(t, "offset")}
	c := m.w.subscribe("a", after(at.Epoch, at.Offset))
	page, err := m.w.broker.Lossy.Read(context.Background(), "a", broker.Query{HasAfter: true, After: at.Offset, Epoch: at.Epoch})
	if err != nil {
		m.Fatal(err)
	}
	for c.pull(1000, 1000) { // before the window moves on
	}
	m.w.settle()
	defer c.Close()
	switch {
	case !c.done || c.err != nil:
		m.Fatalf("not placed: %v", c.err)
	case c.placed.Recovered && (at.Offset < m.removed || at.Offset > page.Head):
		m.Fatalf("recovered after %d, though all up to %d was removed, and the head is %d", at.Offset, m.removed, page.Head)
	case !c.placed.Recovered && page.Complete && !m.aged(at.Offset):
		m.Fatalf("not recovered after %d, though nothing is gone", at.Offset)
	case c.placed.Recovered:
		m.whole(c, at.Offset)
	}
}

// aged says that an entry after an offset is older than what is kept: it may have been removed before the broker saw that.
func (m *recoveredModel) aged(offset uint64) bool {
	cut := m.w.clock.Add(-m.w.keep.Age).UnixMilli()
	return m.w.keep.Age > 0 && slices.ContainsFunc(m.entries, func(e broker.Entry) bool { return e.Offset > offset && e.Time < cut })
}

// whole checks what c has been sent that had recovered from an offset.
func (m *recoveredModel) whole(c *client, from uint64) {
	text := c.read()
	got, missed := offsets(text), func(offset uint64) bool {
		for line := range strings.Lines(text) {
			var a, b uint64
			if n, _ := fmt.Sscanf(line, "gap %d-%d", &a, &b); n == 2 && a <= offset && offset <= b {
				return offset > c.placed.Offset // the node had not heard of it
			}
		}
		return false
	}
	for _, e := range m.entries {
		due := e.Offset > from && e.Offset <= c.Offset() && e.TTL == 0 && !m.gone[e.Offset]
		if due && !slices.Contains(got, e.Offset) && !missed(e.Offset) {
			m.Fatalf("%d did not come after %d, placed %+v, got\n%s", e.Offset, from, c.placed, text)
		}
	}
}
