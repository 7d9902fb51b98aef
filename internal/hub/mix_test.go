package hub

import (
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// transfer begins to read a state in pages of one, and takes the first.
func (w *world) transfer(name string) *client {
	w.Helper()
	w.hub.pageEntries = 1
	w.keyed("a", "a=1", "=no part of it", "b=1", "c=1")
	c := &client{w: w, name: name}
	w.join(c, "a", from(Start{Kind: State}))
	w.settle()
	c.pull(1000, 1000)
	if got := c.text(); got != "1 1\n" || c.placed.Offset != 4 {
		w.Fatalf("the first page brings %q, up to %d", got, c.placed.Offset)
	}
	return c
}

func TestWhatHasNoKeyComesThoughItIsWrittenWhileAStateIsRead(t *testing.T) {
	for name, entries := range map[string]int{"from the window": 100, "from the log": 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, window(entries))
			c := w.transfer("")
			w.keyed("a", "=x", "b=2", "b=3", "=y", "c-", "=z")
			c.want("5 x\n7 3\n8 y\n9 \n10 z\n")
			w.keyed("a", "=live", "b+4")
			c.want("11 live\n12 4\n")
		})
	}
}

func TestWhatHasNoKeyIsAGapWhereTheLogHasLostItBeforeAStateWasRead(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 3}))
	c := w.transfer("")
	w.keyed("a", "=x", "b=2", "=y", "c=2", "b=3", "=z", "c=3")
	// The broker has 9 to 11. Of what came before, 8 is not the latest of its key.
	c.want("gap 5-8 without_key\n9 3\n10 z\n11 3\n")
}

// Between the changes of a state, and never over them, lies what is missing.
func TestAGapLiesBetweenTheChangesOfAState(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 2}))
	c := w.transfer("")
	w.keyed("a", "=x", "b=2", "c=2", "=y", "d=1", "=z", "e=1", "e=2")
	c.want("gap 5-5 without_key\n6 2\n7 2\ngap 8-8 without_key\n9 1\ngap 10-10 without_key\n12 2\n")
}

// The log loses its first entry between two reads for who comes back to its beginning: before that entry there was nothing.
func TestNoGapLiesBeforeTheFirstEntryOfALog(t *testing.T) {
	w := newWorld(t, scattered, window(1))
	w.place("a") // while there is nothing in it
	w.keyed("a", "b=1", "=x", "c=1", "=y", "d=1")
	all, err := w.broker.Read(t.Context(), "a", broker.Query{HasAfter: true})
	if err != nil {
		t.Fatal(err)
	}
	var offsets []uint64
	for _, e := range all.Entries {
		offsets = append(offsets, e.Offset)
	}
	w.hub.pageEntries = 2
	again := false
	w.broker.page = func(_ string, q broker.Query, p *broker.Page) {
		if again && q.After == 0 {
			p.Complete, p.Entries = false, p.Entries[1:]
		}
		again = true
	}
	c := w.place("a", ruled(rule.OverflowLatest), after(w.epoch("a"), 0))
	if c.wantOffsets(offsets); !c.placed.Recovered {
		t.Error("not recovered")
	}
}

func TestAStateIsNotToldWithAGapWhereNothingIsWithoutAKey(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 2}))
	c := w.transfer("")
	reads := len(w.broker.reads)
	w.keyed("a", "b=2", "c=2", "d=1", "e=1", "e=2")
	c.want("5 2\n6 2\n7 1\n9 2\n")
	if n := len(w.broker.reads) - reads; n != 0 {
		t.Errorf("the log was read %d times", n)
	}
	w = newWorld(t, window(2), keeping(rule.History{Count: 2}))
	c = w.transfer("")
	w.broker.Lose("a", 5)
	w.keyed("a", "b=2", "c=2", "d=1", "e=1", "e=2")
	if got := c.read(); got != "" {
		t.Errorf("before it is known what is missing comes\n%s", got)
	}
	w.pass(time.Second)
	w.pass(time.Second)
	if got := c.read(); !strings.HasSuffix(got, "9 2\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestWhatHasNoKeyIsToldToAllButItsAuthorAmongTheChangesOfAState(t *testing.T) {
	for name, want := range map[string]string{"me": "4 1\n6 2\n7 z\n", "you": "4 1\n5 x\n6 2\n7 z\n"} {
		w := newWorld(t)
		c := w.transfer(name)
		w.publish("a", "x", "me")
		w.put("a", broker.Entry{Key: "b", From: &broker.Member{Session: "me"}, NoEcho: true, Format: broker.Text, Payload: []byte("2")})
		w.keyed("a", "=z")
		c.want(want)
	}
}

func TestWhatHasNoKeyAndIsRemovedBeforeAStateWasReadIsAGap(t *testing.T) {
	w := newWorld(t, window(1))
	c := w.transfer("")
	w.keyed("a", "b=2", "=x")
	if _, err := w.broker.Remove(t.Context(), "a", broker.Removal{UpTo: 6}); err != nil {
		t.Fatal(err)
	}
	w.keyed("a", "=y")
	c.want("4 1\n5 2\ngap 6-6 without_key\n7 y\n")
}

// Of what came up to the answer whoever resumes a state gets what there is; nobody knows whether there was more.
func TestAStateIsResumedWithWhatHasNoKey(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 4}))
	w.keyed("a", "a=1", "b=1", "=lost", "a=2", "=x", "b=2", "b=3", "=y", "b=4")
	c := w.place("a", resuming(w.epoch("a"), 2))
	if c.want("4 2\n8 y\n9 4\n"); !c.placed.Recovered {
		t.Error("not recovered")
	}
}

func TestTheLatestWithoutAKeyIsTheNewestThatThereIs(t *testing.T) {
	w := newWorld(t, window(4))
	w.hub.cacheBytes = 1
	c := &client{w: w, name: "me"}
	w.join(c, "a", ruled(rule.OverflowLatest))
	w.settle()
	w.keyed("a", "=1", "k=1", "k=2", "=2")
	w.publish("a", "3", "me")
	w.put("a", broker.Entry{TTL: time.Second, Format: broker.Text, Payload: []byte("4")})
	w.pass(2 * time.Second)
	c.want("3 2\n4 2\n")
	if c.Offset() != 6 {
		t.Errorf("at %d", c.Offset())
	}
}

// What is the newest there is for a client once the newest of all has ended, a node knows as far as its window reaches.
func TestTheLatestWithoutAKeyIsAGapWhereItIsNotKnown(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"ended":   func(w *world) { w.pass(2 * time.Second) },
		"removed": func(w *world) { w.hub.Removed("a", broker.Removal{Offset: 4}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, window(1))
			w.hub.cacheBytes = 1
			c := w.place("a", ruled(rule.OverflowLatest))
			w.keyed("a", "=1", "k=1", "=2")
			w.put("a", broker.Entry{TTL: time.Second, Format: broker.Text, Payload: []byte("3")})
			end(w)
			c.want("gap 1-1 without_key\n2 1\ngap 3-3 without_key\n")
			w.keyed("a", "=4")
			c.want("5 4\n")
		})
	}
}

// What a node was never told of may have had keys.
func TestTheLatestOfALogWithAHoleIsWhatHasChanged(t *testing.T) {
	w := newWorld(t, window(1), keeping(rule.History{Count: 1}))
	w.hub.cacheBytes = 1
	c := w.place("a", ruled(rule.OverflowLatest))
	w.broker.Lose("a", 1)
	w.keyed("a", "k=1", "=2")
	c.want("1 1\n2 2\n")
}
