package hub

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// wantEmpty wants a hub that holds nothing.
func (w *world) wantEmpty() {
	w.Helper()
	if st := w.hub.Stats(); st.Channels != 0 || st.Cursors != 0 || st.WindowBytes != 0 || st.FrameBytes != 0 {
		w.Errorf("the hub holds %+v", st)
	}
	if n := len(w.broker.follows); n != 0 {
		w.Errorf("%d channels are followed", n)
	}
}

func TestAChannelLingersAndIsUnfollowed(t *testing.T) {
	w := newWorld(t, with(func(c *Config) { c.Linger = 10 * time.Second }))
	c := w.place("a")
	w.many("a", 3)
	if st := w.hub.Stats(); st.Channels != 1 || st.Cursors != 1 || w.broker.follows["a"] != 1 {
		t.Fatalf("%+v", st)
	}
	w.pass(time.Minute)
	c.Close()
	c.Close()
	w.pass(10 * time.Second)
	w.publish("a", "x")
	d := w.place("a", last(10))
	d.wantOffsets([]uint64{1, 2, 3, 4})
	if n := w.hub.Stats().Reads; n != 1 {
		t.Errorf("%d reads: the window did not linger", n)
	}
	d.Close()
	w.pass(11 * time.Second)
	w.wantEmpty()
	w.publish("a", "y")
	w.place("a", last(2)).wantOffsets([]uint64{4, 5})
}

func TestAChannelOpenedForNobodyGoes(t *testing.T) {
	w := newWorld(t, tasksByHand)
	c := w.subscribe("a")
	c.Close()
	w.settle()
	if c.done {
		t.Error("done was called for a closed cursor")
	}
	w.pass(time.Second)
	if n := w.hub.Stats().Channels; n != 1 {
		t.Errorf("%d channels: it does not linger", n)
	}
	w.pass(16 * time.Second)
	w.wantEmpty()
}

func TestALogThatHasJustDiedIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.place("a").Close()
	l := w.hub.find("a")
	l.mu.Lock()
	l.discard() // as Tick does, but for taking it out of its shard, which comes next
	l.mu.Unlock()
	c := w.place("a")
	w.publish("a", "x")
	c.want("1 x\n")
	w.hub.remove(l) // Tick comes to it
	if n := w.broker.follows["a"]; n != 1 || w.hub.find("a") == l {
		t.Errorf("followed %d times", n)
	}
}

func TestCloseWhileReading(t *testing.T) {
	w := newWorld(t, tasksByHand, window(2))
	w.hub.pageEntries = 2
	w.many("a", 10)
	w.place("a")
	c := w.subscribe("a", last(5))
	c.Close()
	w.settle()
	if c.done || w.hub.Stats().Cursors != 1 {
		t.Error("a cursor closed during the first read was placed")
	}
	d := w.place("a", after(w.epoch("a"), 1))
	for d.pull(1000, 1000) {
	}
	d.Close() // the next page is under way
	w.settle()
	if d.ended != nil || d.pull(1000, 1000) {
		t.Error("a closed cursor goes on")
	}
}

func TestCloseBetweenTakeAndSent(t *testing.T) {
	w := newWorld(t)
	c := w.place("a")
	w.many("a", 3)
	w.settle()
	sl := c.Take(&c.scratch, 1000)
	c.Close()
	if n, rest := c.Sent(&sl, 10); n != 2 || len(rest) != 6 {
		t.Errorf("%d entries, %d bytes rest: the frame that has begun has to end", n, len(rest))
	}
	if c.Placed() || c.Channel() != "" || c.pull(100, 100) {
		t.Error("the cursor is not closed")
	}
}

func TestManyFollowersComeAndGo(t *testing.T) {
	w := newWorld(t)
	var clients []*client
	for i := range 100 {
		clients = append(clients, w.place("a", onLoop(i%2), tagged(fmt.Sprint("e", i%4))))
	}
	for i := range clients {
		if i%3 == 0 {
			clients[i].Close()
		}
	}
	all := w.many("a", 3)
	for i, c := range clients {
		if i%3 != 0 {
			c.wantOffsets(all)
			c.Close()
		}
	}
	if log := w.hub.find("a"); len(log.groups) != 0 || len(log.sets) != 0 {
		t.Errorf("%d groups and %d sets are left", len(log.groups), len(log.sets))
	}
	w.place("a").wantOffsets(nil)
}

func TestClosingTheHubEndsAll(t *testing.T) {
	w := newWorld(t, tasksByHand)
	var clients []*client
	for i := range 2*closeStep + 10 {
		clients = append(clients, w.place(fmt.Sprint("c", i%3), onLoop(i%2)))
	}
	w.many("c0", 3)
	waiting := w.subscribe("other")
	w.hub.Close()
	w.settle()
	for _, c := range clients {
		if c.ended != ErrClosed || c.Placed() {
			t.Fatalf("ended with %v", c.ended)
		}
	}
	late := w.subscribe("c0")
	if waiting.err != ErrClosed || late.err != ErrClosed {
		t.Errorf("errors %v and %v", waiting.err, late.err)
	}
	w.wantEmpty()
}

func TestTakeOfALogThatHasJustDied(t *testing.T) {
	w := newWorld(t)
	near, far := w.place("a"), w.place("a")
	w.many("a", 3)
	w.settle()
	w.hub.cacheBytes = 1
	w.publish("a", "x")
	w.loops[0].run()
	w.hub.Close() // Ended is posted, but not there yet
	for _, c := range []*client{near, far} {
		for c.pull(1000, 1000) {
		}
	}
	w.settle()
	if near.ended != ErrClosed || far.ended != ErrClosed {
		t.Error("not ended")
	}
}

// closer closes other cursors when it is told something.
type closer struct {
	client
	others *[]*closer
}

func (c *closer) Send(*Cursor, *Slice) bool { return false }

func (c *closer) Due(*Cursor) {
	for _, o := range *c.others {
		if o != c {
			o.Close()
		}
	}
}

func (c *closer) Ended(_ *Cursor, err error) { c.Due(nil) }

func TestOwnersMayCloseOthersWhenTold(t *testing.T) {
	for _, end := range []bool{false, true} {
		w := newWorld(t)
		var all []*closer
		for range 10 {
			c := &closer{client: client{w: w}, others: &all}
			w.hub.Subscribe(Request{Channel: "a", Owner: c, Encoding: lines{"m"}}, &c.Cursor, func(Placed, error) {})
			w.settle()
			all = append(all, c)
		}
		if end {
			w.hub.Close()
		} else {
			w.publish("a", "x")
		}
		w.settle()
		if n, want := w.hub.Stats().Cursors, map[bool]int64{false: 1, true: 0}[end]; n != want {
			t.Errorf("end %v: %d cursors left, want %d", end, n, want)
		}
	}
}

func TestAWalkYieldsAndMissesNobody(t *testing.T) {
	const n = 2*walkStep + 100
	w := newWorld(t)
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = w.subscribe("a")
		w.loops[0].run()
	}
	w.publish("a", "x")
	loop := w.loops[0]
	loop.one()
	if clients[0].dues != 1 || clients[n-1].dues != 0 {
		t.Fatal("the first step does not end where it should")
	}
	for _, c := range clients[:50] { // the last ones take their places, which the walk has passed
		c.Close()
	}
	loop.run()
	for i, c := range clients[50:] {
		if c.dues != 1 {
			t.Fatalf("client %d was told %d times", i+50, c.dues)
		}
	}
	for _, c := range clients[50:] {
		c.wantOffsets([]uint64{1})
	}
	w.publish("a", "y")
	loop.one()
	passed := clients[slices.IndexFunc(clients, func(c *client) bool { return c.dues == 2 })]
	for passed.pull(100, 100) {
	}
	w.publish("a", "z") // while the walk is under way
	loop.run()
	if passed.dues != 3 {
		t.Errorf("whom the walk had passed was told %d times", passed.dues)
	}
	passed.wantOffsets([]uint64{2, 3})
	clients[n-1].wantOffsets([]uint64{2, 3})
}

// Whom a walk has passed may leave when nobody is left whom it has not.
func TestWhoHasBeenPassedLeavesBehindTheWalk(t *testing.T) {
	const n = walkStep + 2
	w := newWorld(t)
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = w.place("a")
	}
	w.publish("a", "x")
	w.loops[0].one() // a walk of which two are left
	for _, i := range []int{n - 1, n - 2, 0} {
		clients[i].Close()
	}
	w.settle()
	for _, c := range clients[1 : n-2] {
		c.wantOffsets([]uint64{1})
		c.Close()
	}
	if n := w.hub.Stats().Cursors; n != 0 {
		t.Errorf("%d cursors are left", n)
	}
}
