package brokertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

// state reads one page.
func (n *node) state(c string, q broker.StateQuery) broker.Page {
	n.Helper()
	page, err := n.b.(broker.State).State(context.Background(), c, q)
	if err != nil {
		n.Fatalf("state of %s %+v: %v", c, q, err)
	}
	return page
}

// testDeletes: who knows the state at any position, and reads what has changed since in pages, knows the state of now.
func testDeletes(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	stateOf(t, outer.b)
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		var log []*broker.Entry
		for range rapid.IntRange(1, 40).Draw(t, "published") {
			e := broker.Entry{
				Key:     rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"}).Draw(t, "key"),
				Payload: []byte(`"x"`),
			}
			if e.Key != "" {
				e.Op = rapid.SampledFrom([]broker.Op{broker.Set, broker.Append, broker.Delete}).Draw(t, "op")
			}
			e.Offset = n.mustPublish(c, e, broker.Retention{Count: rapid.IntRange(0, 2).Draw(t, "count")}).Offset
			log = append(log, &e)
		}
		at := rapid.IntRange(0, len(log)).Draw(t, "known")
		known := fold(log[:at])
		q := broker.StateQuery{Deletes: true, Limit: rapid.IntRange(0, 3).Draw(t, "limit")}
		if at > 0 {
			q.After = log[at-1].Offset
		}
		for more := true; more; {
			page := n.state(c, q)
			if !page.Complete {
				t.Fatalf("after %d of %d entries: %+v", at, len(log), page)
			}
			for _, e := range page.Entries {
				switch {
				case e.Offset <= q.After:
					t.Fatalf("%+v comes after %d", e, q.After)
				case e.Op == broker.Set:
					known[e.Key] = e
				case e.Op == broker.Delete && len(e.Payload) == 0:
					delete(known, e.Key)
				default:
					t.Fatalf("state has %+v", e)
				}
				q.After = e.Offset
			}
			more = page.More
		}
		if diff := cmp.Diff(comparable(byOffset(fold(log))), comparable(byOffset(known))); diff != "" {
			t.Fatalf("state differs (-log +known):\n%s", diff)
		}
		beyond := n.state(c, broker.StateQuery{Deletes: true, After: log[len(log)-1].Offset + 1})
		if beyond.Complete {
			t.Fatalf("a position of another history is complete: %+v", beyond)
		}
	})
}

// testForgottenDeletes: what happened before a Delete that is remembered no more can no longer be told.
func testForgottenDeletes(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	stateOf(t, n.b)
	c := channel()
	r := broker.Retention{Count: 100, Deletes: brief}
	value, gone := broker.Entry{Key: "k", Payload: []byte(`1`)}, broker.Entry{Key: "k", Op: broker.Delete}
	before := n.mustPublish(c, value, r)
	deleted := n.mustPublish(c, gone, r)
	unkeyed := broker.Entry{Payload: []byte(`1`)}
	testproc.Until(t, "a delete to be forgotten", func() bool {
		n.mustPublish(c, unkeyed, r)
		return !n.state(c, broker.StateQuery{Deletes: true, After: before.Offset}).Complete
	})
	for after, complete := range map[uint64]bool{0: true, before.Offset: false, deleted.Offset - 1: false, deleted.Offset: true, n.head(c).Offset: true} {
		if page := n.state(c, broker.StateQuery{Deletes: true, After: after}); page.Complete != complete || len(page.Entries) != 0 {
			t.Errorf("after %d, with a delete forgotten at %d: %+v", after, deleted.Offset, page)
		}
		if page := n.state(c, broker.StateQuery{After: after}); !page.Complete {
			t.Errorf("a state without deletes is incomplete after %d", after)
		}
	}
}

// testScores: pages by score are the state, sorted.
func testScores(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	stateOf(t, outer.b)
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		var log []*broker.Entry
		for range rapid.IntRange(0, 50).Draw(t, "published") {
			e := broker.Entry{
				Key:     fmt.Sprint("k", rapid.IntRange(0, 12).Draw(t, "key")),
				Op:      rapid.SampledFrom([]broker.Op{broker.Set, broker.Set, broker.Append, broker.Delete}).Draw(t, "op"),
				Payload: []byte(`"x"`),
				Score:   rapid.SampledFrom([]float64{0, 0, 1, -1, 1e300, -0.5, 5e-324}).Draw(t, "score"),
			}
			e.Offset = n.mustPublish(c, e, broker.Retention{}).Offset
			log = append(log, &e)
		}
		want := byOffset(fold(log))
		slices.SortStableFunc(want, func(a, b *broker.Entry) int {
			switch {
			case a.Score > b.Score:
				return -1
			case a.Score < b.Score:
				return 1
			}
			return 0
		})
		q := broker.StateQuery{Order: broker.ByScore, Limit: rapid.IntRange(1, 5).Draw(t, "limit")}
		var got []*broker.Entry
		for more := true; more; {
			page := n.state(c, q)
			got, more = append(got, page.Entries...), page.More
			if more && len(page.Entries) != q.Limit || len(page.Entries) > q.Limit || !page.Complete {
				t.Fatalf("%+v is a page of %d", page, q.Limit)
			}
			if len(got) > 0 {
				last := got[len(got)-1]
				q.HasAfterScore, q.AfterScore, q.After = true, last.Score, last.Offset
			}
		}
		if diff := cmp.Diff(comparable(want), comparable(got)); diff != "" {
			t.Fatalf("state by score differs (-want +got):\n%s", diff)
		}
		// A place between and beyond all there are.
		q = broker.StateQuery{Order: broker.ByScore, HasAfterScore: true, AfterScore: rapid.SampledFrom([]float64{-2, 0, 0.5, 1e301}).Draw(t, "place")}
		rest := slices.DeleteFunc(want, func(e *broker.Entry) bool { return e.Score > q.AfterScore })
		if diff := cmp.Diff(comparable(rest), comparable(n.state(c, q).Entries)); diff != "" {
			t.Fatalf("state behind the score %v differs (-want +got):\n%s", q.AfterScore, diff)
		}
	})
}

func testFoldedFields(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	stateOf(t, n.b)
	c := channel()
	n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`"a"`), Score: 3, TTL: time.Hour}, keep)
	n.mustPublish(c, broker.Entry{Key: "k", Op: broker.Append, Payload: []byte(`"b"`), Score: 4, TTL: 2 * time.Hour, Headers: map[string]string{"a": "b"}}, keep)
	log, page := n.all(c), n.state(c, broker.StateQuery{})
	if len(page.Entries) != 1 {
		t.Fatalf("state is %+v", page)
	}
	got, first := page.Entries[0], log[0].Time+time.Hour.Milliseconds()
	if got.Score != 4 || got.Headers["a"] != "b" || got.Time != log[1].Time || got.Time+got.TTL.Milliseconds() != first {
		t.Errorf("the value is %+v, which should end at %d", got, first)
	}
}
