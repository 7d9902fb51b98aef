package brokertest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

// brief is a TTL that has passed soon.
const brief = 20 * time.Millisecond

// testTTLInLog: who comes late finds no entry whose TTL has passed, and is not told that one is missing.
func testTTLInLog(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	n.b.Follow([]string{c})
	stays := broker.Entry{Payload: []byte(`"stays"`)}
	goes := broker.Entry{Payload: []byte(`"goes"`), TTL: brief}
	later := broker.Entry{Payload: []byte(`"stays"`), TTL: time.Hour}
	var positions []broker.Position
	var kept []uint64
	for i, e := range []broker.Entry{goes, stays, goes, goes, later, stays, goes} {
		positions = append(positions, n.mustPublish(c, e, keep))
		if e.TTL != brief {
			kept = append(kept, positions[i].Offset)
		}
	}
	head := positions[len(positions)-1]
	n.delivered(c, len(positions)) // live it came to everybody
	testproc.Until(t, "entries to pass their TTL", func() bool { return len(n.all(c)) == len(kept) })
	for _, after := range append(positions, broker.Position{Epoch: head.Epoch}) {
		q := broker.Query{HasAfter: true, After: after.Offset, Epoch: after.Epoch, Limit: 2}
		want := slices.DeleteFunc(slices.Clone(kept), func(offset uint64) bool { return offset <= after.Offset })
		n.wantPage(c, q, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true, More: len(want) > 2}, want[:min(2, len(want))])
	}
	n.wantPage(c, broker.Query{Limit: 2}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true, More: true}, kept[1:])
	n.wantPage(c, broker.Query{Limit: 9}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true}, kept)
	n.wantPage(c, broker.Query{Before: kept[2], Limit: 9}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true}, kept[:2])
	if next := n.mustPublish(c, stays, keep); next.Epoch != head.Epoch || n.all(c)[3].Offset != next.Offset {
		t.Errorf("the log goes on at %v, %v was its head", next, head)
	}
}

// wantPage checks an answer; what is in its Entries is told by the offsets.
func (n *node) wantPage(c string, q broker.Query, want broker.Page, offsets []uint64) {
	n.Helper()
	got := n.read(c, q)
	if diff := cmp.Diff(offsets, offsetsOf(got.Entries)); diff != "" && len(offsets)+len(got.Entries) > 0 {
		n.Errorf("answer to %+v differs (-want +got):\n%s", q, diff)
	}
	if got.Entries = nil; !cmp.Equal(want, got) {
		n.Errorf("answer to %+v is %+v, want %+v", q, got, want)
	}
}

func offsetsOf(entries []*broker.Entry) (offsets []uint64) {
	for _, e := range entries {
		offsets = append(offsets, e.Offset)
	}
	return offsets
}

// testTTLOfValues: the value of a key ends with a Delete in the log, which those who follow get.
func testTTLOfValues(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	s := stateOf(t, n.b)
	mortal := func(key string) broker.Entry { // long enough for what follows to be published meanwhile
		return broker.Entry{Key: key, Payload: []byte(`"v"`), TTL: 300 * time.Millisecond}
	}
	immortal := broker.Entry{Key: "renewed", Payload: []byte(`"w"`)}
	more := broker.Entry{Key: "longer", Op: broker.Append, Payload: []byte(`"x"`)}
	for _, followed := range []bool{true, false} {
		c := channel()
		if followed {
			n.b.Follow([]string{c})
		}
		n.mustPublish(c, mortal("goes"), keep)
		n.mustPublish(c, broker.Entry{Key: "stays", Payload: []byte(`1`), TTL: time.Hour}, keep)
		n.mustPublish(c, mortal("renewed"), keep)
		n.mustPublish(c, immortal, keep)
		n.mustPublish(c, mortal("longer"), keep)
		n.mustPublish(c, more, keep) // the value ends with the first of its parts
		n.mustPublish(c, mortal("gone"), keep)
		n.mustPublish(c, broker.Entry{Key: "gone", Op: broker.Delete}, keep)
		published := 8
		testproc.Until(t, "values to end", func() bool {
			log := n.all(c)
			return len(log) > 1 && log[len(log)-1].Headers[broker.ExpiredHeader] != "" && log[len(log)-2].Headers[broker.ExpiredHeader] != ""
		})
		log := n.all(c)
		ended := map[string]bool{}
		for _, e := range log[len(log)-2:] {
			if e.Op != broker.Delete || e.From != nil || e.Headers[broker.ExpiredHeader] != "1" || len(e.Payload) != 0 {
				t.Errorf("a value ends with %+v", e)
			}
			ended[e.Key] = true
		}
		if !ended["goes"] || !ended["longer"] {
			t.Errorf("%v have ended, not goes and longer", ended)
		}
		if diff := cmp.Diff(comparable(byOffset(fold(log))), comparable(n.walk(s, c, 0, nil))); diff != "" {
			t.Errorf("the state is not what the log says (-log +state):\n%s", diff)
		}
		if keys, err := s.Keys(t.Context(), c); err != nil || keys != 2 {
			t.Errorf("%d keys, %v; want 2", keys, err)
		}
		if followed {
			live := n.delivered(c, published+2)
			if diff := cmp.Diff(log[len(log)-2:], live[published:]); diff != "" {
				t.Errorf("delivered at the end differs (-log +delivered):\n%s", diff)
			}
		}
		n.wantConflict(c, expecting(mortal("goes"), 1<<40), broker.Position{Epoch: n.head(c).Epoch})
		n.mustPublish(c, expecting(mortal("goes"), 0), keep)
	}
}

// testAgeOfValues: the Age of a retention ends values too.
func testAgeOfValues(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	s := stateOf(t, n.b)
	c := channel()
	n.b.Follow([]string{c})
	r := broker.Retention{Count: 100, Age: brief}
	n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`"v"`)}, r)
	testproc.Until(t, "the value to end", func() bool { return len(n.sink.of(c)) == 2 })
	if e := n.sink.of(c)[1]; e.Key != "k" || e.Op != broker.Delete || e.Headers[broker.ExpiredHeader] != "1" {
		t.Errorf("the value ends with %+v", e)
	}
	if keys := len(n.walk(s, c, 0, nil)); keys != 0 {
		t.Errorf("%d keys are left", keys)
	}
}

// testTTLOfDelete: a Delete stays for as long as what it ended would have stayed.
func testTTLOfDelete(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`1`)}, keep)
	n.mustPublish(c, broker.Entry{Key: "k", Op: broker.Delete, TTL: time.Millisecond}, keep)
	n.mustPublish(c, broker.Entry{Payload: []byte(`1`), TTL: brief}, keep)
	testproc.Until(t, "a TTL to pass", func() bool { return len(n.all(c)) < 3 })
	if log := n.all(c); len(log) != 2 || log[1].Op != broker.Delete {
		t.Errorf("the log is %+v", log)
	}
}
