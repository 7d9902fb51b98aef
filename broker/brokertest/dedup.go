package brokertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

func testKeys(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c, other := channel(), channel()
	n.b.Follow([]string{c})
	one := broker.Entry{Payload: []byte(`1`), IdempotencyKey: "one"}
	two := broker.Entry{Payload: []byte(`2`), IdempotencyKey: "two"}
	first := n.mustPublish(c, one, keep)
	n.mustPublish(c, broker.Entry{Payload: []byte(`0`)}, keep)
	second := n.mustPublish(c, two, keep)
	n.wantDuplicate(c, one, keep, first)
	n.wantDuplicate(c, two, keep, second)
	n.mustPublish(other, one, keep) // what is remembered is remembered for a channel
	n.delivered(c, 3)

	// The log need not hold an entry for its key to be known.
	gone := channel()
	first = n.mustPublish(gone, one, broker.Retention{})
	n.wantDuplicate(gone, one, broker.Retention{}, first)
}

func testSequence(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	n.b.Follow([]string{c})
	ada := func(seq uint64) broker.Entry { return broker.Entry{Payload: []byte(`1`), Client: "ada", Seq: seq} }
	bob := func(seq uint64) broker.Entry { return broker.Entry{Payload: []byte(`2`), Client: "bob", Seq: seq} }
	one := n.mustPublish(c, ada(1), keep)
	n.mustPublish(c, bob(1), keep)
	five := n.mustPublish(c, ada(5), keep)
	six := n.mustPublish(c, ada(6), keep)
	n.wantDuplicate(c, ada(6), keep, six)
	n.wantDuplicate(c, ada(1), keep, one)
	n.wantDuplicate(c, ada(5), keep, five)

	// A number that has been passed over was refused when the later one was not: a client that lost the connection
	// before it heard so sends it again, and it must not be lost.
	three := n.mustPublish(c, ada(3), keep)
	n.wantDuplicate(c, ada(3), keep, three)
	n.wantDuplicate(c, ada(6), keep, six)
	n.mustPublish(c, bob(2), keep)
	n.mustPublish(c, broker.Entry{Payload: []byte(`3`), Client: "ada"}, keep) // no number, no memory
	n.mustPublish(c, ada(7), broker.Retention{})
	if receipt, err := n.publish(c, ada(1), broker.Retention{}); err != nil || !receipt.Duplicate {
		t.Errorf("a number whose entry is gone: %+v, %v", receipt, err)
	}
	n.delivered(c, 8)

	// Far behind the last one no number is new.
	last := n.mustPublish(c, ada(1000), keep)
	n.wantDuplicate(c, ada(900), keep, last)
}

// testLostAnswers: who does not know whether a publish was applied sends it again, and it is there once.
func testLostAnswers(t *testing.T, open func(*testing.T) broker.Broker) {
	lossy := LoseLast(open(t))
	n := start(t, lossy)
	c := channel()
	n.b.Follow([]string{c})
	for i, e := range []broker.Entry{{IdempotencyKey: "once"}, {Client: "ada", Seq: 1}, expecting(broker.Entry{Key: "k", IdempotencyKey: "cas"}, 0)} {
		e.Payload = []byte(`1`)
		lossy.LoseAnswers(c, 2)
		n.wantError(c, e, keep, ErrUnknown)
		n.wantError(c, e, keep, ErrUnknown)
		n.wantDuplicate(c, e, keep, n.head(c))
		n.delivered(c, i+1)
	}
}

func testDedupRace(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	var mu sync.Mutex
	applied, positions := 0, map[broker.Position]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			receipt, err := n.publish(c, broker.Entry{Payload: []byte(`1`), IdempotencyKey: "k"}, keep)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if !receipt.Duplicate {
				applied++
			}
			positions[receipt.Position] = true
		})
	}
	wg.Wait()
	if applied != 1 || len(positions) != 1 || len(n.all(c)) != 1 {
		t.Errorf("applied %d times, at %v, %d entries in the log", applied, positions, len(n.all(c)))
	}
}

func testDedupBound(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	r := broker.Retention{Count: 100, DedupKeys: 5}
	named := func(i int) broker.Entry {
		return broker.Entry{Payload: []byte(`1`), IdempotencyKey: fmt.Sprint("k", i)}
	}
	client := broker.Entry{Payload: []byte(`1`), Client: "ada", Seq: 1}
	var positions []broker.Position
	for i := range 4 {
		positions = append(positions, n.mustPublish(c, named(i), r))
	}
	n.mustPublish(c, client, r)
	n.wantError(c, named(4), r, broker.ErrBusy)
	n.wantError(c, broker.Entry{Payload: []byte(`1`), Client: "bob", Seq: 1}, r, broker.ErrBusy)

	// None is forgotten early, and what needs no new record goes on.
	for i, p := range positions {
		n.wantDuplicate(c, named(i), r, p)
	}
	n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, r)
	client.Seq = 2
	n.mustPublish(c, client, r)
	if got := len(n.all(c)); got != 7 {
		t.Errorf("%d entries, want 7", got)
	}
}

func testDedupWindow(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	r := broker.Retention{Count: 100, DedupWindow: 20 * time.Millisecond, DedupKeys: 2}
	key := broker.Entry{Payload: []byte(`1`), IdempotencyKey: "k"}
	client := broker.Entry{Payload: []byte(`1`), Client: "ada", Seq: 3}
	for _, e := range []broker.Entry{key, client} {
		n.mustPublish(c, e, r)
		testproc.Until(t, "a publish to be forgotten", func() bool {
			receipt, err := n.publish(c, e, r)
			return err == nil && !receipt.Duplicate
		})
	}
	// Records that have expired make room for new ones.
	testproc.Until(t, "room for another key", func() bool {
		_, err := n.publish(c, broker.Entry{Payload: []byte(`1`), IdempotencyKey: "another"}, r)
		return err == nil
	})
}
