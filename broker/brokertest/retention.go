package brokertest

import (
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/testproc"
)

func testRetentionCount(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	for _, count := range []int{0, 1, 7} {
		c := channel()
		var positions []broker.Position
		for range 20 {
			positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, broker.Retention{Count: count}))
		}
		n.wantKept(c, positions, count)
	}
}

func testRetentionBytes(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	e := broker.Entry{Format: broker.Binary, Payload: make([]byte, 100), Headers: map[string]string{"a": "b"}}
	var positions []broker.Position
	for range 20 {
		positions = append(positions, n.mustPublish(c, e, broker.Retention{Count: 100, Bytes: 4*e.Size() + 1}))
	}
	n.wantKept(c, positions, 4)
	big := broker.Entry{Format: broker.Binary, Payload: make([]byte, 10*e.Size())}
	positions = append(positions, n.mustPublish(c, big, broker.Retention{Count: 100, Bytes: 4 * e.Size()}))
	n.wantKept(c, positions, 0)
}

func testRetentionAge(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	r := broker.Retention{Count: 100, Age: 20 * time.Millisecond}
	var positions []broker.Position
	for range 5 {
		positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, r))
	}
	testproc.Until(t, "entries to pass their age", func() bool { return len(n.all(c)) == 0 })
	n.wantKept(c, positions, 0)
	// What follows keeps its place in the same history.
	positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, broker.Retention{Count: 100, Age: time.Hour}))
	n.wantKept(c, positions, 1)
}

func testRetentionChange(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	var positions []broker.Position
	for _, count := range []int{10, 10, 10, 10, 2} {
		positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, broker.Retention{Count: count}))
	}
	n.wantKept(c, positions, 2)
	positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, broker.Retention{Count: 10}))
	n.wantKept(c, positions, 3)
}

// wantKept checks that just the last entries are left, and that the log says which positions can still be followed.
func (n *node) wantKept(c string, positions []broker.Position, kept int) {
	n.Helper()
	entries := n.all(c)
	if len(entries) != kept {
		n.Fatalf("%d entries kept, want %d", len(entries), kept)
	}
	for i, e := range entries {
		if want := positions[len(positions)-kept+i]; e.Offset != want.Offset {
			n.Fatalf("entry %d of those kept has offset %d, want %d", i, e.Offset, want.Offset)
		}
	}
	head := positions[len(positions)-1]
	if got := n.head(c); got != head {
		n.Fatalf("head is %v, want %v", got, head)
	}
	for i, p := range positions {
		page := n.read(c, broker.Query{HasAfter: true, After: p.Offset, Epoch: p.Epoch})
		if want := i >= len(positions)-1-kept; page.Complete != want {
			n.Fatalf("%d entries kept of %d; after entry %d complete is %v", kept, len(positions), i, page.Complete)
		}
	}
	if page := n.read(c, broker.Query{HasAfter: true}); page.Complete != (kept == len(positions)) {
		n.Fatalf("%d entries kept of %d; from the beginning complete is %v", kept, len(positions), page.Complete)
	}
}
