package session

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
)

// lose has the broker lose its logs but for entries that are kept, as after a failover: they stand in new logs, with new offsets.
func (c *cluster) lose(t *testing.T, kept map[string][]*broker.Entry) {
	t.Helper()
	s := c.shared
	seed := uint64(c.now.UnixMilli())
	memory := broker.NewMemory(broker.MemoryConfig{Now: func() time.Time { return time.UnixMilli(c.clock.Load()) }, Seed: seed})
	ctx, stop := context.WithCancel(context.Background())
	s.running.Go(func() { _ = memory.Run(ctx, s) })
	t.Cleanup(stop)
	<-memory.Ready()
	for log, entries := range kept {
		for _, e := range entries {
			copied := *e
			copied.HasExpect = false
			memory.Publish(log, copied, retention(presenceKeep), nil)
		}
	}
	s.Memory = memory
}

// log reads all that is in a log.
func (c *cluster) log(t *testing.T, name string) []*broker.Entry {
	t.Helper()
	page, err := c.shared.Read(context.Background(), name, broker.Query{HasAfter: true})
	if err != nil {
		t.Fatal(err)
	}
	return page.Entries
}

const roomLog = "$presence:room"

// TestWhoHadLeftALogThatLostItLeaves has the broker lose a leave, and nothing else: nobody is there who could write it again.
func TestWhoHadLeftALogThatLostItLeaves(t *testing.T) {
	c := startCluster(t, 1)
	n := c.nodes[0]
	a, b := n.as(0, "a", ""), n.as(1, "b", "")
	a.subscribe("room", member)
	b.subscribe("room", member)
	c.pass(time.Second)
	joins := c.log(t, roomLog)
	a.Closed(1000, "")
	c.pass(time.Second)
	life := n.node.life()
	c.lose(t, map[string][]*broker.Entry{nodesLog: c.log(t, nodesLog), roomLog: joins})
	if m := n.members("room"); m != 2 {
		t.Fatalf("%d members in what is left of the log", m)
	}
	c.pass(time.Minute)
	if m := n.members("room"); m != 1 {
		t.Errorf("%d members, and one has not left", m)
	}
	if n.node.life() == life {
		t.Error("the node goes on with a life whose members nobody can tell")
	}
}

// TestWhoHadLeftALogBeforeTheLastLeaves is that with two losses, of which the second takes what the node has said of its former life.
func TestWhoHadLeftALogBeforeTheLastLeaves(t *testing.T) {
	c := startCluster(t, 1)
	n := c.nodes[0]
	a := n.as(0, "a", "")
	a.subscribe("room", member)
	c.pass(time.Second)
	joins, former := c.log(t, roomLog), n.node.life()
	a.Closed(1000, "")
	c.pass(time.Second)
	c.lose(t, map[string][]*broker.Entry{nodesLog: c.log(t, nodesLog), roomLog: joins})
	c.pass(6 * time.Second) // until the node has noticed
	nodes := slices.DeleteFunc(c.log(t, nodesLog), func(e *broker.Entry) bool { return strings.HasSuffix(e.Key, former) })
	c.lose(t, map[string][]*broker.Entry{nodesLog: nodes, roomLog: joins})
	c.pass(time.Minute)
	if m := n.members("room"); m != 0 {
		t.Errorf("%d members, who have left", m)
	}
}

// TestWhoHadLeftALogThatLostItLeavesThoughTheBrokerFails is the first of these with a broker that fails when the members are written off:
// the node does not wait until its key of that has ended.
func TestWhoHadLeftALogThatLostItLeavesThoughTheBrokerFails(t *testing.T) {
	for name, key := range map[string]string{"at the key": cleanupKey, "at a leave": ""} {
		for kind, fault := range map[string]fault{"refused": refuses, "unknown": lies, "lost": loses} {
			t.Run(name+", "+kind, func(t *testing.T) {
				c := startCluster(t, 1)
				n := c.nodes[0]
				a := n.as(0, "a", "")
				a.subscribe("room", member)
				c.pass(time.Second)
				joins := c.log(t, roomLog)
				a.Closed(1000, "")
				c.pass(time.Second)
				c.lose(t, map[string][]*broker.Entry{nodesLog: c.log(t, nodesLog), roomLog: joins})
				n.of().failOnce(fault, func(e *broker.Entry) bool {
					return key != "" && strings.HasPrefix(e.Key, key) || key == "" && e.Key == a.Name()
				})
				c.pass(30 * time.Second)
				if n.of().fault(&broker.Entry{Key: cmp.Or(key, a.Name())}) != works {
					t.Error("nothing has failed")
				}
				if m := n.members("room"); m != 0 {
					t.Errorf("%d members, who have left", m)
				}
			})
		}
	}
}

// TestWhoWasOnANodeThatNobodyKnowsLeaves has a node die right after the broker has lost its logs but for members, and of two others
// one search for whose they are.
func TestWhoWasOnANodeThatNobodyKnowsLeaves(t *testing.T) {
	c := startCluster(t, 3)
	n := c.nodes[2]
	n.as(0, "a", "").subscribe("room", member)
	stays := n.as(0, "b", "")
	stays.subscribe("elsewhere", member)
	of := c.nodes[0].as(0, "c", "")
	of.subscribe("room", member)
	c.pass(time.Second)
	c.lose(t, map[string][]*broker.Entry{roomLog: c.log(t, roomLog), "$presence:elsewhere": c.log(t, "$presence:elsewhere")})
	n.of().kill()
	again := c.nodes[1].as(0, "b", "")
	again.subscribe("elsewhere", member)
	for _, w := range c.nodes[:2] {
		w.of().failOnce(refuses, func(e *broker.Entry) bool { return strings.HasPrefix(e.Key, nodeKey+"c.") })
	}
	c.pass(time.Minute)
	if m := c.nodes[0].members("room"); m != 1 {
		t.Errorf("%d members, and one is on a node that lives", m)
	}
	if m := c.nodes[0].members("elsewhere"); m != 1 {
		t.Errorf("%d members, and one has come back", m)
	}
	found := 0
	for _, w := range c.nodes[:2] {
		found += strings.Count(w.log.String(), "nobody knows")
	}
	if found != 2 { // with the one that failed
		t.Errorf("it was found %d times", found)
	}
}

// TestWhoWasOnANodeOfWhichTheLeaseAloneIsThereLeaves has a node die right after the broker has lost all that it knew of it but for its
// lease, which is still there when the others search.
func TestWhoWasOnANodeOfWhichTheLeaseAloneIsThereLeaves(t *testing.T) {
	c := startCluster(t, 2)
	c.nodes[1].as(0, "a", "").subscribe("room", member)
	c.pass(time.Second)
	lease := slices.DeleteFunc(c.log(t, nodesLog), func(e *broker.Entry) bool { return !strings.HasPrefix(e.Key, leaseKey+"b.") })
	c.lose(t, map[string][]*broker.Entry{nodesLog: lease, roomLog: c.log(t, roomLog)})
	c.nodes[1].of().kill()
	c.pass(time.Minute)
	if m := c.nodes[0].members("room"); m != 0 {
		t.Errorf("%d members of a dead node are left", m)
	}
}

// TestWhoComesWhileTheBrokerLosesItsLogsIsCounted has the broker lose its logs between a join and the count of members.
func TestWhoComesWhileTheBrokerLosesItsLogsIsCounted(t *testing.T) {
	c := startCluster(t, 1)
	n := c.nodes[0]
	a := n.as(0, "a", "")
	var late func()
	n.of().later = func(fn func()) { late = fn }
	n.of().failOnce(delays, func(e *broker.Entry) bool { return e.Key == a.Name() })
	a.send(`{"type":"subscribe","id":1,"channel":"room","payload":` + member + `}`)
	c.settle()
	c.lose(t, nil)
	late()
	c.settle()
	a.want(`"count":1`)
	if m := n.members("room"); m != 1 {
		t.Errorf("%d members, want 1", m)
	}
}

// failOnce has the first publish fail that is meant.
func (v *view) failOnce(f fault, meant func(*broker.Entry) bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	failed := false
	v.fault = func(e *broker.Entry) fault {
		if failed || !meant(e) {
			return works
		}
		failed = true
		return f
	}
}

// An ephemeral key that was written in a log and in the next one ends with its session, though there its offset is the lower one.
func TestAnEphemeralKeyOfALogThatBeganAnewEnds(t *testing.T) {
	c := startCluster(t, 1)
	a := c.nodes[0].as(0, "a", "")
	write := func() {
		a.send(`{"type":"publish","channel":"board","key":"k","payload":1,"ephemeral":true}`)
		c.pass(time.Second)
	}
	write()
	write()
	c.lose(t, nil)
	write()
	if all := c.log(t, "board"); len(all) != 1 || all[0].Offset != 1 {
		t.Fatalf("%d entries in the log that began anew", len(all))
	}
	a.Closed(1000, "")
	c.pass(time.Second)
	if all := c.log(t, "board"); all[len(all)-1].Op != broker.Delete {
		t.Errorf("the key stays, behind %d entries", len(all))
	}
}
