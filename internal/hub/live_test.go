package hub

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

func TestEveryFollowerGetsEveryEntryOnceAndInOrder(t *testing.T) {
	w := newWorld(t, scattered)
	var clients []*client
	for i := range 20 {
		clients = append(clients, w.place("a", onLoop(i%2), tagged(fmt.Sprint("e", i%3))))
	}
	all := w.many("a", 50)
	for _, c := range clients {
		w.settle()
		if c.dues != 1 {
			t.Errorf("told %d times that something is due, want once", c.dues)
		}
		c.wantOffsets(all)
	}
	all = w.many("a", 3)
	for _, c := range clients {
		c.wantOffsets(all)
	}
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads of the broker, want one", n)
	}
}

func TestChannelsAreApart(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a"), w.place("b")
	w.publish("a", "x")
	w.publish("b", "y")
	w.publish("c", "z")
	a.want("1 x\n")
	b.want("1 y\n")
}

func TestWhereASocketCutsMakesNoDifference(t *testing.T) {
	for cut := 1; cut < 40; cut++ {
		w := newWorld(t)
		near, far := w.place("a"), w.place("a")
		w.many("a", 20)
		w.settle()
		want := w.place("a", last(20)).read()
		for near.pull(100, cut) {
		}
		if got := near.text(); got != want {
			t.Fatalf("cut at %d: got\n%s\nwant\n%s", cut, got, want)
		}
		w.pass(10 * time.Second) // the frames are gone
		for far.pull(100, cut) {
		}
		if got := far.text(); got != want {
			t.Fatalf("cut at %d, from the window: got\n%s\nwant\n%s", cut, got, want)
		}
		if near.sent != 20 || far.sent != 20 {
			t.Fatalf("cut at %d: %d and %d entries sent, want 20", cut, near.sent, far.sent)
		}
	}
}

// once has fn called when the next page has been made, before the hub gets it.
func (w *world) once(fn func(p *broker.Page)) {
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) {
		w.broker.page = nil
		fn(p)
	}
}

func TestWhatComesAfterTheFirstPageWasMadeIsReadToo(t *testing.T) {
	w := newWorld(t)
	w.once(func(*broker.Page) { w.publish("a", "x") })
	w.place("a", last(1)).want("1 x\n")
}

func TestGapWhileReadingHasTheLogReadOnceMore(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.once(func(*broker.Page) {
		w.broker.Lose("a", 1)
		w.publish("a", "x")
		w.hub.Gap("a")
	})
	w.hub.Gap("a")
	c.want("1 x\n")
}

func TestAnotherHoleWhileReadingIsReadToo(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.once(func(*broker.Page) {
		w.broker.Lose("a", 1)
		w.many("a", 2)
	})
	w.hub.Gap("a")
	c.wantOffsets([]uint64{1, 2})
}

func TestANewEpochWhileReadingIsFound(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.once(func(*broker.Page) {
		w.hub.Deliver("a", "new", &broker.Entry{Offset: 1})
		w.once(func(p *broker.Page) { p.Epoch = "new" })
	})
	w.hub.Gap("a")
	w.settle()
	if c.ended != ErrEpochChanged {
		t.Errorf("ended with %v", c.ended)
	}
}

func TestAReadThatFailedIsTriedAgainSoon(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.pass(61 * time.Second) // quiet: heads are compared in 30 s
	w.broker.Lose("a", 1)
	w.publish("a", "x")
	w.broker.Fail(errors.New("gone"))
	w.hub.Gap("a")
	w.broker.Fail(nil)
	c.want("")
	w.pass(time.Second)
	c.want("1 x\n")
}

func TestAHeadWithoutAnEntryIsReached(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.broker.Lose("a", 1)
	w.publish("a", "x")
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Head = 5 } // compacted away
	w.broker.position = func(_ string, p *broker.Position) { p.Offset = 5 }
	w.pass(time.Second)
	c.want("1 x\n")
	before := w.hub.Stats().Reads
	w.pass(time.Second)
	if n := w.hub.Stats().Reads; n != before {
		t.Errorf("%d reads for nothing", n-before)
	}
}

func TestEntriesComeWhileTheFirstReadIsUnderWay(t *testing.T) {
	w := newWorld(t, tasksByHand)
	w.many("a", 3)
	c := w.subscribe("a", last(10))
	w.publish("a", "early")
	if c.done {
		t.Fatal("placed before the broker was read")
	}
	w.settle()
	c.wantOffsets([]uint64{1, 2, 3, 4})
}

func TestAnEntryDeliveredAfterTheReadThatHeldItComesOnce(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "one")
	page, _ := w.broker.Read(t.Context(), "a", broker.Query{Limit: 1})
	w.hub.Deliver("a", page.Epoch, page.Entries[0])
	c.want("1 one\n")
}

func TestAHoleIsReadWhenTheNextEntryComes(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.broker.Lose("a", 3)
	all := w.many("a", 4)
	c.wantOffsets(all)
	if n := w.hub.Stats().Found; n != 4 {
		t.Errorf("found %d, want the three lost ones and the one that showed it", n)
	}
}

func TestWhatComesLiveWhileAHoleIsReadFollowsIt(t *testing.T) {
	w := newWorld(t, tasksByHand)
	c := w.place("a")
	w.broker.Lose("a", 1)
	w.many("a", 2)
	before := w.hub.Stats().Reads
	w.broker.page = func(string, broker.Query, *broker.Page) {
		w.publish("a", "live") // after the page was made: only the live copy can bring it without another read
	}
	c.wantOffsets([]uint64{1, 2, 3})
	if n := w.hub.Stats().Reads - before; n != 1 {
		t.Errorf("%d reads, want one", n)
	}
}

func TestTheLostLiveCopyOfTheLastEntryIsFound(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "one")
	c.want("1 one\n")
	w.broker.Lose("a", 1)
	w.publish("a", "two")
	c.want("")
	w.pass(time.Second)
	c.want("2 two\n")
}

func TestAQuietChannelIsComparedEveryThirtySeconds(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.pass(61 * time.Second)
	w.broker.Lose("a", 1)
	w.publish("a", "one")
	w.pass(29 * time.Second)
	c.want("")
	w.pass(time.Second)
	c.want("1 one\n")
}

func TestTheFirstTickComparesANewChannel(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Hour)
	c := w.place("a")
	w.broker.Lose("a", 1) // as if the broker had not followed at once
	w.publish("a", "one")
	w.pass(time.Second)
	c.want("1 one\n")
}

func TestGapHasTheLogReadOn(t *testing.T) {
	w := newWorld(t, tasksByHand)
	c := w.subscribe("a")
	w.hub.Gap("a") // while opening: one more read
	w.settle()
	w.broker.Lose("a", 2)
	w.many("a", 2)
	w.hub.Gap("a")
	w.hub.Gap("unknown")
	c.wantOffsets([]uint64{1, 2})
}

func TestAnEntryThatDoesNotNameTheOneBeforeIsVerified(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "one")
	w.broker.Lose("a", 2)
	w.many("a", 2)
	page, _ := w.broker.Read(t.Context(), "a", broker.Query{Limit: 1})
	e := *page.Entries[0]
	e.Prev = 0
	w.hub.Deliver("a", page.Epoch, &e)
	c.wantOffsets([]uint64{1, 2, 3})
}

func TestWhatCannotBeReadIsToldAsAGap(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 2}))
	near, slow := w.place("a"), w.place("a")
	w.publish("a", "x")
	near.want("1 x\n")
	w.broker.Lose("a", 4)
	w.many("a", 5) // the broker keeps 5 and 6
	near.want("gap 2-4 unavailable\n5 3\n6 4\n")
	w.pass(10 * time.Second) // the same from the window
	slow.want("1 x\ngap 2-4 unavailable\n5 3\n6 4\n")
	if n := w.hub.Stats().Gaps; n != 2 {
		t.Errorf("%d gaps counted, want 2", n)
	}
}

func TestAGapBeginsAfterWhatTheClientHas(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 2}))
	w.place("a")
	w.many("a", 2)
	w.broker.Lose("a", 6)
	w.many("a", 3)
	c := w.place("a", after(w.epoch("a"), 5)) // it has them from another node
	w.many("a", 4)                            // the broker keeps 8 and 9
	c.want("gap 6-7 unavailable\n8 2\n9 3\n")
}

func TestWithoutRetentionALostEntryIsAGap(t *testing.T) {
	w := newWorld(t, keeping(rule.History{}))
	c := w.place("a")
	w.publish("a", "x")
	w.broker.Lose("a", 1)
	w.publish("a", "y")
	c.want("1 x\n")
	w.pass(time.Second)
	c.want("gap 2-2 unavailable\n")
	w.publish("a", "z")
	c.want("3 z\n")
}

func TestAnIncompletePageWithoutAHoleIsNoGap(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "x")
	w.broker.Lose("a", 1)
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Complete = false }
	w.publish("a", "y")
	w.pass(time.Second)
	c.want("1 x\n2 y\n")
	if n := w.hub.find("a").holes; n != 0 {
		t.Errorf("%d holes in the window", n)
	}
}

func TestALostBrokerIsReadWhenItIsBack(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "x")
	c.want("1 x\n")
	w.broker.Lose("a", 3)
	w.many("a", 3)
	w.broker.Fail(errors.New("gone"))
	w.hub.Gap("a")
	w.pass(time.Second)
	c.want("")
	w.broker.Fail(nil)
	w.pass(time.Second)
	c.wantOffsets([]uint64{2, 3, 4})
}

func TestARefusedCatchUpIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.refuse = true
	w.broker.Lose("a", 1)
	w.many("a", 2)
	c.want("")
	w.refuse = false
	w.pass(time.Second)
	c.wantOffsets([]uint64{1, 2})
}

func TestALaggingReplicaDoesNotHoldUpTheLog(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "x")
	stale := true
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) {
		if stale {
			p.Entries, p.Head = nil, 1
		}
	}
	w.pass(61 * time.Second) // quiet: heads are compared in 30 s
	w.broker.Lose("a", 1)
	w.many("a", 2)
	c.want("1 x\n")
	stale = false
	w.pass(time.Second)
	c.wantOffsets([]uint64{2, 3})
}

func TestPagesAreReadUntilTheHeadIsReached(t *testing.T) {
	w := newWorld(t)
	w.hub.pageEntries = 7
	c := w.place("a")
	w.broker.Lose("a", 50)
	all := w.many("a", 50)
	w.hub.Gap("a")
	c.wantOffsets(all)
}

func TestANewEpochEndsEveryCursor(t *testing.T) {
	for name, notice := range map[string]func(*world){
		"live":  func(w *world) { w.hub.Deliver("a", "other", &broker.Entry{Offset: 1}) },
		"heads": func(w *world) { w.pass(time.Second) },
		"gap":   func(w *world) { w.hub.Gap("a") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.many("a", 3)
			c, d := w.place("a"), w.place("a", onLoop(1))
			w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Epoch = "other" }
			w.broker.position = func(_ string, p *broker.Position) { p.Epoch = "other" }
			notice(w)
			w.settle()
			if c.ended != ErrEpochChanged || d.ended != ErrEpochChanged {
				t.Fatalf("ended with %v and %v", c.ended, d.ended)
			}
			if again := w.place("a"); again.placed.Epoch != "other" {
				t.Errorf("placed in epoch %q", again.placed.Epoch)
			}
			if n := w.broker.follows["a"]; n != 1 {
				t.Errorf("followed %d times, want once", n)
			}
		})
	}
}

func TestALowerHeadIsANewEpoch(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.many("a", 3)
	c.wantOffsets([]uint64{1, 2, 3})
	w.broker.position = func(_ string, p *broker.Position) { p.Offset = 1 }
	w.pass(time.Second)
	if c.ended != nil {
		t.Fatalf("ended with %v though a read shows the head", c.ended)
	}
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Entries, p.Head = nil, 1 }
	w.pass(time.Second)
	if c.ended != ErrEpochChanged {
		t.Errorf("ended with %v", c.ended)
	}
}

func TestAnEntryThatOvertakesTheHeadsIsNoNews(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "x")
	w.broker.position = func(string, *broker.Position) { w.publish("a", "y") }
	before := w.hub.Stats().Reads
	w.pass(time.Second)
	if n := w.hub.Stats().Reads - before; n != 0 {
		t.Errorf("%d reads for nothing", n)
	}
	c.want("1 x\n2 y\n")
}

func TestAnEntryOfAFormerEpochIsNotDelivered(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.publish("a", "x")
	w.hub.Deliver("a", "former", &broker.Entry{Offset: 2, Prev: 1, Payload: []byte("stray")})
	c.want("1 x\n")
	if c.ended != nil {
		t.Errorf("ended with %v", c.ended)
	}
}
