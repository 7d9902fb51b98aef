package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
)

// pin publishes an ephemeral key.
func (c *client) pin(channel, key string, value int) {
	c.w.t.Helper()
	c.send(fmt.Sprintf(`{"type":"publish","id":"p","channel":%q,"key":%q,"payload":%d,"ephemeral":true}`, channel, key, value))
	if c.w.cluster != nil {
		c.w.cluster.settle()
	}
	c.want(`"type":"reply","id":"p"`)
}

// values are those of a channel's state.
func (c *cluster) values(t *testing.T, channel string) string {
	t.Helper()
	page, err := c.shared.State(context.Background(), channel, broker.StateQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range page.Entries {
		all = append(all, e.Key+"="+string(e.Payload))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (c *cluster) wantValues(t *testing.T, channel, want string) {
	t.Helper()
	if got := c.values(t, channel); got != want {
		t.Errorf("%s holds %q, want %q", channel, got, want)
	}
}

// wantDeletes counts the deletes in a channel's log.
func (c *cluster) wantDeletes(t *testing.T, channel string, want int) {
	t.Helper()
	page, err := c.shared.Read(context.Background(), channel, broker.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range page.Entries {
		if e.Op == broker.Delete {
			n++
		}
	}
	if n != want {
		t.Errorf("%d deletes in the log of %s, want %d", n, channel, want)
	}
}

// records are the keys of the log of estates.
func (c *cluster) records(t *testing.T) int {
	t.Helper()
	n, err := c.shared.Keys(context.Background(), estatesLog)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fault sets what goes wrong with what a node publishes.
func (w *world) fault(f func(*broker.Entry) fault) {
	w.of().mu.Lock()
	w.of().fault = f
	w.of().mu.Unlock()
}

func TestEphemeralKeysOfADeadNodeEnd(t *testing.T) {
	c := startCluster(t, 3)
	a, b, back, plain := c.nodes[0].as(0, "a", ""), c.nodes[1].as(0, "b", ""), c.nodes[0].as(1, "back", ""), c.nodes[0].dialOn(1)
	plain.take()
	a.pin("board", "a", 1)
	a.pin("board", "a2", 1)
	a.pin("other", "a", 1)
	a.pin("board", "taken", 1)
	a.send(`{"type":"publish","channel":"board","key":"stays","payload":1}`)
	b.pin("board", "b", 2)
	b.send(`{"type":"publish","channel":"board","key":"taken","payload":2}`)
	back.pin("board", "back", 3)
	plain.pin("board", "plain", 4)
	c.pass(10 * time.Second)
	c.nodes[0].of().kill()
	c.pass(5 * time.Second)
	again := c.nodes[2].as(0, "back", "")
	c.wantValues(t, "board", "a2=1 a=1 b=2 back=3 plain=4 stays=1 taken=2")
	c.pass(35 * time.Second)
	c.wantValues(t, "board", "b=2 back=3 stays=1 taken=2")
	c.wantValues(t, "other", "")
	c.pass(3 * time.Minute)
	c.wantValues(t, "board", "b=2 back=3 stays=1 taken=2")
	c.wantDeletes(t, "board", 3)
	again.Closed(1000, "")
	b.Closed(1000, "")
	c.pass(time.Second)
	c.wantValues(t, "board", "stays=1 taken=2")
	if n := c.records(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

func TestEphemeralKeysFollowTheirClient(t *testing.T) {
	c := startCluster(t, 3)
	a, goes := c.nodes[0].as(0, "a", ""), c.nodes[0].as(0, "goes", "")
	a.pin("board", "a", 1)
	a.pin("now:board", "a", 1) // a channel without grace
	goes.pin("board", "goes", 2)
	c.pass(time.Second)
	a.Closed(1006, "")
	goes.Closed(1006, "")
	c.pass(time.Second)
	a = c.nodes[1].as(1, "a", "")
	c.pass(time.Minute)
	c.wantValues(t, "board", "a=1")
	c.wantValues(t, "now:board", "")
	// And on, to a node that dies.
	a.Closed(1006, "")
	a = c.nodes[2].as(1, "a", "")
	c.pass(time.Minute)
	c.wantValues(t, "board", "a=1")
	c.nodes[2].of().kill()
	c.pass(time.Minute)
	c.wantValues(t, "board", "")
	c.wantDeletes(t, "board", 2)
	if n := c.records(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestALateNodeDeletesNothingOfOthers has a node sleep while its clients go elsewhere, or do not.
func TestALateNodeDeletesNothingOfOthers(t *testing.T) {
	c := startCluster(t, 2)
	a, b, stays := c.nodes[0].as(0, "a", ""), c.nodes[0].as(1, "b", ""), c.nodes[0].as(1, "stays", "")
	a.pin("board", "a", 1)
	b.pin("board", "b", 2)
	stays.pin("board", "stays", 3)
	c.pass(10 * time.Second)
	c.nodes[0].of().asleep = true
	c.pass(3 * time.Second)
	moved := c.nodes[1].as(0, "a", "")
	c.pass(time.Minute)
	c.wantValues(t, "board", "a=1")
	c.nodes[0].of().asleep = false
	c.nodes[0].set(c.now)
	c.pass(time.Second)
	a.Closed(1000, "")
	b.Closed(1006, "")
	c.pass(time.Minute)
	c.wantValues(t, "board", "a=1")
	stays.pin("board", "stays", 4)
	c.pass(time.Minute)
	c.wantValues(t, "board", "a=1 stays=4")
	moved.Closed(1000, "")
	stays.Closed(1000, "")
	c.pass(time.Minute)
	c.wantValues(t, "board", "")
	c.wantDeletes(t, "board", 4)
	if n := c.records(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestEndingTheEstatesOfADeadNodeIsTakenOver has the node that does so die as well.
func TestEndingTheEstatesOfADeadNodeIsTakenOver(t *testing.T) {
	c := startCluster(t, 3)
	for i := range 5 {
		c.nodes[0].as(i%2, fmt.Sprint("a", i), "").pin("board", fmt.Sprint("k", i), i)
	}
	c.pass(10 * time.Second)
	c.nodes[0].of().kill()
	deletes := 0
	for _, n := range c.nodes[1:] {
		n.fault(func(e *broker.Entry) fault {
			if strings.HasPrefix(e.Key, "k") && e.Op == broker.Delete {
				if deletes++; deletes == 3 {
					n.of().dead = true // under its lock
				}
			}
			return works
		})
	}
	c.pass(5 * time.Minute)
	c.wantValues(t, "board", "")
	c.wantDeletes(t, "board", 5)
	if n := c.records(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestNoEphemeralKeyIsWrittenBeforeItsRecord has the record fail, and be late.
func TestNoEphemeralKeyIsWrittenBeforeItsRecord(t *testing.T) {
	c := startCluster(t, 2)
	n := c.nodes[0]
	a := n.as(0, "a", "")
	record := works
	n.fault(func(e *broker.Entry) fault {
		if strings.Contains(e.Key, " board") {
			return record
		}
		return works
	})
	publish := func(id int, key, more string) string {
		return fmt.Sprintf(`{"type":"publish","id":%d,"channel":"board","key":%q,"payload":%d%s}`, id, key, id, more)
	}
	const ephemeral = `,"ephemeral":true`
	for _, how := range []fault{refuses, loses, lies} {
		record = how
		a.send(publish(1, "a", ephemeral), publish(2, "plain", ""))
		c.settle()
		a.want(`"type":"error","id":1`, `"type":"reply","id":2`)
		c.wantValues(t, "board", "plain=2")
	}
	record = delays
	var late []func()
	n.of().later = func(fn func()) { late = append(late, fn) }
	a.send(publish(1, "a", ephemeral), publish(2, "plain", ""), publish(3, "a", ""), publish(4, "b", ephemeral))
	c.settle()
	a.want()
	c.wantValues(t, "board", "plain=2")
	for len(late) > 0 {
		fn := late[0]
		late = late[1:]
		fn()
		c.settle()
	}
	a.want(`"type":"reply","id":1`, `"type":"reply","id":2`, `"type":"reply","id":3`, `"type":"reply","id":4`)
	c.wantValues(t, "board", "a=3 b=4 plain=2")
	record = works
	a.Closed(1000, "")
	c.pass(time.Second)
	c.wantValues(t, "board", "plain=2")
	if n := c.records(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestASessionHasOnlySoManyEstates has one go from room to room.
func TestASessionHasOnlySoManyEstates(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.EphemeralKeys = 3 })
	c := w.connect()
	for i := range 20 {
		room := fmt.Sprint("room:", i)
		c.pin(room, "typing", 1)
		c.send(fmt.Sprintf(`{"type":"publish","channel":%q,"key":"typing","op":"delete"}`, room))
	}
	if n := len(c.estates); n != 3 {
		t.Errorf("the session has %d estates", n)
	}
	if n, _ := w.keys.Keys(context.Background(), estatesLog); n != 3 {
		t.Errorf("%d records", n)
	}
}

// TestAnEphemeralKeyIsRecordedOnce has a session write one again and again.
func TestAnEphemeralKeyIsRecordedOnce(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	for i := range 10 {
		c.pin("board", "cursor", i)
		c.send(`{"type":"publish","channel":"board","key":"cursor","op":"delete"}`)
		c.send(`{"type":"publish","channel":"board","key":"plain","payload":1}`)
	}
	heads, err := w.broker.Heads(context.Background(), []string{estatesLog, "board"})
	if err != nil || heads[0].Offset != 1 || heads[1].Offset != 30 {
		t.Errorf("the logs have %v entries, %v", heads, err)
	}
}

// TestEstatesComeToAnEnd has clients wander between nodes that fail, and looks whether their keys do as they should.
func TestEstatesComeToAnEnd(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { wander(t, rand.New(rand.NewPCG(seed, 7)), seed%2 == 0) })
	}
}

type wanderer struct {
	*client
	older []*client
	pins  map[string]int // of this session
}

// wander spares the leases of the nodes when they are to live: who is there then keeps its keys.
func wander(t *testing.T, r *rand.Rand, live bool) {
	c := startCluster(t, 3)
	c.pass(6 * time.Second)
	for _, n := range c.nodes {
		n.fault(func(e *broker.Entry) fault {
			if live && strings.HasPrefix(e.Key, leaseKey) {
				return works
			}
			return []fault{works, works, works, works, works, works, refuses, lies, loses}[r.IntN(9)]
		})
	}
	all := make([]wanderer, 4)
	for range 60 {
		i := r.IntN(len(all))
		w := &all[i]
		switch r.IntN(6) {
		case 0: // it comes back, on any node, whether its line is known to be dead or not
			if w.client != nil {
				w.older = append(w.older, w.client)
			}
			c.pass(100 * time.Millisecond) // two sessions of a name do not begin at once
			w.client, w.pins = c.nodes[r.IntN(3)].as(r.IntN(2), fmt.Sprint("w", i), ""), make(map[string]int)
		case 1:
			if w.client != nil {
				w.Closed([]int{1006, 1000}[r.IntN(2)], "")
				w.client = nil
			}
		case 2:
			for _, old := range w.older {
				old.Closed(1006, "")
			}
			w.older = nil
		case 3:
			c.pass(time.Duration(r.IntN(15)) * time.Second)
		default:
			if w.client == nil || w.closed || w.closing {
				continue
			}
			key, value := fmt.Sprintf("k%d-%d", i, r.IntN(2)), r.IntN(100)
			w.send(fmt.Sprintf(`{"type":"publish","id":"p","channel":"board","key":%q,"payload":%d,"ephemeral":true}`, key, value))
			c.pass(3 * time.Second)
			if answer := w.take(); len(answer) > 0 && strings.Contains(answer[0], `"reply"`) {
				w.pins[key] = value
			} else {
				delete(w.pins, key) // it may or may not be there
			}
		}
	}
	for _, n := range c.nodes {
		n.fault(nil)
	}
	c.pass(time.Minute)
	here := c.values(t, "board")
	for i := range all {
		w := &all[i]
		if w.client != nil {
			for key, value := range w.pins {
				if want := fmt.Sprintf("%s=%d", key, value); live && !w.closing && !strings.Contains(here+" ", want+" ") {
					t.Errorf("the board holds %q, and not %s, whose session is there", here, want)
				}
			}
			w.older = append(w.older, w.client)
		}
		for _, old := range w.older {
			old.Closed(1000, "")
		}
	}
	c.pass(3 * time.Minute)
	c.wantValues(t, "board", "")
	if n := c.records(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
	for _, n := range c.nodes {
		if n.node.roster.leftCount != 0 || len(n.node.roster.left) != 0 {
			t.Errorf("%d estates are left", n.node.roster.leftCount)
		}
	}
}
