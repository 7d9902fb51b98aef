package hub

import (
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// fleeting publishes entries that end after a second.
func (w *world) fleeting(channel string, n int) {
	w.Helper()
	for range n {
		w.put(channel, broker.Entry{TTL: time.Second, Format: broker.Text, Payload: []byte("x")})
	}
}

// wantTold wants c to be brought text, and to know by then what has become of everything up to an offset.
func (c *client) wantTold(text string, offset uint64) {
	c.w.Helper()
	if c.want(text); c.told != offset || c.Offset() != offset {
		c.w.Fatalf("told up to %d and standing at %d, want %d", c.told, c.Offset(), offset)
	}
}

// A log may end with entries that are in no page any more. Wherever a client begins, it is told that they are passed.
func TestALogThatEndsWithWhatIsOverIsPassedToItsEnd(t *testing.T) {
	for name, entries := range map[string]int{"from the window": 100, "from pages": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, window(entries))
			w.hub.pageEntries = 2
			w.many("a", 4)
			w.fleeting("a", 3)
			w.pass(2 * time.Second)
			epoch := w.epoch("a")
			w.place("a", after(epoch, 0)).wantTold("1 0\n2 1\n3 2\n4 3\n", 7)
			w.place("a", after(epoch, 3)).wantTold("4 3\n", 7)
			w.place("a", after(epoch, 4)).wantTold("", 7)
			w.place("a", after(epoch, 6)).wantTold("", 7)
			w.place("a", last(2)).wantTold("3 2\n4 3\n", 7)
			w.place("a", last(90)).wantTold("1 0\n2 1\n3 2\n4 3\n", 7)
			w.place("a", from(Start{Kind: Since, Since: 1})).wantTold("1 0\n2 1\n3 2\n4 3\n", 7)
			everything := w.place("a", after(epoch, 7))
			if everything.want(""); everything.passed > 0 {
				t.Error("passed what it had got")
			}
			everything.wantTold("8 0\n", w.many("a", 1)[0])
		})
	}
}

func TestALogOfWhichAllIsOverIsPassedToItsEnd(t *testing.T) {
	w := newWorld(t, window(2))
	w.fleeting("a", 5)
	w.pass(2 * time.Second)
	for _, at := range []uint64{0, 2, 4} {
		c := w.place("a", after(w.epoch("a"), at))
		if c.wantTold("", 5); !c.placed.Recovered {
			t.Errorf("not recovered from %d", at)
		}
	}
	w.place("a", last(3)).wantTold("", 5)
	live := w.place("a")
	if live.want(""); live.Offset() != 5 || live.passed > 0 {
		t.Errorf("at %d, passed told %d times", live.Offset(), live.passed)
	}
	live.wantTold("6 0\n", w.many("a", 1)[0])
}

func TestWhatEndsWhileAPageIsTakenIsPassed(t *testing.T) {
	w := newWorld(t, window(2))
	w.hub.pageEntries = 2
	w.many("a", 3)
	w.fleeting("a", 3)
	c := w.place("a", after(w.epoch("a"), 0))
	c.pull(1, 100) // and the other one of the page is still to be sent
	w.pass(2 * time.Second)
	c.wantTold("1 0\n2 1\n3 2\n", 6)
}

func TestARefilledFollowerPassesWhatIsOverAtTheEnd(t *testing.T) {
	for _, frames := range []int{10, 100_000} {
		w := newWorld(t, window(2))
		w.hub.cacheBytes = frames
		c := w.place("a", ruled(rule.OverflowRefill))
		w.many("a", 4)
		w.fleeting("a", 3)
		w.settle()
		w.pass(3 * time.Second)
		c.wantTold("1 0\n2 1\n3 2\n4 3\n", 7)
	}
}

// What was removed at the end of a log before this node followed it is passed as well.
func TestALogWhoseEndWasRemovedIsPassedToItsEnd(t *testing.T) {
	w := newWorld(t, window(2))
	w.many("a", 4)
	if _, err := w.broker.Remove(t.Context(), "a", broker.Removal{Offset: 4}); err != nil {
		t.Fatal(err)
	}
	w.place("a", after(w.epoch("a"), 0)).wantTold("1 0\n2 1\n3 2\n", 4)
	w.place("a", after(w.epoch("a"), 3)).wantTold("", 4)
}
