package session

import (
	"testing"
	"time"

	"hocket.dev/broker/brokertest"
	"hocket.dev/dialect"
)

// withID connects a client that has an id.
func (w *world) withID(id string) *client {
	w.t.Helper()
	c := w.connect()
	c.send(`{"type":"connect","id":1,"payload":{"client":"` + id + `"}}`)
	c.want(`"type":"reply","id":1`)
	return c
}

const ephemeralA = `{"type":"publish","channel":"board","key":"a","payload":1,"ephemeral":true}`

// wantLeftNothing fails when the node still waits for somebody.
func (w *world) wantLeftNothing() {
	w.t.Helper()
	if n := w.node.roster.leftCount; n != 0 {
		w.t.Errorf("%d estates are left", n)
	}
}

func TestEphemeralKeysWaitForALostClient(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.withID("c-1")
	c.send(ephemeralA)
	c.Closed(1006, "")
	w.pass(9 * time.Second)
	w.wantKeys("board", "a=1")
	// It comes back, goes on, and the keys are its own.
	c = w.withID("c-1")
	w.pass(time.Minute)
	w.wantKeys("board", "a=1")
	w.wantLeftNothing()
	c.Closed(1006, "")
	w.pass(11 * time.Second)
	w.wantKeys("board", "")
	w.wantLeftNothing()
}

func TestEphemeralKeysOfWhoDoesNotComeBackAreDeletedAtOnce(t *testing.T) {
	for name, end := range map[string]func(w *world, c *client){
		"it says goodbye":       func(_ *world, c *client) { c.Goodbye(1000) },
		"it is closed for good": func(_ *world, c *client) { c.Closed(4201, "") },
		"the node ends":         func(w *world, c *client) { w.node.DrainSessions(); w.settle(); c.Closed(4000, "") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(*Config) {})
			c := w.withID("c-1")
			c.send(ephemeralA)
			end(w, c)
			w.wantKeys("board", "")
			w.wantLeftNothing()
		})
	}
	t.Run("too many are waited for", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Limits.LostMembers = 1 })
		first, second := w.withID("c-1"), w.withID("c-2")
		first.send(`{"type":"publish","channel":"board","key":"b","payload":2,"ephemeral":true}`)
		second.send(ephemeralA)
		first.Closed(1006, "")
		second.Closed(1006, "")
		w.wantKeys("board", "b=2")
	})
}

// TestAReplacedSessionLeavesItsKeysToTheNewer has a client connect again before the server knows that its line is dead.
func TestAReplacedSessionLeavesItsKeysToTheNewer(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	old := w.withID("c-1")
	old.send(ephemeralA, `{"type":"publish","channel":"board","key":"b","payload":2,"ephemeral":true}`)
	c := w.withID("c-1")
	c.send(`{"type":"publish","channel":"board","key":"a","payload":3,"ephemeral":true}`)
	old.wantClosed(dialect.CloseReplaced)
	old.Closed(1006, "")
	w.pass(time.Minute)
	w.wantKeys("board", "b=2 a=3")
	w.wantLeftNothing()
	c.Closed(1000, "")
	w.wantKeys("board", "")
}

// TestAKeyUnderWayWaitsToo loses a client whose publish has not been answered.
func TestAKeyUnderWayWaitsToo(t *testing.T) {
	late := &holding{free: estatesLog}
	w := newWorld(t, func(c *Config) {
		late.Lossy = c.Broker.(*brokertest.Lossy)
		c.Broker = late
	})
	c := w.withID("c-1")
	c.send(ephemeralA)
	c.Closed(1006, "")
	again := w.withID("c-1")
	late.release(w)
	w.pass(time.Minute)
	w.wantKeys("board", "a=1")
	again.Closed(1000, "")
	late.release(w)
	w.settle()
	w.wantKeys("board", "")
}
