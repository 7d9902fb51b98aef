package hub

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

func ruled(o rule.Overflow) asking { return func(r *Request) { r.Overflow, r.Rule = o, "a:*" } }

func bound(bytes int64, age time.Duration) asking {
	return func(r *Request) { r.LagBytes, r.LagAge = bytes, age }
}

// left has a follower fall behind a window of 3: the first 2 of 9 entries have been sent.
func fallBehind(t *testing.T, as ...asking) (*world, *client) {
	t.Helper()
	w := newWorld(t, window(3))
	w.hub.cacheBytes = 10
	c := w.place("a", as...)
	w.many("a", 2)
	c.wantOffsets([]uint64{1, 2})
	w.many("a", 7)
	w.settle()
	return w, c
}

func (w *world) wantActions(want Overflows) {
	w.Helper()
	if got := w.hub.Stats().Overflows["a:*"]; got != want {
		w.Errorf("actions %+v, want %+v", got, want)
	}
}

func TestAFollowerIsRefilledFromTheBroker(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowRefill))
	w.hub.pageEntries = 2
	c.wantOffsets([]uint64{3, 4, 5, 6, 7, 8, 9})
	if c.behind != nil {
		t.Error("not back in the window")
	}
	w.wantActions(Overflows{Refill: 1})
	reads := w.hub.Stats().Reads
	c.wantOffsets(w.many("a", 2))
	if n := w.hub.Stats().Reads; n != reads {
		t.Errorf("%d reads for what is in the window", n-reads)
	}
}

func TestNothingIsReadForWhoDoesNotTakeIt(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowRefill))
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads before the socket drains", n)
	}
	c.pull(1000, 1000) // asks for a page
	w.settle()
	c.pull(1, 1) // takes one entry, and no more
	if n := w.hub.refills.Load(); n != 1 || len(c.behind.entries) == 0 {
		t.Errorf("%d pages, %d entries", n, len(c.behind.entries))
	}
	for range 3 {
		w.pass(time.Second)
	}
	if n := w.hub.refills.Load(); n != 0 || c.behind.entries != nil {
		t.Errorf("%d pages, %d entries are held for a client that does not read", n, len(c.behind.entries))
	}
	if got := fmt.Sprint(offsets(c.read())); got != "[3 4 5 6 7 8 9]" {
		t.Errorf("then got %s", got)
	}
}

func TestARefilledFollowerIsToldWhatRetentionHasDropped(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowRefill))
	w.keep.Count = 5
	w.publish("a", "x")
	w.settle()
	c.want("gap 3-5 slow_consumer\n6 3\n7 4\n8 5\n9 6\n10 x\n")
	w.wantActions(Overflows{Refill: 1, Gap: 1})
}

func TestARefillThatCannotBeReadIsTriedAgain(t *testing.T) {
	for name, broken := range map[string]func(w *world, on bool){
		"no task": func(w *world, on bool) { w.refuse = on },
		"no room": func(w *world, on bool) { w.hub.refills.Store(map[bool]int64{true: boundedPages}[on]) },
		"no broker": func(w *world, on bool) {
			w.broker.Fail(map[bool]error{true: errors.New("down")}[on])
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := fallBehind(t, ruled(rule.OverflowRefill))
			broken(w, true)
			if got := c.read(); got != "" {
				t.Errorf("got %q", got)
			}
			w.wait(time.Second)
			broken(w, false)
			w.wait(time.Second)
			c.wantOffsets([]uint64{3, 4, 5, 6, 7, 8, 9})
			if n := w.hub.refills.Load(); n != 0 {
				t.Errorf("%d pages are held", n)
			}
		})
	}
}

func TestAClosedFollowerGivesBackItsPage(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowRefill))
	c.pull(1000, 1000)
	w.settle()
	c.Close()
	if n := w.hub.refills.Load(); n != 0 {
		t.Errorf("%d pages are held", n)
	}
}

func TestLatestOfAStreamIsTheNewestEntry(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowLatest))
	c.want("9 6\n")
	if c.passed != 1 {
		t.Errorf("passed told %d times", c.passed)
	}
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads", n)
	}
	w.wantActions(Overflows{Latest: 1})
	c.wantOffsets(w.many("a", 1))
}

// What the window holds is not for this follower, and what it has let go of is not known any more.
func TestLatestOfAStreamMayBeUnknown(t *testing.T) {
	w := newWorld(t, window(2))
	w.hub.cacheBytes = 10
	c := &client{w: w, name: "me"}
	w.join(c, "a", ruled(rule.OverflowLatest))
	w.settle()
	w.many("a", 3)
	w.publish("a", "", "me")
	w.publish("a", "", "me")
	c.want("gap 1-3 without_key\n")
	if c.told != 5 {
		t.Errorf("told up to %d", c.told)
	}
	w.wantActions(Overflows{Latest: 1})
	c.wantOffsets(w.many("a", 1))
}

// keyed appends entries given as "key=value", "key+value" and "key-", or "=value" without a key.
func (w *world) keyed(channel string, entries ...string) {
	w.Helper()
	for _, s := range entries {
		i := strings.IndexAny(s, "=+-")
		op := map[byte]broker.Op{'=': broker.Set, '+': broker.Append, '-': broker.Delete}[s[i]]
		w.put(channel, broker.Entry{Key: s[:i], Op: op, Format: broker.Text, Payload: []byte(s[i+1:])})
	}
}

func TestLatestOfAKeyedLogIsWhatHasChanged(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cacheBytes, w.hub.pageEntries = 10, 2
	w.keyed("a", "old=1", "b=1", "c=1")
	c := w.place("a", ruled(rule.OverflowLatest), from(Start{Kind: State}))
	c.want("1 1\n2 1\n3 1\n")
	w.keyed("a", "b=2", "b+3", "=x", "c-", "=y", "d=1", "d=2", "b+4")
	c.want("7 \n8 y\n10 2\n11 234\n")
	w.keyed("a", "b+5")
	c.want("12 5\n")
	w.wantActions(Overflows{Latest: 1})
}

// A client that was on its way through what has changed may have a part of that up to its position: the value of b came later.
func TestWhoComesBackToTheLatestGetsWholeValues(t *testing.T) {
	for _, reach := range []int{1, 4} {
		w := newWorld(t, window(reach))
		w.keyed("a", "b=1", "a=1", "b+2", "=x")
		w.place("a") // opens the window
		back := func(to uint64, o rule.Overflow, want string) {
			t.Helper()
			c := w.place("a", ruled(o), after(w.epoch("a"), to))
			if c.want(want); !c.placed.Recovered {
				t.Error("not recovered")
			}
		}
		back(2, rule.OverflowLatest, "3 12\n4 x\n")
		back(2, rule.OverflowGap, "3 2\n4 x\n")
		back(0, rule.OverflowLatest, "1 1\n2 1\n3 2\n4 x\n") // has all of it before it
	}
}

func TestWhereDeletesAreForgottenTheWholeStateFollows(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cacheBytes = 10
	w.keyed("a", "a=1", "b=1", "c=1")
	c := w.place("a", ruled(rule.OverflowLatest))
	w.keyed("a", "d=1", "d=2", "d=3", "c-", "d=4")
	w.broker.forgotten = true
	c.want("gap 4-8 state\n1 1\n2 1\n8 4\n")
	w.keyed("a", "d=5")
	c.want("9 5\n")
}

func TestLatestWithoutAStateIsAGap(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cfg.Broker = stateless{w.broker}
	w.hub.cacheBytes = 10
	c := w.place("a", ruled(rule.OverflowLatest))
	w.keyed("a", "d=1", "d=2", "d=3", "d=4")
	c.want("gap 1-1 slow_consumer\n2 2\n3 3\n4 4\n")
	w.wantActions(Overflows{Gap: 1})
}

// An entry without a key that this node has not got yet may be the newest: then what it has got is not the end.
func TestLatestWaitsForWhatThisNodeHasNotGot(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cacheBytes = 10
	c := w.place("a", ruled(rule.OverflowLatest))
	w.keyed("a", "d=1", "=x", "d=3", "d=4", "d=5")
	w.broker.Lose("a", 2)
	w.keyed("a", "=lost", "d=6")
	if got := c.read(); got != "" {
		t.Errorf("got %q", got)
	}
	w.pass(time.Second)
	w.wait(time.Second)
	c.want("6 lost\n7 6\n")
}

func TestOverflowIsToldToWhoDoesNotAsk(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowDisconnect))
	w.pass(time.Second)
	if !c.over {
		t.Error("a follower that asks for nothing is not disconnected")
	}
	w.wantActions(Overflows{Disconnect: 1})
}

func TestADisconnectionThatTakesLongCountsOnce(t *testing.T) {
	w, c := fallBehind(t, ruled(rule.OverflowDisconnect))
	for range 3 { // its socket does not drain
		w.pass(time.Second)
	}
	if sl := c.Take(&c.scratch, 1); !sl.Overflow {
		t.Error("a follower that asks is not told")
	}
	w.wantActions(Overflows{Disconnect: 1})
}

func TestLagIsBoundedInBytes(t *testing.T) {
	size := (&broker.Entry{Payload: []byte("0")}).Size()
	for _, cache := range []int{10, 1 << 20} {
		w := newWorld(t)
		w.hub.cacheBytes = cache
		c := w.place("a", bound(4*size, 0), ruled(rule.OverflowGap))
		for i := range 9 {
			w.publish("a", fmt.Sprint(i))
			w.settle()
		}
		w.place("a", last(9)).wantOffsets([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9})
		c.want("gap 1-7 slow_consumer\n8 7\n9 8\n")
		w.wantActions(Overflows{Gap: 1})
		c.wantOffsets(w.many("a", 9)) // a burst leaves nobody behind
	}
}

func TestLagIsBoundedInAge(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", bound(0, 3*time.Second), ruled(rule.OverflowLatest))
	for i := range 5 {
		w.publish("a", fmt.Sprint(i))
		w.pass(time.Second)
	}
	c.want("5 4\n")
	w.publish("a", "x")
	w.pass(2 * time.Second)
	c.want("6 x\n")
}

func TestWhoLagsIsDisconnected(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", bound(0, 3*time.Second), ruled(rule.OverflowDisconnect))
	d := w.place("a", bound(0, 10*time.Second), ruled(rule.OverflowDisconnect))
	w.many("a", 2)
	w.pass(3 * time.Second)
	if c.over {
		t.Error("disconnected within the bound")
	}
	w.pass(time.Second)
	if !c.over || d.over {
		t.Errorf("disconnected: %v and %v", c.over, d.over)
	}
}

// TestWhatWasThereBeforeIsNoLag has a follower ask for more than it may be behind: it gets that, and is bounded from then on.
func TestWhatWasThereBeforeIsNoLag(t *testing.T) {
	size := (&broker.Entry{Payload: []byte("0")}).Size()
	for name, terms := range map[string]asking{"bytes": bound(2*size, 0), "age": bound(0, 3*time.Second)} {
		for _, cache := range []int{10, 1 << 20} {
			t.Run(fmt.Sprint(name, cache), func(t *testing.T) {
				w := newWorld(t)
				w.hub.cacheBytes = cache
				w.place("a") // keeps the window
				all := w.many("a", 5)
				w.pass(time.Minute)
				c := w.place("a", terms, ruled(rule.OverflowDisconnect), last(5))
				w.pass(time.Second)
				c.wantOffsets(all)
				for i := range 9 {
					w.publish("a", fmt.Sprint(i))
					w.settle()
				}
				w.pass(4 * time.Second)
				if !c.over {
					t.Error("not bounded by what has come since")
				}
			})
		}
	}
}

// TestWhoIsTheFirstOnItsLoopMayCatchUp has a loop know of a log since a follower asked for more than it may be behind.
func TestWhoIsTheFirstOnItsLoopMayCatchUp(t *testing.T) {
	w := newWorld(t)
	w.place("a") // keeps the window
	all := w.many("a", 5)
	w.pass(time.Minute)
	c := w.place("a", bound(0, 3*time.Second), ruled(rule.OverflowDisconnect), last(5), onLoop(1))
	c.pull(1, 1000) // the first of them
	w.pass(time.Second)
	all = append(all, w.many("a", 1)...)
	w.pass(time.Second)
	if c.over {
		t.Error("disconnected for what was there before it came")
	}
	c.wantOffsets(all)
}

func TestARefilledFollowerMayLag(t *testing.T) {
	w := newWorld(t)
	c := w.place("a", bound(1, time.Millisecond), ruled(rule.OverflowRefill))
	all := w.many("a", 9)
	w.pass(time.Minute)
	c.wantOffsets(all)
}

// TestManyWhoStopReading is the bound of the issue: they cost no more than their cursors.
func TestManyWhoStopReading(t *testing.T) {
	w := newWorld(t, window(3))
	w.hub.cacheBytes = 10
	clients := make([]*client, boundedPages+20)
	for i := range clients {
		clients[i] = w.place("a", ruled(rule.OverflowRefill))
	}
	all := w.many("a", 9)
	w.settle()
	for _, c := range clients {
		c.pull(1000, 1000)
	}
	w.settle()
	if n := w.hub.refills.Load(); n != boundedPages {
		t.Errorf("%d pages are held", n)
	}
	for range 3 {
		w.pass(time.Second)
	}
	for i := range 3 { // the pages that nobody takes are given up, and others read
		for _, c := range clients[boundedPages:] {
			c.pull(1000, 1000)
		}
		if w.pass(time.Second); i == 2 {
			for _, c := range clients[boundedPages:] {
				if got := offsets(c.read()); fmt.Sprint(got) != fmt.Sprint(all) {
					t.Fatalf("got %v", got)
				}
			}
		}
	}
}
