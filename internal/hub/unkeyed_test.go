package hub

import (
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// jumping is a world in which a follower jumps, as the window has one entry. Its log keeps so many.
func jumping(t *testing.T, kept int, options ...option) (*world, *client) {
	t.Helper()
	w := newWorld(t, append(options, window(1), keeping(rule.History{Count: kept}))...)
	w.hub.cacheBytes = 10
	w.keyed("a", "k=0")
	return w, w.place("a", ruled(rule.OverflowLatest))
}

// missing appends entries of which the node gets the last alone, at first.
func (w *world) missing(channel string, entries ...string) {
	w.Helper()
	w.settle()
	w.broker.Lose(channel, len(entries)-1)
	w.keyed(channel, entries...)
	w.settle()
}

// What is not to be had may have had no key, or may not: what comes before it is told all the same.
func TestLatestTellsTheNewestBeforeWhatIsMissing(t *testing.T) {
	w, c := jumping(t, 1)
	w.keyed("a", "=w", "=x")
	w.missing("a", "k=1", "k=2", "k=3")
	c.want("3 x\ngap 4-5 without_key\n6 3\n")
	w.wantActions(Overflows{Latest: 1})
}

func TestLatestTellsAllThatIsMissing(t *testing.T) {
	w, c := jumping(t, 1)
	w.missing("a", "=x", "k=2")
	w.missing("a", "k=3", "k=4")
	c.want("gap 2-4 without_key\n5 4\n")
}

func TestLatestTellsWhatIsMissingOnEachPage(t *testing.T) {
	w, c := jumping(t, 1)
	w.hub.pageEntries = 2
	w.keyed("a", "l=1", "m=1")
	w.missing("a", "=x", "n=1", "=y", "o=1", "=z", "p=1")
	c.want("2 1\n3 1\ngap 4-4 without_key\n5 1\ngap 6-6 without_key\n7 1\ngap 8-8 without_key\n9 1\n")
}

// What a page cannot have is told with the next one, where that is for the client; where it is not, nobody knows what it stands for.
func TestLatestBeyondAPage(t *testing.T) {
	for name, want := range map[string]string{"": "3 1\n4 \n5 2\n", "me": "gap 2-2 without_key\n3 1\n5 2\n"} {
		t.Run(name, func(t *testing.T) {
			w, _ := jumping(t, 100, tasksByHand)
			c := &client{w: w, name: name}
			w.join(c, "a", ruled(rule.OverflowLatest))
			w.settle()
			w.keyed("a", "=x", "k=1")
			w.settle()
			c.pull(1000, 1000) // asks for a page
			w.tasks.one()
			w.publish("a", "", "me")
			w.keyed("a", "k=2")
			c.want(want)
		})
	}
}

func TestLatestTellsNothingThatIsTooOld(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 100, Age: 10 * time.Second}))
	w.hub.cacheBytes = 10
	w.keyed("a", "k=0")
	c := w.place("a", ruled(rule.OverflowLatest))
	w.keyed("a", "=x")
	w.pass(6 * time.Second)
	w.keyed("a", "k=1", "k=2")
	w.pass(6 * time.Second)
	c.want("gap 2-2 without_key\n4 2\n")
}

// Before the first entry without a key that has come since the log was opened nothing is unknown to a follower that was there.
func TestNothingIsUnknownBeforeTheFirst(t *testing.T) {
	l := &log{tail: 71, unkeyed: unkeyed{opened: 10}}
	for _, e := range []broker.Entry{{Offset: 60, Key: "k"}, {Offset: 69, Prev: 60}, {Offset: 71, Prev: 69}} {
		l.unkeyed.put(&e)
	}
	for after, from := range map[uint64]uint64{5: 5, 10: 60, 65: 65} {
		known := l.unkeyedAfter(after)
		if len(known) != 2 || known[0].Op != opGap || known[0].Prev != from || known[0].Offset != 69 || known[1].Offset != 71 {
			t.Errorf("after %d: %+v", after, known)
		}
	}
}
