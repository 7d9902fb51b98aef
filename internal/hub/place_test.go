package hub

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// epoch is that of a channel.
func (w *world) epoch(channel string) string {
	w.Helper()
	return w.broker.at(w, channel).Epoch
}

func (w *world) head(channel string) uint64 {
	w.Helper()
	return w.broker.at(w, channel).Offset
}

func (s *shim) at(t tb, channel string) broker.Position {
	t.Helper()
	heads, err := s.Lossy.Heads(context.Background(), []string{channel})
	if err != nil {
		t.Fatalf("heads: %v", err)
	}
	return heads[0]
}

func TestLiveBeginsWithTheNextEntry(t *testing.T) {
	w := newWorld(t)
	w.many("a", 3)
	c := w.place("a")
	if want := (Placed{w.epoch("a"), 3, true}); c.placed != want {
		t.Errorf("placed %+v, want %+v", c.placed, want)
	}
	if c.Offset() != 3 || c.Channel() != "a" || !c.Placed() {
		t.Errorf("offset %d, channel %q", c.Offset(), c.Channel())
	}
	c.want("")
	w.publish("a", "x")
	c.want("4 x\n")
}

func TestLastBeginsWithTheNewest(t *testing.T) {
	for _, test := range []struct {
		name             string
		keep, window     int
		published, asked int
		want             []uint64
		reads            uint64 // besides the one that opens the log
	}{
		{"some", 10, 10, 5, 3, []uint64{3, 4, 5}, 0},
		{"none", 10, 10, 5, 0, nil, 0},
		{"less than none", 10, 10, 5, -1, nil, 0},
		{"more than there are", 10, 10, 3, 7, []uint64{1, 2, 3}, 0},
		{"more than are kept", 3, 10, 5, 7, []uint64{3, 4, 5}, 0},
		{"as many as the window", 10, 3, 5, 3, []uint64{3, 4, 5}, 0},
		{"more than the window", 10, 3, 5, 4, []uint64{2, 3, 4, 5}, 1},
		{"of nothing", 10, 10, 0, 5, nil, 0},
		{"without history", 0, 10, 5, 5, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, window(test.window), keeping(rule.History{Count: test.keep}))
			w.many("a", test.published)
			c := w.place("a", last(test.asked))
			c.wantOffsets(test.want)
			if n := w.hub.Stats().Reads - 1; n != test.reads {
				t.Errorf("%d further reads, want %d", n, test.reads)
			}
			w.publish("a", "x")
			c.wantOffsets([]uint64{uint64(test.published) + 1})
		})
	}
}

func TestTheWindowShowsNoMoreThanTheRuleRetains(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 2}))
	w.place("a")
	w.many("a", 5)
	w.place("a", last(5)).wantOffsets([]uint64{4, 5})
	w.place("a", from(Start{Kind: Since, Since: 1})).wantOffsets([]uint64{4, 5})
	w.place("a", after("other", 3)).wantOffsets([]uint64{4, 5})
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads, want one: the window holds all of it", n)
	}
}

func TestSinceBeginsAtATime(t *testing.T) {
	for _, entries := range []int{100, 3} { // in the window, and beyond it
		t.Run(fmt.Sprint("window of ", entries), func(t *testing.T) {
			w := newWorld(t, window(entries))
			w.hub.pageEntries = 2
			for range 8 {
				w.publish("a", "x")
				w.setClock(w.clock.Add(time.Second))
			}
			since := func(d time.Duration) asking { return from(Start{Kind: Since, Since: start.Add(d).UnixMilli()}) }
			w.place("a", since(-time.Hour)).wantOffsets([]uint64{1, 2, 3, 4, 5, 6, 7, 8})
			w.place("a", since(2*time.Second)).wantOffsets([]uint64{3, 4, 5, 6, 7, 8})
			w.place("a", since(2001*time.Millisecond)).wantOffsets([]uint64{4, 5, 6, 7, 8})
			w.place("a", since(7*time.Second)).wantOffsets([]uint64{8})
			w.place("a", since(time.Hour)).wantOffsets(nil)
		})
	}
}

func TestAPositionIsRecoveredOrNot(t *testing.T) {
	for _, test := range []struct {
		name      string
		keep      int
		published int // before the log is opened
		live      int // and after
		at        uint64
		foreign   bool
		recovered bool
		want      []uint64
	}{
		{"at the head", 10, 5, 0, 5, false, true, nil},
		{"before the head", 10, 5, 0, 3, false, true, []uint64{4, 5}},
		{"before the first", 10, 5, 0, 0, false, true, []uint64{1, 2, 3, 4, 5}},
		{"before the first of as many as are kept", 5, 5, 0, 0, false, true, []uint64{1, 2, 3, 4, 5}},
		{"in an empty channel", 10, 0, 0, 0, false, true, nil},
		{"just before what is kept", 3, 5, 0, 2, false, true, []uint64{3, 4, 5}},
		{"before what is kept", 3, 5, 0, 1, false, false, []uint64{3, 4, 5}},
		{"not kept, but in the window", 3, 5, 4, 2, false, true, []uint64{3, 4, 5, 6, 7, 8, 9}},
		{"before the window", 3, 5, 4, 1, false, false, []uint64{7, 8, 9}},
		{"without history at the head", 0, 5, 0, 5, false, true, nil},
		{"without history in the window", 0, 5, 3, 6, false, true, []uint64{7, 8}},
		{"without history before it", 0, 5, 3, 4, false, false, nil},
		{"in the future", 10, 5, 0, 6, false, false, []uint64{1, 2, 3, 4, 5}},
		{"of another epoch", 10, 5, 2, 3, true, false, []uint64{1, 2, 3, 4, 5, 6, 7}},
		{"of another epoch without history", 0, 5, 2, 3, true, false, nil},
		{"of another epoch in an empty channel", 10, 0, 0, 0, true, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, keeping(rule.History{Count: test.keep}))
			w.many("a", test.published)
			w.place("a")
			w.many("a", test.live)
			epoch := w.epoch("a")
			if test.foreign {
				epoch = "other"
			}
			c := w.place("a", after(epoch, test.at))
			head := uint64(test.published + test.live)
			if want := (Placed{w.epoch("a"), head, test.recovered}); c.placed != want {
				t.Errorf("placed %+v, want %+v", c.placed, want)
			}
			c.wantOffsets(test.want)
			w.publish("a", "x")
			c.wantOffsets([]uint64{head + 1})
			if st := w.hub.Stats(); st.Recovered+st.Unrecovered != 1 || (st.Recovered == 1) != test.recovered {
				t.Errorf("counted %+v", st)
			}
		})
	}
}

func TestAPositionWithoutAnEpochIsNotRecovered(t *testing.T) {
	w := newWorld(t, window(2))
	w.many("a", 5)
	c := w.place("a", after("", 3))
	if c.placed.Recovered {
		t.Error("recovered")
	}
	c.wantOffsets([]uint64{1, 2, 3, 4, 5})
}

func TestAPositionBeforeScatteredOffsetsIsRecovered(t *testing.T) {
	w := newWorld(t, scattered)
	w.place("a")
	all := w.many("a", 4)
	for i := range all {
		c := w.place("a", after(w.epoch("a"), all[i]-1))
		if !c.placed.Recovered || c.Offset() != all[i]-1 {
			t.Errorf("from just before entry %d: recovered %v, at %d", i, c.placed.Recovered, c.Offset())
		}
		c.wantOffsets(all[i:])
	}
	c := w.place("a", after(w.epoch("a"), 0))
	if !c.placed.Recovered {
		t.Error("not recovered from the beginning")
	}
	c.wantOffsets(all)
}

func TestAFullPageMayHoldTheFirstEntryEver(t *testing.T) {
	w := newWorld(t, scattered, keeping(rule.History{Count: 4}))
	all := w.many("a", 4)
	c := w.place("a", after(w.epoch("a"), 0))
	if !c.placed.Recovered {
		t.Error("not recovered from the beginning")
	}
	c.wantOffsets(all)
}

func TestAHeadBeyondTheLastEntryIsAPosition(t *testing.T) {
	w := newWorld(t)
	w.many("a", 3)
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Head = 5 }
	if c := w.place("a", after(w.epoch("a"), 5)); c.placed.Offset != 5 || !c.placed.Recovered {
		t.Errorf("placed %+v", c.placed)
	}
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads", n)
	}
}

func TestWhatIsRetainedIsNotCountedAcrossAHole(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 10, Bytes: 2 * 130}))
	w.place("a")
	w.publish("a", "x")
	w.broker.Lose("a", 4)
	w.many("a", 5)
	w.place("a", last(10)).wantOffsets([]uint64{5, 6})
	w.place("a", from(Start{Kind: Since, Since: 1})).wantOffsets([]uint64{5, 6})
}

func TestAPositionOlderThanTheWindowIsReadInPages(t *testing.T) {
	w := newWorld(t, window(5))
	w.hub.pageEntries = 4
	all := w.many("a", 30)
	c := w.place("a", after(w.epoch("a"), 2))
	if !c.placed.Recovered {
		t.Error("not recovered")
	}
	all = append(all, w.many("a", 3)...)
	c.wantOffsets(all[2:])
	c.wantOffsets(w.many("a", 3))
}

func TestAPositionAheadOfThisNodeIsAskedOfTheBroker(t *testing.T) {
	w := newWorld(t)
	other := w.place("a")
	w.publish("a", "x")
	w.pass(61 * time.Second) // quiet: heads are compared in 30 s
	w.broker.Lose("a", 2)
	w.many("a", 2) // the client has them from another node
	c := w.place("a", after(w.epoch("a"), 3))
	if !c.placed.Recovered || c.placed.Offset != 3 {
		t.Errorf("placed %+v", c.placed)
	}
	other.wantOffsets([]uint64{1})
	w.pass(time.Second)
	other.wantOffsets([]uint64{2, 3}) // now that this node knows of them
	c.want("")
	w.publish("a", "y")
	c.wantOffsets([]uint64{4})
}

func TestAPageAheadOfThisNodeBringsNothingTwice(t *testing.T) {
	for _, s := range []Start{{Kind: Last, Last: 5}, {Kind: Since, Since: 1}, {Kind: Position}, {Kind: State}} {
		w := newWorld(t, window(2))
		w.put("a", broker.Entry{Key: "k1"})
		w.put("a", broker.Entry{Key: "k2"})
		w.put("a", broker.Entry{Key: "k3"})
		all := []uint64{1, 2, 3, 4, 5}
		w.place("a")
		w.broker.Lose("a", 2)
		w.put("a", broker.Entry{Key: "k4"})
		w.put("a", broker.Entry{Key: "k5"})
		s.Position.Epoch = w.epoch("a")
		c := w.place("a", from(s))
		if c.placed.Offset != 5 {
			t.Errorf("%+v: placed at %d, want the broker's head", s, c.placed.Offset)
		}
		slow, late := w.place("a", from(s)), w.place("a", from(s))
		c.wantOffsets(all)
		late.wantOffsets(all)
		w.pass(time.Second) // the log finds what it lost
		c.want("")
		slow.wantOffsets(all)
		w.pass(10 * time.Second) // the frames are gone
		late.want("")
		c.wantOffsets([]uint64{w.put("a", broker.Entry{})})
	}
}

func TestRecoveredIsFalseWhereTheWindowHasAHole(t *testing.T) {
	w := newWorld(t, keeping(rule.History{Count: 2}))
	w.place("a")
	w.publish("a", "x")
	w.broker.Lose("a", 4)
	w.many("a", 5)
	w.settle()
	c := w.place("a", after(w.epoch("a"), 1))
	if c.placed.Recovered {
		t.Error("recovered over a hole")
	}
	c.wantOffsets([]uint64{5, 6})
	c = w.place("a", after(w.epoch("a"), 5))
	if !c.placed.Recovered {
		t.Error("not recovered after the hole")
	}
	c.wantOffsets([]uint64{6})
	w.place("a", last(3)).wantOffsets([]uint64{5, 6})
}

func TestStateThenTheLog(t *testing.T) {
	w := newWorld(t, window(2))
	w.hub.pageEntries = 2
	set := func(key, value string) {
		w.put("a", broker.Entry{Key: key, Payload: []byte(value), Format: broker.Text})
	}
	for i, key := range []string{"a", "b", "c", "d", "a", "e"} {
		set(key, fmt.Sprint(key, i))
	}
	c := w.place("a", from(Start{Kind: State}))
	if c.placed.Offset != 6 {
		t.Errorf("placed at %d", c.placed.Offset)
	}
	if !c.pull(1, 100) { // 2 b1
		t.Fatal("nothing due")
	}
	set("b", "newer") // what the pages to come hold changes
	set("b", "newest")
	set("e", "new")
	w.put("a", broker.Entry{Key: "d", Op: broker.Delete})
	w.settle()
	c.want("2 b1\n3 c2\n5 a4\n8 newest\n9 new\n10 \n") // d and e are no more what they were
	set("f", "x")
	c.want("11 x\n")
}

// A value of a key is for everybody, whoever wrote last to it: a client that comes back to the state would else miss the keys
// that it wrote without echo.
func TestStateHoldsOnesOwn(t *testing.T) {
	w := newWorld(t)
	own := broker.Entry{Key: "k", Payload: []byte("own"), Format: broker.Text, From: &broker.Member{Session: "me"}, NoEcho: true}
	w.put("a", own)
	c := &client{w: w, name: "me"}
	w.join(c, "a", from(Start{Kind: State}))
	w.settle()
	c.want("1 own\n")
	w.put("a", own)
	w.settle()
	c.want("")
}

func TestStateOfNothing(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", from(Start{Kind: State}))
	c.want("")
	w.publish("a", "x")
	c.want("1 x\n")
}

// stateless hides what a broker can do besides.
type stateless struct{ broker.Broker }

func TestStateNeedsABrokerThatKeepsIt(t *testing.T) {
	w := newWorld(t)
	w.hub.cfg.Broker = stateless{w.broker}
	c := w.subscribe("a", from(Start{Kind: State}))
	w.settle()
	if c.err != ErrNoState {
		t.Errorf("error %v", c.err)
	}
}

func TestManyPlacedFromOneWindowAskTheBrokerOnce(t *testing.T) {
	w := newWorld(t, tasksByHand)
	w.many("a", 50)
	epoch := w.epoch("a")
	var clients []*client
	for i := range 100 {
		clients = append(clients, w.subscribe("a", after(epoch, uint64(i%50)), onLoop(i%2)))
	}
	w.settle()
	for i, c := range clients {
		if got := len(offsets(c.read())); got != 50-i%50 || !c.placed.Recovered {
			t.Fatalf("client %d got %d entries, recovered %v", i, got, c.placed.Recovered)
		}
	}
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads", n)
	}
}

func TestManyTooOldForAFullWindowAskNobody(t *testing.T) {
	w := newWorld(t, window(5), keeping(rule.History{Count: 3}))
	w.many("a", 3)
	w.place("a")
	w.many("a", 10)
	for at := range uint64(8) {
		if c := w.place("a", after(w.epoch("a"), at)); c.placed.Recovered {
			t.Errorf("recovered from %d", at)
		}
	}
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads", n)
	}
}

func TestAFailedReadFailsTheSubscription(t *testing.T) {
	gone := errors.New("gone")
	w := newWorld(t, window(2))
	w.broker.Fail(gone)
	c := w.subscribe("a")
	w.settle()
	if c.err != gone || c.Placed() || w.hub.Stats().Channels != 0 {
		t.Errorf("error %v, %d channels", c.err, w.hub.Stats().Channels)
	}
	w.broker.Fail(nil)
	w.many("a", 10)
	w.place("a")
	w.broker.Fail(gone)
	c = w.subscribe("a", last(5))
	w.settle()
	if c.err != gone {
		t.Errorf("error %v of a further read", c.err)
	}
}

func TestTooManyTasksIsBusy(t *testing.T) {
	w := newWorld(t, window(2))
	w.refuse = true
	c := w.subscribe("a")
	w.settle()
	if c.err != ErrBusy {
		t.Errorf("error %v when the log cannot be opened", c.err)
	}
	w.refuse = false
	w.hub.pageEntries = 2
	w.many("a", 10)
	w.place("a")
	reading := w.place("a", last(8))
	w.refuse = true
	if c = w.subscribe("a", last(5)); c.err != ErrBusy {
		t.Errorf("error %v when the window does not hold it", c.err)
	}
	reading.wantOffsets([]uint64{3, 4, 5, 6, 7, 8, 9, 10})
	w.refuse = false
	paging := w.place("a", after(w.epoch("a"), 1))
	w.refuse = true
	got := paging.read()
	w.wait(time.Second)
	w.refuse = false
	w.wait(time.Second)
	if got += paging.read(); len(offsets(got)) != 9 {
		t.Errorf("got\n%s\nafter a page could not be read at once", got)
	}
}

func TestAChannelHasOnlySoManyFilters(t *testing.T) {
	w := newWorld(t, window(2))
	w.many("a", 5)
	var clients []*client
	for i := range mostFilters {
		clients = append(clients, w.place("a", tagged(fmt.Sprint(i))))
	}
	for _, start := range []asking{last(0), last(5)} { // from the window, and from a page
		c := w.subscribe("a", tagged("another"), start)
		w.settle()
		if c.err != ErrFilters || c.Placed() {
			t.Errorf("error %v", c.err)
		}
		w.place("a", tagged("7"), start)
		w.place("a", tagged("m"), start) // which does not filter
	}
	w.place("b", tagged("another"))
	clients[0].Close()
	w.place("a", tagged("another"))
}

func TestAPageOfANewEpochStartsTheLogAnew(t *testing.T) {
	w := newWorld(t, window(2))
	w.many("a", 5)
	old := w.place("a")
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Epoch = "new" }
	c := w.place("a", last(5))
	if c.placed.Epoch != "new" || old.ended != ErrEpochChanged {
		t.Errorf("placed in %q, the other ended with %v", c.placed.Epoch, old.ended)
	}
	n := 0
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { n++; p.Epoch = fmt.Sprint(n) }
	c = w.subscribe("a", last(5))
	w.settle()
	if c.err != ErrEpochChanged {
		t.Errorf("error %v from a broker whose epoch never stays", c.err)
	}
}

func TestAnEpochThatChangesBetweenPagesEndsTheCursor(t *testing.T) {
	w := newWorld(t, window(2))
	w.hub.pageEntries = 2
	w.many("a", 10)
	c := w.place("a", after(w.epoch("a"), 1))
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) { p.Epoch = "new" }
	c.read()
	w.settle()
	if c.ended != ErrEpochChanged || c.Placed() {
		t.Errorf("ended with %v", c.ended)
	}
}

func TestWhatIsRemovedBetweenPagesIsAGap(t *testing.T) {
	w := newWorld(t, window(2), keeping(rule.History{Count: 10}))
	w.hub.pageEntries = 2
	w.many("a", 10)
	c := w.place("a", after(w.epoch("a"), 2))
	c.pull(1000, 1000) // 3 and 4 come from the first page
	w.many("a", 8)     // 9 is the oldest that is left
	c.want("3 2\n4 3\ngap 5-8 unavailable\n9 8\n10 9\n11 0\n12 1\n13 2\n14 3\n15 4\n16 5\n17 6\n18 7\n")
}

func TestABrokerThatKnowsLessThanTheWindowIsToldAsAGap(t *testing.T) {
	w := newWorld(t, window(2))
	w.hub.pageEntries = 2
	w.many("a", 10)
	c := w.place("a", after(w.epoch("a"), 2))
	w.broker.page = func(_ string, _ broker.Query, p *broker.Page) {
		p.Entries, p.Head, p.More, p.Complete = nil, 4, false, true
	}
	c.want("3 2\n4 3\ngap 5-8 slow_consumer\n9 8\n10 9\n")
}
