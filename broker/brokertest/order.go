package brokertest

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hocket.dev/broker"
)

func testFields(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	n.b.Follow([]string{c})
	want := []broker.Entry{
		{Payload: []byte(`{"text":"hi"}`)},
		{Format: broker.Text, Payload: []byte("größe")},
		{Format: broker.Binary, Payload: []byte{0, 0xff, '\n', 0x80}},
		{Payload: []byte(`1`), Key: "k:*>", From: &broker.Member{Session: "s1", User: "ada"}, NoEcho: true},
		{Payload: []byte(`2`), Client: "c1", Seq: 7, From: &broker.Member{Session: "s1"}},
		{Payload: []byte(`3`), Headers: map[string]string{"trace": "ab", "": "empty", "x": ""}},
		{Payload: []byte(`4`), Key: "score", Score: -1.5, TTL: time.Hour},
		{Key: "k:*>", Op: broker.Delete},
	}
	for _, e := range want {
		n.mustPublish(c, e, keep)
	}
	for name, got := range map[string][]*broker.Entry{"delivered": n.delivered(c, len(want)), "read": n.all(c)} {
		if len(got) != len(want) {
			t.Fatalf("%d entries %s, want %d", len(got), name, len(want))
		}
		for i, e := range got {
			bare := *e
			bare.Offset, bare.Prev, bare.Time = 0, 0, 0
			if len(bare.Payload) == 0 {
				bare.Payload = nil
			}
			if diff := cmp.Diff(want[i], bare); diff != "" {
				t.Errorf("entry %d %s differs (-published +%s):\n%s", i, name, name, diff)
			}
		}
	}
}

// testOneOrder publishes to few channels from many goroutines. What the sink saw is what the log says, nothing is
// missing or twice, and each publisher's entries stand in the order of its calls.
func testOneOrder(t *testing.T, open func(*testing.T) broker.Broker) {
	const publishers, each = 4, 150
	n := start(t, open(t))
	channels := []string{channel(), channel()}
	n.b.Follow(channels)
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			var answers sync.WaitGroup
			for i := range each {
				answers.Add(len(channels))
				for _, c := range channels {
					payload := binary.BigEndian.AppendUint32([]byte{byte(p)}, uint32(i))
					e := broker.Entry{Format: broker.Binary, Payload: payload}
					n.b.Publish(c, e, keep, func(_ broker.Receipt, err error) {
						if err != nil {
							t.Errorf("publish: %v", err)
						}
						answers.Done()
					})
				}
			}
			answers.Wait()
		})
	}
	wg.Wait()
	for _, c := range channels {
		live, log := n.delivered(c, publishers*each), n.all(c)
		if diff := cmp.Diff(log, live); diff != "" {
			t.Fatalf("order delivered differs from that of the log (-log +delivered):\n%s", diff)
		}
		var next [publishers]uint32
		for _, e := range log {
			p, i := e.Payload[0], binary.BigEndian.Uint32(e.Payload[1:])
			if i != next[p] {
				t.Fatalf("publisher %d: entry %d comes where %d should", p, i, next[p])
			}
			next[p]++
		}
	}
}

func testOffsets(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c, noise := channel(), channel()
	n.b.Follow([]string{c})
	var positions []broker.Position
	for range 100 {
		positions = append(positions, n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep))
		n.mustPublish(noise, broker.Entry{Payload: []byte(`1`)}, keep)
	}
	live := n.delivered(c, 100)
	var last uint64
	for i, e := range live {
		switch {
		case e.Offset != positions[i].Offset:
			t.Fatalf("entry %d was delivered at %d, acknowledged at %d", i, e.Offset, positions[i].Offset)
		case e.Offset <= last || e.Offset > broker.MaxOffset:
			t.Fatalf("offset %d follows %d", e.Offset, last)
		case e.Prev != last && e.Prev != 0:
			t.Fatalf("the offset before %d is said to be %d, it is %d", e.Offset, e.Prev, last)
		case positions[i].Epoch == "" || positions[i].Epoch != positions[0].Epoch:
			t.Fatalf("epoch %q follows %q", positions[i].Epoch, positions[0].Epoch)
		}
		last = e.Offset
	}
	if got := n.head(c); got != positions[99] {
		t.Errorf("head is %v, want %v", got, positions[99])
	}
}

func testTime(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c := channel()
	for range 50 {
		n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep)
	}
	var last int64 = 1_500_000_000_000 // 2017: in milliseconds, then
	for _, e := range n.all(c) {
		if e.Time < last {
			t.Fatalf("time %d follows %d", e.Time, last)
		}
		last = e.Time
	}
}

func testFollow(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	c, other := channel(), channel()
	one := broker.Entry{Payload: []byte(`1`)}
	// What is delivered elsewhere afterwards shows that what should not come has had its chance.
	settle := func(count int) {
		n.mustPublish(other, one, keep)
		n.delivered(other, count)
	}
	n.b.Follow([]string{other})

	n.mustPublish(c, one, keep)
	settle(1)
	n.delivered(c, 0)

	n.b.Follow([]string{c})
	n.b.Follow([]string{c, c})
	second := n.mustPublish(c, one, keep)
	settle(2)
	if got := n.delivered(c, 1)[0]; got.Offset != second.Offset {
		t.Errorf("offset %d delivered, want %d", got.Offset, second.Offset)
	}

	n.b.Unfollow([]string{c, channel()})
	n.mustPublish(c, one, keep)
	settle(3)
	n.delivered(c, 1)

	n.b.Follow([]string{c})
	n.mustPublish(c, one, keep)
	n.delivered(c, 2)
}

func testCallBack(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	a, b := channel(), channel()
	n.sink.hook = func(channel string, e *broker.Entry) {
		if len(e.Payload) > 3 {
			return
		}
		longer := broker.Entry{Format: broker.Text, Payload: append([]byte("x"), e.Payload...)}
		n.b.Publish(a, longer, keep, nil)
		n.b.Publish(b, longer, keep, nil)
		n.b.Follow([]string{b})
		n.b.Unfollow([]string{"never followed"})
	}
	n.b.Follow([]string{a, b})
	n.mustPublish(a, broker.Entry{Format: broker.Text}, keep)
	// Each entry of up to 3 bytes makes one a byte longer in both channels: 1, 2, 4 and 8 of the lengths 1 to 4 in each.
	if diff := cmp.Diff(n.delivered(a, 16), n.all(a)); diff != "" {
		t.Errorf("a differs (-delivered +log):\n%s", diff)
	}
	if diff := cmp.Diff(n.delivered(b, 15), n.all(b)); diff != "" {
		t.Errorf("b differs (-delivered +log):\n%s", diff)
	}
}

// testLostLiveCopy: Prev shows a loss only when a later entry comes; until then Heads does.
func testLostLiveCopy(t *testing.T, open func(*testing.T) broker.Broker) {
	lossy := LoseLast(open(t))
	n := start(t, lossy)
	c := channel()
	n.b.Follow([]string{c})
	for range 3 {
		n.mustPublish(c, broker.Entry{Payload: []byte(`1`)}, keep)
	}
	seen := n.delivered(c, 3)[2].Offset
	lossy.Lose(c, 1)
	lost := n.mustPublish(c, broker.Entry{Payload: []byte(`"lost"`)}, keep)

	if got := n.head(c); got != lost {
		t.Errorf("head is %v, want %v", got, lost)
	}
	page := n.read(c, broker.Query{HasAfter: true, After: seen, Epoch: lost.Epoch})
	if len(page.Entries) != 1 || !page.Complete || page.Entries[0].Offset != lost.Offset {
		t.Errorf("after %d: %+v", seen, page)
	}
	n.mustPublish(c, broker.Entry{Payload: []byte(`2`)}, keep)
	if got := n.delivered(c, 4)[3]; got.Prev != lost.Offset && got.Prev != 0 {
		t.Errorf("the entry after the lost one says that %d is before it, want %d", got.Prev, lost.Offset)
	}
}

func testHeads(t *testing.T, open func(*testing.T) broker.Broker) {
	n := start(t, open(t))
	a, b, empty := channel(), channel(), channel()
	headA := n.mustPublish(a, broker.Entry{Payload: []byte(`1`)}, keep)
	headB := n.mustPublish(b, broker.Entry{Payload: []byte(`1`)}, broker.Retention{})
	got, err := n.b.Heads(t.Context(), []string{b, empty, a, b})
	if err != nil || len(got) != 4 || got[0] != headB || got[1].Offset != 0 || got[2] != headA || got[3] != headB {
		t.Errorf("heads are %v, %v; want %v, none, %v, %v", got, err, headB, headA, headB)
	}
	n.b.Follow([]string{empty})
	epoch := n.head(empty).Epoch
	if first := n.mustPublish(empty, broker.Entry{Payload: []byte(`1`)}, keep); epoch != "" && epoch != first.Epoch {
		t.Errorf("epoch %q of a followed channel is %q with its first entry", epoch, first.Epoch)
	}
}
