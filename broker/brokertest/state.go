package brokertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hocket.dev/broker"
)

// stateOf returns the broker's State, or skips the test.
func stateOf(t *testing.T, b broker.Broker) broker.State {
	t.Helper()
	s, ok := b.(broker.State)
	if !ok {
		t.Skip("the broker keeps no state")
	}
	return s
}

// walk reads the state of a channel in pages.
func (n *node) walk(s broker.State, c string, limit int, between func()) (entries []*broker.Entry) {
	n.Helper()
	for after := uint64(0); ; {
		page, err := s.State(context.Background(), c, broker.StateQuery{After: after, Limit: limit})
		if err != nil {
			n.Fatalf("state: %v", err)
		}
		if limit > 0 && len(page.Entries) > limit {
			n.Fatalf("%d entries on a page of %d", len(page.Entries), limit)
		}
		for _, e := range page.Entries {
			if e.Offset <= after || e.Op != broker.Set {
				n.Fatalf("state has %+v after offset %d", e, after)
			}
			after = e.Offset
		}
		entries = append(entries, page.Entries...)
		if !page.More {
			return entries
		}
		between()
	}
}

// fold computes the state the simple way: from all entries there ever were.
func fold(log []*broker.Entry) map[string]*broker.Entry {
	state := map[string]*broker.Entry{}
	for _, e := range log {
		was := state[e.Key]
		switch {
		case e.Key == "":
		case e.Op == broker.Delete:
			delete(state, e.Key)
		default:
			folded := *e
			folded.Op = broker.Set
			if e.Op == broker.Append && was != nil {
				folded.Payload = join(e.Format, was.Payload, e.Payload)
				if e.Score == 0 {
					folded.Score = was.Score
				}
			}
			state[e.Key] = &folded
		}
	}
	return state
}

func join(f broker.Format, a, b []byte) []byte {
	if f != broker.JSON {
		return bytes.Join([][]byte{a, b}, nil)
	}
	var x, y string
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		panic("not strings")
	}
	joined, _ := json.Marshal(x + y)
	return joined
}

// comparable returns what a state says: key, offset and value, by offset.
func comparable(entries []*broker.Entry) (said []string) {
	for _, e := range entries {
		value := string(e.Payload)
		if e.Format == broker.JSON {
			var v any
			if err := json.Unmarshal(e.Payload, &v); err != nil {
				value = "not JSON: " + value
			} else {
				value = fmt.Sprintf("%#v", v)
			}
		}
		said = append(said, fmt.Sprintf("%d %s format %d %s", e.Offset, e.Key, e.Format, value))
	}
	return said
}

func byOffset(state map[string]*broker.Entry) (entries []*broker.Entry) {
	for _, e := range state {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *broker.Entry) int { return int(a.Offset) - int(b.Offset) })
	return entries
}

func drawKeyed(t *rapid.T) broker.Entry {
	e := broker.Entry{
		Key: rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "key"),
		Op:  rapid.SampledFrom([]broker.Op{broker.Set, broker.Set, broker.Append, broker.Append, broker.Delete}).Draw(t, "op"),
	}
	if e.Key == "" {
		e.Op = broker.Set
	}
	switch e.Key {
	case "c": // one format for each key, so that appends usually fit
		e.Format, e.Payload = broker.Text, []byte(rapid.SampledFrom([]string{"", "x", "größe"}).Draw(t, "text"))
	case "d":
		e.Format, e.Payload = broker.Binary, rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "bytes")
	default:
		values := []string{`""`, `"x"`, ` "\u00e4\n" `, `"\"\\"`}
		if e.Op == broker.Set {
			values = append(values, `1`, `{"a":"b"}`)
		}
		e.Payload = []byte(rapid.SampledFrom(values).Draw(t, "json"))
	}
	return e
}

func testState(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	s := stateOf(t, outer.b)
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		var log []*broker.Entry
		for range rapid.IntRange(0, 60).Draw(t, "published") {
			e := drawKeyed(t)
			conflict := false
			if was := fold(log)[e.Key]; e.Op == broker.Append && was != nil {
				conflict = was.Format == broker.JSON && !bytes.HasPrefix(bytes.TrimSpace(was.Payload), []byte(`"`))
			}
			if conflict {
				n.wantError(c, e, keep, broker.ErrConflict)
				continue
			}
			copied := e
			copied.Payload = slices.Clone(e.Payload)
			copied.Offset = n.mustPublish(c, e, broker.Retention{Count: 3}).Offset
			log = append(log, &copied)
			if len(log)%7 == 0 { // a read in between must not change what comes of it
				n.walk(s, c, 0, nil)
			}
		}
		want := fold(log)
		got := n.walk(s, c, rapid.IntRange(0, 5).Draw(t, "limit"), func() {})
		if diff := cmp.Diff(comparable(byOffset(want)), comparable(got)); diff != "" {
			t.Fatalf("state differs (-want +got):\n%s", diff)
		}
		if keys, err := s.Keys(context.Background(), c); err != nil || keys != len(want) {
			t.Fatalf("%d keys, %v; want %d", keys, err, len(want))
		}
	})
}

// testStateWhileWriting: pages of a state, and the log since the first of them was asked for, make the state of the end.
func testStateWhileWriting(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	s := stateOf(t, outer.b)
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		write := func() {
			for range rapid.IntRange(1, 8).Draw(t, "burst") {
				e := broker.Entry{
					Key:     fmt.Sprint("k", rapid.IntRange(0, 9).Draw(t, "key")),
					Op:      rapid.SampledFrom([]broker.Op{broker.Set, broker.Append, broker.Delete}).Draw(t, "op"),
					Payload: []byte(`"x"`),
				}
				n.mustPublish(c, e, keep)
			}
		}
		write()
		began := n.head(c)
		seen := map[string]*broker.Entry{}
		pauses := 0
		for _, e := range n.walk(s, c, 2, func() {
			if pauses++; pauses < 10 {
				write()
			}
		}) {
			seen[e.Key] = e
		}
		for _, e := range n.read(c, broker.Query{HasAfter: true, After: began.Offset, Epoch: began.Epoch}).Entries {
			if was := seen[e.Key]; was == nil || was.Offset < e.Offset {
				log := []*broker.Entry{e}
				if was != nil {
					log = []*broker.Entry{was, e}
				}
				seen[e.Key] = fold(log)[e.Key]
				if seen[e.Key] == nil {
					delete(seen, e.Key)
				}
			}
		}
		if diff := cmp.Diff(comparable(byOffset(fold(n.all(c)))), comparable(byOffset(seen))); diff != "" {
			t.Fatalf("state differs (-log +pages):\n%s", diff)
		}
	})
}

// A value comes in one piece to who reads the state, so it does not grow for ever.
func testGrowth(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	part := func(size int) broker.Entry {
		return broker.Entry{Key: "k", Op: broker.Append, Format: broker.Binary, Payload: make([]byte, size)}
	}
	n.mustPublish(c, part(broker.MaxValue/2), keep)
	n.mustPublish(c, part(broker.MaxValue/2-1), keep)
	n.wantError(c, part(2), keep, broker.ErrTooLarge)
	n.mustPublish(c, part(1), keep)
	n.wantError(c, part(1), keep, broker.ErrTooLarge)
	if state := n.walk(stateOf(t, n.b), c, 0, nil); len(state) != 1 || len(state[0].Payload) != broker.MaxValue {
		t.Errorf("the state has %d entries", len(state))
	}
	n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`"anew"`)}, keep)
	n.mustPublish(c, broker.Entry{Key: "k", Op: broker.Append, Payload: []byte(`" and more"`)}, keep)
}

func testConflicts(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	s := stateOf(t, n.b)
	c := channel()
	for _, test := range []struct{ value, added broker.Entry }{
		{broker.Entry{Payload: []byte(`1`)}, broker.Entry{Payload: []byte(`"x"`)}},
		{broker.Entry{Payload: []byte(`{}`)}, broker.Entry{Payload: []byte(`"x"`)}},
		{broker.Entry{Payload: []byte(`"x"`)}, broker.Entry{Payload: []byte(`1`)}},
		{broker.Entry{Payload: []byte(`"x"`)}, broker.Entry{Format: broker.Text, Payload: []byte(`x`)}},
		{broker.Entry{Format: broker.Text, Payload: []byte(`x`)}, broker.Entry{Payload: []byte(`"x"`)}},
		{broker.Entry{Format: broker.Text, Payload: []byte(`x`)}, broker.Entry{Format: broker.Binary, Payload: []byte(`x`)}},
	} {
		test.value.Key, test.added.Key = "k", "k"
		test.added.Op, test.added.IdempotencyKey = broker.Append, channel()
		before := n.mustPublish(c, test.value, keep)
		// Twice: what was refused is not remembered as done.
		n.wantError(c, test.added, keep, broker.ErrConflict)
		n.wantError(c, test.added, keep, broker.ErrConflict)
		if got := n.head(c); got != before {
			t.Fatalf("a refused append moved the head from %v to %v", before, got)
		}
		state := n.walk(s, c, 0, nil)
		if len(state) != 1 || !bytes.Equal(state[0].Payload, test.value.Payload) {
			t.Fatalf("a refused append changed the state to %q", comparable(state))
		}
	}
}

func testChannels(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	l, ok := n.b.(broker.Lister)
	if !ok {
		t.Skip("the broker does not list channels")
	}
	base := channel()
	want := make([]string, 25)
	for i := range want {
		want[i] = fmt.Sprintf("%s:%02d", base, i)
	}
	for i := range want {
		n.mustPublish(want[(7*i)%25], broker.Entry{Payload: []byte(`1`)}, keep)
	}
	var got []string
	for after := base + ":"; len(got) < 25; {
		page, err := l.Channels(t.Context(), after, 4)
		if err != nil || len(page) > 4 || len(page) == 0 {
			t.Fatalf("channels after %q: %q, %v", after, page, err)
		}
		got = append(got, page...)
		after = got[len(got)-1]
	}
	if diff := cmp.Diff(want, got[:25]); diff != "" {
		t.Errorf("channels differ (-want +got):\n%s", diff)
	}
}
