package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
)

// startCluster is newCluster with nodes that know of each other.
func startCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	c := newCluster(t, nodes, func(*Config) {})
	for _, w := range c.nodes {
		w.node.Start()
	}
	c.settle()
	return c
}

// wantLeave takes what has been told: exactly these have left, in any order.
func (w *watcher) wantLeave(names ...string) {
	w.w.t.Helper()
	w.w.cluster.pass(2 * presenceGather)
	var want []string
	for _, name := range names {
		want = append(want, "leave "+name)
	}
	w.told = nil
	w.read()
	slices.Sort(want)
	slices.Sort(w.told)
	if !slices.Equal(w.told, want) {
		w.w.t.Errorf("told %q, want %q", w.told, want)
	}
}

// keys are those of the log of nodes, but for what it says of searches.
func (c *cluster) keys(t *testing.T) (keys []string) {
	t.Helper()
	page, err := c.shared.State(context.Background(), nodesLog, broker.StateQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries {
		kind, _, _ := strings.Cut(e.Key, ".") // without what is random
		if kind == searchKey || kind == searchedKey {
			continue
		}
		keys = append(keys, kind)
	}
	slices.Sort(keys)
	return keys
}

func TestMembersOfADeadNodeAreWrittenOff(t *testing.T) {
	c := startCluster(t, 3)
	watchers := []*watcher{c.nodes[1].watch("room"), c.nodes[2].watch("room")}
	var names []string
	for i := range 5 {
		a := c.nodes[0].as(i%2, fmt.Sprint("a", i), "")
		a.subscribe("room", member)
		if i == 4 {
			a.Closed(1006, "") // waits for its client when the node dies
		}
		names = append(names, a.Name())
	}
	stays := c.nodes[1].as(0, "b", "")
	stays.subscribe("room", member)
	c.pass(20 * time.Second)
	if c.nodes[0].node.alone.Load() {
		t.Error("three nodes, and one believes that it is alone")
	}
	other := c.nodes[0].as(0, "a5", "")
	other.subscribe("elsewhere", member)
	for _, w := range watchers {
		w.read() // who is there, and that a4 has left
	}
	c.nodes[0].of().kill()
	c.pass(5 * time.Second)
	back := c.nodes[2].as(0, "a0", "")
	back.subscribe("room", member)
	c.pass(5 * time.Second)
	for _, w := range watchers {
		w.wantTold()
	}
	c.pass(20 * time.Second)
	for _, w := range watchers {
		w.wantLeave(names[1], names[2], names[3])
	}
	c.pass(3 * time.Minute)
	for _, w := range watchers {
		w.wantTold()
	}
	if n, m := c.nodes[1].members("room"), c.nodes[1].members("elsewhere"); n != 2 || m != 0 {
		t.Errorf("%d and %d members are left", n, m)
	}
	won := 0
	for _, w := range c.nodes[1:] {
		won += strings.Count(w.log.String(), "are written off")
	}
	if won != 1 {
		t.Errorf("%d nodes wrote the leaves", won)
	}
	if got, want := c.keys(t), []string{"lease:b", "lease:c", "node:b", "node:c"}; !slices.Equal(got, want) {
		t.Errorf("the log of nodes holds %v, want %v", got, want)
	}
}

// TestANodeThatWasAwayWritesItsMembersAgain has a node sleep for longer than its lease.
func TestANodeThatWasAwayWritesItsMembersAgain(t *testing.T) {
	c := startCluster(t, 2)
	w := c.nodes[1].watch("room")
	a, b := c.nodes[0].as(0, "a", `,"info":1`), c.nodes[0].as(1, "b", "")
	a.subscribe("room", member)
	b.subscribe("room", member)
	c.pass(10 * time.Second)
	w.read()
	c.nodes[0].of().asleep = true
	c.pass(time.Minute)
	w.wantLeave(a.Name(), b.Name())
	c.nodes[0].of().asleep = false
	c.nodes[0].set(c.now)
	c.pass(3 * time.Minute)
	w.read()
	if len(w.here) != 2 || w.here[a.Name()] != "1" || c.nodes[1].members("room") != 2 {
		t.Errorf("the watcher knows %v, told %v", w.here, w.told)
	}
	if got, want := c.keys(t), []string{"lease:a", "lease:b", "node:a", "node:b"}; !slices.Equal(got, want) {
		t.Errorf("the log of nodes holds %v, want %v", got, want)
	}
	a.Closed(1000, "")
	b.Closed(1000, "")
	c.pass(time.Second)
	w.read()
	if len(w.here) != 0 || c.nodes[1].members("room") != 0 {
		t.Errorf("the watcher still knows %v", w.here)
	}
}

// TestALateNodeLives has a node whose renewals fail for a while, and the broker with them.
func TestALateNodeLives(t *testing.T) {
	c := startCluster(t, 2)
	w := c.nodes[1].watch("room")
	a := c.nodes[0].as(0, "a", "")
	a.subscribe("room", member)
	c.pass(10 * time.Second)
	w.read()
	for _, n := range c.nodes {
		n.of().fault = func(*broker.Entry) fault { return loses }
	}
	c.pass(14 * time.Second)
	for _, n := range c.nodes {
		n.of().fault = func(*broker.Entry) fault { return lies }
	}
	c.pass(20 * time.Second)
	for _, n := range c.nodes {
		n.of().fault = nil
	}
	c.pass(time.Minute)
	w.wantTold()
	if n := w.w.members("room"); n != 1 {
		t.Errorf("%d members", n)
	}
}

// TestWritingOffIsTakenOver has the node that writes the leaves fail half way, and die.
func TestWritingOffIsTakenOver(t *testing.T) {
	c := startCluster(t, 3)
	w := c.nodes[2].watch("room")
	var names []string
	for i := range 6 {
		a := c.nodes[0].as(i%2, fmt.Sprint("a", i), "")
		a.subscribe("room", member)
		names = append(names, a.Name())
	}
	c.pass(10 * time.Second)
	w.read()
	c.nodes[0].of().kill()
	writer, left := c.nodes[1].of(), 0 // the first who looks
	writer.fault = func(e *broker.Entry) fault {
		if e.Op == broker.Delete && e.From != nil {
			if left++; left > 3 {
				return loses
			}
		}
		return works
	}
	c.pass(30 * time.Second)
	if n := w.w.members("room"); n != 3 {
		t.Fatalf("%d members are left after the first tries, want 3", n)
	}
	writer.kill()
	c.pass(2 * time.Minute)
	w.wantLeave(names...)
	if n := w.w.members("room"); n != 0 {
		t.Errorf("%d members are left", n)
	}
}

// TestWhoComesBackForAnotherLifeIsNotWrittenOff has a node lose its lease while the client of a member is away.
func TestWhoComesBackForAnotherLifeIsNotWrittenOff(t *testing.T) {
	c := startCluster(t, 1)
	n := c.nodes[0]
	w := n.watch("room")
	a := n.as(0, "a", "")
	a.subscribe("room", member)
	c.pass(4 * time.Second)
	w.read()
	a.Closed(1006, "")
	e := broker.Entry{Key: leaseKey + n.node.life(), Op: broker.Delete}
	c.shared.Publish(nodesLog, e, retention(nodesKeep), func(broker.Receipt, error) {})
	var late []func()
	n.of().later = func(fn func()) { late = append(late, fn) }
	n.of().fault = func(e *broker.Entry) fault {
		if strings.HasPrefix(e.Key, leaseKey) {
			return delays // until the node has looked who else lives
		}
		return works
	}
	c.pass(1200 * time.Millisecond)
	n.of().fault = nil
	life := n.node.life()
	for _, fn := range late {
		fn()
	}
	c.settle()
	if n.node.life() == life {
		t.Fatal("the node goes on with the life whose lease has ended")
	}
	again := n.as(1, "a", "")
	again.subscribe("room", member)
	c.pass(3 * time.Minute)
	w.wantTold()
	if m := n.members("room"); m != 1 {
		t.Errorf("%d members", m)
	}
}

// startUnknown starts two nodes, of which the first is not known to the second by keys that begin so. Its client a asks in vain to be
// a member.
func startUnknown(t *testing.T, key string) (c *cluster, a *client) {
	t.Helper()
	c = newCluster(t, 2, func(*Config) {})
	c.nodes[0].of().fault = func(e *broker.Entry) fault {
		if strings.HasPrefix(e.Key, key) {
			return loses
		}
		return works
	}
	for _, w := range c.nodes {
		w.node.Start()
	}
	c.settle()
	a = c.nodes[0].as(1, "a", "")
	a.send(`{"type":"subscribe","id":1,"channel":"room","payload":` + member + `}`)
	c.settle()
	a.want(`"name":"unavailable"`)
	return c, a
}

// TestNobodyIsAMemberOfALifeThatIsNotKnown has a node end before the others could learn of it.
func TestNobodyIsAMemberOfALifeThatIsNotKnown(t *testing.T) {
	c, a := startUnknown(t, nodeKey)
	if n := c.nodes[1].members("room"); n != 0 {
		t.Fatalf("%d members of a node that nobody knows of", n)
	}
	c.nodes[0].of().fault = nil
	a.subscribe("room", member)
	if n := c.nodes[1].members("room"); n != 1 {
		t.Fatalf("%d members, want 1", n)
	}
	c.nodes[0].of().kill()
	c.pass(2 * time.Minute)
	if n := c.nodes[1].members("room"); n != 0 {
		t.Errorf("%d members of a dead node are left", n)
	}
}

// TestNobodyIsAMemberOfALifeWithoutALease has a node whose lease is never taken, so that the others believe that it has ended.
func TestNobodyIsAMemberOfALifeWithoutALease(t *testing.T) {
	c, a := startUnknown(t, leaseKey)
	c.pass(time.Minute)
	c.nodes[0].of().fault = nil
	a.subscribe("room", member)
	c.pass(time.Minute)
	if n := c.nodes[1].members("room"); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
}

// TestALifeThatWasTakenForOverBeginsAgain has the others take the name of a life that goes on: whom they have written off meanwhile
// is a member again.
func TestALifeThatWasTakenForOverBeginsAgain(t *testing.T) {
	c := startCluster(t, 2)
	n := c.nodes[0]
	a := n.as(1, "a", "")
	a.subscribe("room", member)
	c.pass(time.Second)
	life := n.node.life()
	c.shared.Publish(nodesLog, broker.Entry{Key: nodeKey + life, Op: broker.Delete}, retention(nodesKeep), nil)
	c.shared.Publish(roomLog, broker.Entry{Key: a.Name(), Op: broker.Delete}, retention(presenceKeep), nil)
	c.pass(6 * time.Second)
	if m := c.nodes[1].members("room"); m != 1 || n.node.life() == life {
		t.Errorf("%d members, want 1", m)
	}
}

// TestNobodyIsRenewedForALifeThatIsNotKnown has a node lose its lease, and end before the others could learn of its next life.
func TestNobodyIsRenewedForALifeThatIsNotKnown(t *testing.T) {
	c := startCluster(t, 2)
	n, w := c.nodes[0], c.nodes[1].watch("room")
	a, leaves := n.as(1, "a", ""), n.as(0, "b", "")
	a.subscribe("room", member)
	leaves.subscribe("room", member)
	c.pass(4 * time.Second)
	w.read()
	life := n.node.life()
	n.fault(func(e *broker.Entry) fault {
		if strings.HasPrefix(e.Key, nodeKey) {
			return loses
		}
		return works
	})
	c.shared.Publish(nodesLog, broker.Entry{Key: leaseKey + life, Op: broker.Delete}, retention(nodesKeep), nil)
	c.pass(2 * time.Second)
	if n.node.life() == life {
		t.Fatal("the node goes on with the life whose lease has ended")
	}
	leaves.Closed(1000, "")
	w.wantLeave(leaves.Name())
	n.of().kill()
	c.pass(2 * time.Minute)
	w.wantLeave(a.Name())
	if m := c.nodes[1].members("room"); m != 0 {
		t.Errorf("%d members of a dead node are left", m)
	}
}

// TestWhoTellsSomethingElseMeanwhileIsWrittenAgain has a member whose log was lost tell other info while the node cannot make its next
// life known.
func TestWhoTellsSomethingElseMeanwhileIsWrittenAgain(t *testing.T) {
	c := startCluster(t, 2)
	n := c.nodes[0]
	a := n.as(1, "a", "")
	a.subscribe("room", member)
	c.pass(time.Second)
	life := n.node.life()
	n.fault(func(e *broker.Entry) fault {
		if strings.HasPrefix(e.Key, nodeKey) {
			return loses
		}
		return works
	})
	c.shared.Publish(nodesLog, broker.Entry{Key: nodeKey + life, Op: broker.Delete}, retention(nodesKeep), nil)
	c.shared.Publish(roomLog, broker.Entry{Key: a.Name(), Op: broker.Delete}, retention(presenceKeep), nil)
	c.pass(6 * time.Second)
	if n.node.life() == life {
		t.Fatal("the node goes on with a life that is not known any more")
	}
	a.Receive([]byte(`{"type":"connect","payload":{"info":2}}`))
	c.pass(100 * time.Millisecond)
	n.fault(nil)
	c.pass(10 * time.Second)
	if m := c.nodes[1].members("room"); m != 1 {
		t.Errorf("%d members, want 1", m)
	}
}

// TestWhoCameBackWithoutAWordIsFound has a client come back to a node that does not know yet of another one, where the client
// has been in between.
func TestWhoCameBackWithoutAWordIsFound(t *testing.T) {
	c := newCluster(t, 2, func(*Config) {})
	first, second := c.nodes[0], c.nodes[1]
	first.node.Start()
	c.pass(6 * time.Second)
	w := first.watch("room")
	a := first.as(0, "a", "")
	a.subscribe("room", member)
	c.pass(time.Second)
	w.read()
	second.node.Start()
	c.settle()
	a.Closed(1006, "")
	a = second.as(0, "a", "")
	a.subscribe("room", member)
	a.Closed(1006, "")
	if !first.node.alone.Load() {
		t.Fatal("the node knows already")
	}
	a = first.as(1, "a", "")
	a.subscribe("room", member)
	c.pass(time.Minute)
	w.wantTold()
	if n := first.members("room"); n != 1 || first.node.alone.Load() {
		t.Errorf("%d members", n)
	}
}
