package hub

import (
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// resuming goes on with a state from a position.
func resuming(epoch string, offset uint64) asking {
	return from(Start{Kind: Position, WantsState: true, Position: broker.Position{Epoch: epoch, Offset: offset}})
}

func TestAPositionInAStateIsRecoveredFromTheWindow(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "b=1", "a=2", "b-")
	w.place("a")
	c := w.place("a", resuming(w.epoch("a"), 1))
	c.want("2 1\n3 2\n4 \n")
	if n := w.hub.Stats().Reads; n != 2 || !c.placed.Recovered { // when the log was opened, and of nothing new
		t.Errorf("%d reads, recovered %v", n, c.placed.Recovered)
	}
}

func TestAPositionBeforeTheWindowIsRecoveredFromTheState(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 2}))
	w.keyed("a", "a=1", "b=1", "c=1", "a=2", "b-", "d=1", "d=2", "d+3")
	c := w.place("a", resuming(w.epoch("a"), 2))
	if c.want("3 1\n4 2\n5 \n8 23\n"); !c.placed.Recovered || c.placed.Offset != 8 {
		t.Errorf("placed %+v", c.placed)
	}
	w.keyed("a", "d+4")
	c.want("9 4\n")
	d := w.place("a", resuming("other", 2))
	if d.want("3 1\n4 2\n9 234\n"); d.placed.Recovered {
		t.Error("recovered from another epoch")
	}
}

// The client may have been cut off before it got the value that is appended to.
func TestPiecesAreNotAppendedToWhatAStateHasNotTold(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "b=1", "a+2", "a+3")
	w.place("a")
	w.place("a", resuming(w.epoch("a"), 2)).want("4 123\n")
	w.keyed("a", "a=new", "a+er")
	w.place("a", resuming(w.epoch("a"), 4)).want("5 new\n6 er\n")
}

// A client that was cut off in the middle of a state has not got the keys that had changed by then. They may have changed
// by an append that this node does not know of yet.
func TestPiecesThatAreOnTheirWayAreNotAppendedToWhatAStateHasNotTold(t *testing.T) {
	w := newWorld(t)
	w.hub.pageEntries = 1
	w.keyed("a", "a=1", "b=1", "c=1")
	w.place("a")
	c := w.place("a", from(Start{Kind: State}))
	c.pull(1000, 1000)
	w.broker.Lose("a", 1)
	w.keyed("a", "b+2")
	c.pull(1000, 1000)
	w.settle()
	c.pull(1000, 1000)
	if got := c.text(); got != "1 1\n3 1\n" {
		t.Fatalf("before the cut comes\n%s", got)
	}
	c.Close()
	d := w.place("a", resuming(w.epoch("a"), 3))
	if d.want("4 12\n"); !d.placed.Recovered {
		t.Error("not recovered")
	}
	w.keyed("a", "b+3")
	d.want("5 3\n")
}

func TestPiecesThatWaitAreNotAppendedToWhatAStateHasNotTold(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "b=1", "c=1")
	w.place("a", sampled(time.Second))
	w.keyed("a", "d=1", "b+2")
	c := w.place("a", sampled(time.Second), resuming(w.epoch("a"), 3))
	w.wait(2 * time.Second)
	c.want("4 1\n5 12\n")
}

// Before it was cut off, the client had been told b, but not that a was deleted: the sample left that out for what came of a
// after b.
func TestPiecesAreNotAppendedToWhatASampleHasLeftOut(t *testing.T) {
	w := newWorld(t)
	w.keyed("a", "a=1", "a-", "b=1", "a+2", "a-", "c=1", "c+2")
	c := w.place("a", sampled(time.Second), after(w.epoch("a"), 3))
	if c.want("5 \n7 12\n"); !c.placed.Recovered {
		t.Error("not recovered")
	}
}

// A page may know more than the node that samples the log.
func TestPartsThatAPageHeldAreNotJoinedToThoseBehindIt(t *testing.T) {
	w := newWorld(t)
	w.place("a", sampled(time.Second))
	w.keyed("a", "b=1")
	w.broker.Lose("a", 1)
	w.keyed("a", "b+2")
	c := w.place("a", sampled(time.Second), from(Start{Kind: State}))
	c.want("2 12\n")
	w.keyed("a", "b+3")
	w.wait(2 * time.Second)
	c.want("3 3\n")
}

func TestNothingIsAppendedToAValueThatHasEnded(t *testing.T) {
	w := newWorld(t)
	w.place("a")
	w.keyed("a", "x=1")
	w.lives("a", "k", broker.Set, "1", time.Second)
	w.keyed("a", "k+2", "x=2")
	w.pass(2 * time.Second)
	c := w.place("a", resuming(w.epoch("a"), 1))
	if c.want("4 2\n"); !c.placed.Recovered {
		t.Error("not recovered")
	}
}

// Whoever comes back with a part of a state waits for the log to be as far as the broker is, and all do so for one read.
func TestThoseWhoComeBackToAStateShareARead(t *testing.T) {
	w := newWorld(t, tasksByHand)
	w.keyed("a", "a=1", "b=1")
	w.place("a")
	before := w.hub.Stats().Reads
	var back []*client
	for range 10 {
		back = append(back, w.subscribe("a", resuming(w.epoch("a"), 1)))
	}
	w.settle()
	for _, c := range back {
		if c.want("2 1\n"); !c.placed.Recovered {
			t.Error("not recovered")
		}
	}
	if n := w.hub.Stats().Reads - before; n != 1 {
		t.Errorf("%d reads", n)
	}
	late := w.subscribe("a", resuming(w.epoch("a"), 2))
	w.broker.Fail(errDown)
	w.settle()
	if w.broker.Fail(nil); late.err != errDown {
		t.Errorf("without a broker: %v", late.err)
	}
	late = w.subscribe("a", resuming(w.epoch("a"), 2))
	w.hub.Close()
	w.settle()
	if late.err != ErrClosed {
		t.Errorf("of a hub that is closed: %v", late.err)
	}
}

func TestAStateWhoseDeletesAreForgottenIsRecoveredFromTheLogOrNot(t *testing.T) {
	w := newWorld(t, window(2))
	w.keyed("a", "a=1", "b=1", "c=1", "a-", "c=2")
	w.broker.forgotten = true
	c := w.place("a", resuming(w.epoch("a"), 1))
	if c.want("2 1\n3 1\n4 \n5 2\n"); !c.placed.Recovered {
		t.Error("not recovered though the log has it all")
	}
	w.keyed("a", "b+3")
	c = w.place("a", resuming(w.epoch("a"), 2))
	if c.want("5 2\n6 13\n"); c.placed.Recovered {
		t.Error("recovered though nobody knows what was deleted")
	}
}

// What waits before the position is not told, and so it is nothing that can be appended to.
func TestPiecesAreNotAppendedToWhatWaitsBeforeThePosition(t *testing.T) {
	w := newWorld(t)
	w.place("a", sampled(time.Second))
	w.keyed("a", "x=1", "a=1", "b=1", "a+2")
	c := w.place("a", sampled(time.Second), resuming(w.epoch("a"), 3))
	w.wait(2 * time.Second)
	c.want("4 12\n")
}
