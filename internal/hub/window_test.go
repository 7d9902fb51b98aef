package hub

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

func TestASlowReaderIsToldWhatTheWindowNoLongerHolds(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cacheBytes = 10
	c := w.place("a")
	w.many("a", 2)
	w.settle()
	c.pull(1, 100)
	w.many("a", 7)
	c.want("1 0\ngap 2-6 slow_consumer\n7 4\n8 5\n9 6\n")
	w.publish("a", "x")
	c.want("10 x\n")
	if n := w.hub.Stats().Gaps; n != 1 {
		t.Errorf("%d gaps counted", n)
	}
}

func TestAReaderIsNotSlowWhileItsFramesAreThere(t *testing.T) {
	w := newWorld(t, window(3))
	c := w.place("a")
	all := w.many("a", 20)
	c.wantOffsets(all)
}

func TestOverflowDisconnects(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cacheBytes = 10
	c := w.place("a", disconnecting)
	w.many("a", 9)
	c.want("")
	if !c.over || c.Offset() != 0 {
		t.Errorf("overflow %v at offset %d", c.over, c.Offset())
	}
	if sl := c.Take(&c.scratch, 100); !sl.Overflow {
		t.Error("the next Take tells something else")
	}
	c.Close()
}

func TestAWindowIsBoundedInBytes(t *testing.T) {
	w := newWorld(t, with(func(c *Config) { c.WindowBytes = 10_000 }))
	w.hub.cacheBytes = 10
	c := w.place("a")
	for range 20 {
		w.publish("a", strings.Repeat("x", 1000-128))
	}
	if n := w.hub.Stats().WindowBytes; n != 10_000 {
		t.Errorf("%d bytes held", n)
	}
	w.settle()
	if got := c.read(); !strings.HasPrefix(got, "gap 1-10 slow_consumer\n11 ") {
		t.Errorf("got %.40q", got)
	}
	w.publish("a", strings.Repeat("x", 20_000)) // more than the bound: the newest entry stays all the same
	c.wantOffsets([]uint64{21})
}

func TestAWindowIsBoundedInAge(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 100, Age: 10 * time.Second}))
	c := w.place("a")
	w.many("a", 2)
	w.pass(6 * time.Second)
	w.many("a", 2)
	w.pass(5 * time.Second)
	w.place("a", last(10)).wantOffsets([]uint64{3, 4})
	c.want("gap 1-2 slow_consumer\n3 0\n4 1\n")
	w.pass(6 * time.Second)
	if n := w.hub.Stats().WindowBytes; n != 0 {
		t.Errorf("%d bytes held", n)
	}
	d := w.place("a", after(w.epoch("a"), 4))
	if !d.placed.Recovered {
		t.Error("the head is not recovered once all has grown old")
	}
	d = w.place("a", after(w.epoch("a"), 3))
	if d.placed.Recovered {
		t.Error("recovered what has grown old")
	}
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads", n)
	}
	w.publish("a", "x")
	d.wantOffsets([]uint64{5})
}

func TestAHoleGrowsOldWithItsWindow(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 2, Age: 10 * time.Second}))
	w.place("a")
	w.publish("a", "x")
	w.broker.Lose("a", 4)
	w.many("a", 5)
	w.pass(11 * time.Second)
	if n := w.hub.Stats().WindowBytes; n != 0 {
		t.Errorf("%d bytes held", n)
	}
	w.publish("a", "x")
	before := w.hub.Stats().Reads
	w.place("a", last(1)).wantOffsets([]uint64{7})
	if n := w.hub.Stats().Reads; n != before {
		t.Error("the broker was asked though the hole has gone")
	}
}

func TestTheNodesBudgetIsKept(t *testing.T) {
	const budget = 50_000
	w := newWorld(t, with(func(c *Config) { c.BudgetBytes = budget }), keeping(rule.History{Count: 1000}))
	var clients []*client
	for i := range 10 {
		clients = append(clients, w.place(fmt.Sprint("c", i)))
	}
	for n := range 100 {
		for i := range clients {
			w.publish(fmt.Sprint("c", i), strings.Repeat("x", 100*(i+1)))
			if held := w.hub.Stats().WindowBytes; held > budget {
				t.Fatalf("%d bytes held after %d rounds", held, n)
			}
		}
	}
	for i := range clients { // what was given up is read from the broker
		w.place(fmt.Sprint("c", i), last(1000)).read()
		c := w.place(fmt.Sprint("c", i), after(w.epoch(fmt.Sprint("c", i)), 10))
		if got := c.read(); len(offsets(got)) != 90 || !c.placed.Recovered {
			t.Errorf("channel %d: recovered %v, %d entries", i, c.placed.Recovered, len(offsets(got)))
		}
	}
	if n := w.hub.Stats().WindowBytes; n < budget/4 {
		t.Errorf("only %d bytes held", n)
	}
}

func TestALoneWindowKeepsTheBudgetToo(t *testing.T) {
	w := newWorld(t, with(func(c *Config) { c.BudgetBytes = 5000 }))
	w.place("a")
	w.many("a", 100)
	if n := w.hub.Stats().WindowBytes; n > 5000 || n < 2000 {
		t.Errorf("%d bytes held", n)
	}
}

func TestWithoutEchoThePublisherIsPassed(t *testing.T) {
	for _, old := range []bool{false, true} { // from shared frames, and from the window
		t.Run(fmt.Sprint("old ", old), func(t *testing.T) {
			w := newWorld(t)
			ann, bob, nobody := &client{w: w, name: "ann"}, &client{w: w, name: "bob"}, &client{w: w}
			for _, c := range []*client{ann, bob, nobody} {
				w.join(c, "a")
			}
			w.settle()
			w.publish("a", "1", "ann")
			w.publish("a", "2", "ann")
			w.publish("a", "3")
			w.publish("a", "4", "bob")
			w.publish("a", "5", "ann")
			w.publish("a", "6", "")
			w.publish("a", "7", "ann")
			if old {
				w.pass(10 * time.Second)
			}
			ann.want("3 3\n4 4\n6 6\n")
			bob.want("1 1\n2 2\n3 3\n5 5\n6 6\n7 7\n")
			nobody.want("1 1\n2 2\n3 3\n4 4\n5 5\n6 6\n7 7\n")
			if ann.passed == 0 || bob.passed == 0 || nobody.passed != 0 {
				t.Errorf("passed told %d, %d and %d times", ann.passed, bob.passed, nobody.passed)
			}
			if ann.Offset() != 7 || bob.Offset() != 7 {
				t.Errorf("at %d and %d", ann.Offset(), bob.Offset())
			}
			w.publish("a", "8", "ann")
			w.settle()
			if ann.dues != 2 {
				t.Errorf("told %d times", ann.dues)
			}
			ann.want("")
			if ann.Offset() != 8 {
				t.Errorf("at %d", ann.Offset())
			}
		})
	}
}

// only is an encoding that tells nothing of some entries.
type only struct{}

func (only) AppendEntry(dst []byte, channel, epoch string, e *broker.Entry) []byte {
	if string(e.Payload) == "-" {
		return dst
	}
	return lines{"m"}.AppendEntry(dst, channel, epoch, e)
}

func TestWhatAnEncodingHasNothingToSayToIsPassed(t *testing.T) {
	for _, old := range []bool{false, true} {
		w := newWorld(t)
		c := w.place("a", func(r *Request) { r.Encoding = only{} })
		for _, payload := range []string{"-", "x1", "x2", "-", "-", "x3", "-"} {
			w.publish("a", payload)
		}
		if old {
			w.pass(10 * time.Second)
		}
		c.want("2 x1\n3 x2\n6 x3\n")
		if c.Offset() != 7 || c.passed == 0 {
			t.Errorf("at %d", c.Offset())
		}
	}
}
