package brokertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

// removing returns the broker's Remover, or skips the test.
func removing(t *testing.T, b broker.Broker) {
	t.Helper()
	if r, ok := b.(broker.Remover); ok {
		if _, err := r.Remove(t.Context(), channel(), broker.Removal{UpTo: 1}); !errors.Is(err, errors.ErrUnsupported) {
			return
		}
	}
	t.Skip("the broker removes nothing")
}

// remove takes out what r says and checks how much it was.
func (n *node) remove(c string, r broker.Removal, want int) {
	n.Helper()
	got, err := n.b.(broker.Remover).Remove(n.t.Context(), c, r)
	if err != nil || got != want {
		n.Fatalf("removing %+v answers %d, %v; want %d", r, got, err, want)
	}
}

func (n *node) wantIrremovable(c string, r broker.Removal, want error) {
	n.Helper()
	if got, err := n.b.(broker.Remover).Remove(n.t.Context(), c, r); got != 0 || err == nil || want != nil && !errors.Is(err, want) {
		n.Errorf("removing %+v answers %d, %v; want %v", r, got, err, want)
	}
}

func testRemoveHistory(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	removing(t, n.b)
	c := channel()
	var positions []broker.Position
	for range 10 {
		positions = append(positions, n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`1`)}, keep))
	}
	n.remove(c, broker.Removal{UpTo: positions[3].Offset}, 4)
	n.wantKept(c, positions, 6)
	n.remove(c, broker.Removal{UpTo: positions[1].Offset}, 0)
	n.wantKept(c, positions, 6)
	if page := n.read(c, broker.Query{Limit: 8}); page.Complete || len(page.Entries) != 6 || page.More {
		t.Errorf("the newest: %+v", page)
	}
	n.remove(c, broker.Removal{UpTo: broker.MaxOffset}, 6)
	n.wantKept(c, positions, 0)
	positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep))
	n.wantKept(c, positions, 1)
	if s, ok := n.b.(broker.State); ok {
		if keys, err := s.Keys(t.Context(), c); err != nil && !errors.Is(err, errors.ErrUnsupported) || err == nil && keys != 1 {
			t.Errorf("%d keys are left, %v; want 1", keys, err)
		}
	}
	n.remove(channel(), broker.Removal{UpTo: 7}, 0)
}

func testRemoveEntry(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	removing(t, n.b)
	c := channel()
	var positions []broker.Position
	once := broker.Entry{Payload: []byte(`1`), IdempotencyKey: "once"}
	for i := range 5 {
		e := broker.Entry{Payload: []byte(`1`)}
		if i == 2 {
			e = once
		}
		positions = append(positions, n.mustPublish(c, e, keep))
	}
	for _, i := range []int{2, 0, 4} { // in the middle, the oldest, and the head
		n.remove(c, broker.Removal{Offset: positions[i].Offset}, 1)
		n.remove(c, broker.Removal{Offset: positions[i].Offset}, 0)
	}
	n.remove(c, broker.Removal{Offset: positions[4].Offset + 1}, 0)
	head := positions[4]
	if got := n.head(c); got != head {
		t.Errorf("the head is %v, want %v", got, head)
	}
	left := []uint64{positions[1].Offset, positions[3].Offset}
	n.wantPage(c, broker.Query{HasAfter: true, Epoch: head.Epoch}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true}, left)
	n.wantPage(c, broker.Query{HasAfter: true, After: positions[1].Offset}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true}, left[1:])
	n.wantPage(c, broker.Query{HasAfter: true, After: positions[2].Offset}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true}, left[1:])
	n.wantPage(c, broker.Query{Limit: 1}, broker.Page{Epoch: head.Epoch, Head: head.Offset, Complete: true, More: true}, left[1:])
	n.wantDuplicate(c, once, keep, positions[2])
	n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep)
	for _, r := range []broker.Removal{{}, {UpTo: 1, Offset: 1}, {Offset: 1, Key: "k"}} {
		n.wantIrremovable(c, r, nil)
	}
	for _, r := range []broker.Removal{{Epoch: "another", UpTo: broker.MaxOffset}, {Epoch: "another", Offset: positions[1].Offset}} {
		n.wantIrremovable(c, r, broker.ErrConflict)
	}
	n.wantIrremovable(channel(), broker.Removal{Epoch: "another", Key: "k"}, broker.ErrConflict)
	if got := len(n.all(c)); got != 3 {
		t.Errorf("%d entries are left, want 3", got)
	}
}

// testRemovePart: no removal of an entry makes the log say something else of a key than the state.
func testRemovePart(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	removing(t, outer.b)
	s := stateOf(t, outer.b)
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		var log []*broker.Entry
		for range rapid.IntRange(1, 15).Draw(t, "published") {
			e := broker.Entry{
				Key:     rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"),
				Op:      rapid.SampledFrom([]broker.Op{broker.Set, broker.Append, broker.Delete}).Draw(t, "op"),
				Payload: []byte(rapid.SampledFrom([]string{`"x"`, `"y"`}).Draw(t, "payload")),
			}
			e.Offset = n.mustPublish(c, e, keep).Offset
			log = append(log, &e)
		}
		want := comparable(byOffset(fold(log)))
		for range rapid.IntRange(1, 10).Draw(t, "removals") {
			e := rapid.SampledFrom(log).Draw(t, "entry")
			removed, err := n.b.(broker.Remover).Remove(n.t.Context(), c, broker.Removal{Offset: e.Offset})
			if err != nil && !errors.Is(err, broker.ErrConflict) || err != nil && removed != 0 || removed > 1 {
				t.Fatalf("removing %+v: %d, %v", e, removed, err)
			}
		}
		if diff := cmp.Diff(want, comparable(byOffset(fold(n.all(c))))); diff != "" {
			t.Fatalf("the log says something else of the keys (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(want, comparable(n.walk(s, c, 0, nil))); diff != "" {
			t.Fatalf("the state differs (-before +after):\n%s", diff)
		}
	})
}

func testRemoveKey(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	removing(t, n.b)
	s := stateOf(t, n.b)
	c := channel()
	write := func(key string, op broker.Op) broker.Position {
		return n.mustPublish(c, broker.Entry{Key: key, Op: op, Payload: []byte(`"v"`)}, keep)
	}
	write("k", broker.Set)
	known := write("k", broker.Append)
	other := write("other", broker.Set)
	deleted := write("k", broker.Delete)
	n.wantIrremovable(c, broker.Removal{Offset: other.Offset}, broker.ErrConflict)
	n.wantIrremovable(c, broker.Removal{Offset: deleted.Offset}, broker.ErrConflict)

	// Who knew the value learns that it is gone.
	n.remove(c, broker.Removal{Key: "k"}, 2)
	n.remove(c, broker.Removal{Key: "k"}, 0)
	whole := broker.Page{Epoch: deleted.Epoch, Head: deleted.Offset, Complete: true}
	n.wantPage(c, broker.Query{HasAfter: true}, whole, []uint64{other.Offset, deleted.Offset})
	n.wantPage(c, broker.Query{HasAfter: true, After: known.Offset, Epoch: known.Epoch}, whole, []uint64{other.Offset, deleted.Offset})
	if page := n.state(c, broker.StateQuery{After: known.Offset, Deletes: true}); !page.Complete || len(page.Entries) != 2 {
		t.Errorf("state since: %+v", page)
	}

	// Without a Delete it goes without a trace.
	write("k", broker.Set)
	n.remove(c, broker.Removal{Key: "k"}, 2)
	if got := n.walk(s, c, 0, nil); len(got) != 1 || got[0].Key != "other" {
		t.Errorf("the state is %q", comparable(got))
	}
	if got := n.all(c); len(got) != 1 {
		t.Errorf("%d entries are left, want 1", len(got))
	}
	n.mustPublish(c, expecting(broker.Entry{Key: "k", Payload: []byte(`1`)}, 0), broker.Retention{})
	n.remove(c, broker.Removal{Key: "k"}, 1) // also when the log has dropped its entry
	n.remove(c, broker.Removal{Key: "never written"}, 0)
	value := n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`1`)}, broker.Retention{})
	n.wantIrremovable(c, broker.Removal{Offset: value.Offset}, broker.ErrConflict) // nor that

	// What was written after the Delete that it follows on stays.
	c = channel()
	first := write("k", broker.Set)
	deleted = write("k", broker.Delete)
	again := []uint64{write("k", broker.Append).Offset, write("k", broker.Append).Offset}
	n.remove(c, broker.Removal{Key: "k", UpTo: deleted.Offset}, 1)
	whole = broker.Page{Epoch: deleted.Epoch, Head: again[1], Complete: true}
	n.wantPage(c, broker.Query{HasAfter: true, After: first.Offset}, whole, append([]uint64{deleted.Offset}, again...))
	n.remove(c, broker.Removal{Key: "k", UpTo: again[0]}, 0)
	if page := n.state(c, broker.StateQuery{}); len(page.Entries) != 1 || string(page.Entries[0].Payload) != `"vv"` {
		t.Errorf("the state is %+v", page)
	}
}

// testRemovalIsTold: a sink hears of a removal in its place in the log.
func testRemovalIsTold(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	removing(t, n.b)
	c, silent := channel(), channel()
	n.b.Follow([]string{c})
	one := broker.Entry{Payload: []byte(`1`)}
	first := n.mustPublish(c, one, keep)
	head := n.mustPublish(c, one, broker.Retention{})
	n.mustPublish(silent, one, keep)
	n.delivered(c, 2)
	n.remove(silent, broker.Removal{UpTo: broker.MaxOffset}, 1)
	n.remove(c, broker.Removal{Key: "k"}, 0)
	n.remove(c, broker.Removal{Offset: first.Offset}, 0) // the log holds nothing, but others may
	n.remove(c, broker.Removal{UpTo: broker.MaxOffset}, 0)
	epoch := head.Epoch
	want := []broker.Removal{{Epoch: epoch, Key: "k"}, {Epoch: epoch, Offset: first.Offset}, {Epoch: epoch, UpTo: head.Offset}}
	testproc.Until(t, "removals to be told", func() bool { return len(n.sink.removedFrom(c)) >= len(want) })
	if diff := cmp.Diff(want, n.sink.removedFrom(c)); diff != "" {
		t.Errorf("removals told differ (-want +got):\n%s", diff)
	}
	if got := n.sink.removedFrom(silent); len(got) != 0 {
		t.Errorf("nobody follows, but %v is told", got)
	}
}

// testRemoveRace: publishes, values that end and removals at once leave no entry behind that should be gone, and the sink
// hears of one thing after another.
func testRemoveRace(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	removing(t, n.b)
	c := channel()
	n.b.Follow([]string{c})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := range 100 {
				e := broker.Entry{Payload: []byte(`"v"`)}
				if i%2 == 0 {
					e.Key, e.TTL = "k", time.Millisecond
				}
				if _, err := n.publish(c, e, keep); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			for _, r := range []broker.Removal{{UpTo: max(1, n.head(c).Offset)}, {Key: "k"}} {
				if _, err := n.b.(broker.Remover).Remove(t.Context(), c, r); err != nil {
					t.Errorf("removing %+v: %v", r, err)
				}
			}
		}
	})
	wg.Wait()
	if _, err := n.b.(broker.Remover).Remove(t.Context(), c, broker.Removal{UpTo: broker.MaxOffset}); err != nil {
		t.Fatal(err)
	}
	for _, e := range n.all(c) { // a value may have ended meanwhile
		if e.Op != broker.Delete {
			t.Errorf("%+v is left", e)
		}
	}
}
