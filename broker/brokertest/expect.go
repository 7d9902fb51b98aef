package brokertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"hocket.dev/broker"
)

// expecting is a publish on condition that the newest entry is at offset.
func expecting(e broker.Entry, offset uint64) broker.Entry {
	e.Expect, e.HasExpect = offset, true
	return e
}

// wantConflict publishes what is refused because the newest entry is at another place than expected.
func (n *node) wantConflict(channel string, e broker.Entry, at broker.Position) {
	n.Helper()
	receipt, err := n.publish(channel, e, keep)
	var conflict *broker.ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, broker.ErrConflict) || conflict.Position != at {
		n.Fatalf("answer is %+v, %v; want a conflict with %+v", receipt, err, at)
	}
}

func testExpectKeys(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	value := broker.Entry{Key: "k", Payload: []byte(`"v"`)}
	first := n.mustPublish(c, expecting(value, 0), keep)
	none := broker.Position{Epoch: first.Epoch}
	n.wantConflict(c, expecting(value, 0), first)
	n.wantConflict(c, expecting(value, first.Offset+1), first)

	// Other keys and entries without one make no difference.
	n.mustPublish(c, broker.Entry{Key: "other", Payload: []byte(`1`)}, keep)
	n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep)
	more := value
	more.Op = broker.Append
	second := n.mustPublish(c, expecting(more, first.Offset), keep)
	n.wantConflict(c, expecting(more, first.Offset), second)

	gone := broker.Entry{Key: "k", Op: broker.Delete}
	n.wantConflict(c, expecting(gone, first.Offset), second)
	n.mustPublish(c, expecting(gone, second.Offset), keep)
	n.wantConflict(c, expecting(gone, second.Offset), none)
	head := n.mustPublish(c, expecting(gone, 0), keep)
	if got := n.head(c); got != head {
		t.Errorf("refused publishes moved the head from %v to %v", head, got)
	}
	n.mustPublish(c, expecting(value, 0), keep)
}

func testExpectChannels(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	for _, r := range []broker.Retention{keep, {}} { // the head outlives the entry
		c := channel()
		e := broker.Entry{Payload: []byte(`1`)}
		first := n.mustPublish(c, expecting(e, 0), r)
		n.wantConflict(c, expecting(e, 0), first)
		n.wantConflict(c, expecting(e, first.Offset+1), first)
		second := n.mustPublish(c, expecting(e, first.Offset), r)
		n.wantConflict(c, expecting(e, first.Offset), second)
		third := n.mustPublish(c, broker.Entry{Key: "k", Payload: []byte(`1`)}, r)
		n.wantConflict(c, expecting(e, second.Offset), third)
		if got := n.head(c); got != third {
			t.Errorf("refused publishes moved the head from %v to %v", third, got)
		}
	}
}

// testExpectDuplicates: who did not hear that its publish was applied sends it again, and its own entry has made the
// condition false meanwhile. And what was refused is not remembered as done.
func testExpectDuplicates(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	for _, key := range []string{"", "k"} {
		for _, e := range []broker.Entry{{IdempotencyKey: "once"}, {Client: "ada", Seq: 1}} {
			c := channel()
			e.Key, e.Payload = key, []byte(`1`)
			first := n.mustPublish(c, broker.Entry{Key: key, Payload: []byte(`0`)}, keep)
			n.wantConflict(c, expecting(e, 0), first)
			applied := n.mustPublish(c, expecting(e, first.Offset), keep)
			n.wantDuplicate(c, expecting(e, first.Offset), keep, applied)
			n.wantDuplicate(c, expecting(e, 0), keep, applied)
			if got := n.head(c); got != applied {
				t.Errorf("the head is %v, want %v", got, applied)
			}
		}
	}
}

// testExpectStorm: of many that write on the same condition one succeeds, and all others learn of an entry that is
// there.
func testExpectStorm(t *testing.T, open func(*testing.T) broker.Broker) {
	const writers, rounds = 16, 30
	n := start(t, open(t))
	for _, key := range []string{"", "k"} {
		c := channel()
		var at broker.Position
		for round := range rounds {
			var mu sync.Mutex
			var winners []broker.Position
			var conflicts []broker.Position
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					e := broker.Entry{Key: key, Payload: []byte(fmt.Sprint(w))}
					receipt, err := n.publish(c, expecting(e, at.Offset), keep)
					mu.Lock()
					defer mu.Unlock()
					var conflict *broker.ConflictError
					switch {
					case err == nil:
						winners = append(winners, receipt.Position)
					case errors.As(err, &conflict):
						conflicts = append(conflicts, conflict.Position)
					default:
						t.Errorf("publish: %v", err)
					}
				})
			}
			wg.Wait()
			if len(winners) != 1 || len(conflicts) != writers-1 {
				t.Fatalf("round %d: %d winners, %d conflicts of %d", round, len(winners), len(conflicts), writers)
			}
			for _, p := range conflicts {
				if p != winners[0] {
					t.Fatalf("round %d: a conflict with %v, the winner is at %v", round, p, winners[0])
				}
			}
			at = winners[0]
		}
		if got := len(n.all(c)); got != rounds {
			t.Errorf("%d entries after %d rounds", got, rounds)
		}
	}
}

func testExpectModel(t *testing.T, open func(*testing.T) broker.Broker) {
	outer := start(t, open(t))
	rapid.Check(t, func(t *rapid.T) {
		n := outer.on(t)
		c := channel()
		var log []*broker.Entry
		for range rapid.IntRange(1, 40).Draw(t, "published") {
			e := broker.Entry{
				Key:     rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key"),
				Op:      rapid.SampledFrom([]broker.Op{broker.Set, broker.Append, broker.Delete}).Draw(t, "op"),
				Payload: []byte(`"x"`),
			}
			newest := uint64(0)
			if e.Key != "" {
				if was := fold(log)[e.Key]; was != nil {
					newest = was.Offset
				}
			} else if e.Op = broker.Set; len(log) > 0 {
				newest = log[len(log)-1].Offset
			}
			offsets := []uint64{0, newest, newest}
			for _, old := range log {
				offsets = append(offsets, old.Offset)
			}
			e = expecting(e, rapid.SampledFrom(offsets).Draw(t, "expect"))
			if e.Expect != newest {
				n.wantConflict(c, e, broker.Position{Epoch: n.head(c).Epoch, Offset: newest})
				continue
			}
			e.Offset = n.mustPublish(c, e, keep).Offset
			log = append(log, &e)
		}
		if got := len(n.all(c)); got != len(log) {
			t.Fatalf("%d entries in the log, want %d", got, len(log))
		}
	})
}
