package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
)

// watcher is a client that follows the presence of "room" and knows who is there.
type watcher struct {
	*client
	here map[string]string // info by session
	told []string          // "join ada", …
}

func (w *world) watch(channel string) *watcher {
	w.t.Helper()
	c := w.connect()
	c.subscribe(channel, `{"presence":"watch"}`)
	return &watcher{client: c, here: make(map[string]string)}
}

// read takes what has been told. It fails when somebody joins who is here, or leaves who is not.
func (w *watcher) read() {
	t := w.w.t
	t.Helper()
	for _, text := range w.take() {
		msg := decodePresence(t, text)
		for _, m := range msg.Members {
			info, here := w.here[m.Session]
			switch {
			case msg.Type == "join" && here, msg.Type != "join" && !here, msg.Type == "update" && info == string(m.Info):
				t.Errorf("%s of %s, who is here: %v, with %s\nso far %v", text, m.Session, here, info, w.told)
			}
			w.told = append(w.told, msg.Type+" "+m.Session)
			if w.here[m.Session] = string(m.Info); msg.Type == "leave" {
				delete(w.here, m.Session)
			}
		}
	}
}

// wantTold takes what has been told since, all of it.
func (w *watcher) wantTold(told ...string) {
	w.w.t.Helper()
	w.w.cluster.pass(2 * presenceGather) // for the end of the interval
	w.told = nil
	w.read()
	if got, want := strings.Join(w.told, ", "), strings.Join(told, ", "); got != want {
		w.w.t.Errorf("told %q, want %q", got, want)
	}
}

const member = `{"presence":true}`

func TestAShortReconnectIsNoLeave(t *testing.T) {
	for _, loop := range []int{0, 1} {
		c := newCluster(t, 1, func(*Config) {})
		w := c.nodes[0]
		w.node.alone.Store(true)
		watcher := w.watch("room")
		a := w.as(0, "a", "")
		a.subscribe("room", member)
		name := a.Name()
		watcher.wantTold("join " + name)
		a.Closed(1006, "")
		c.pass(4 * time.Second)
		again := w.as(loop, "a", "")
		head := w.head("$presence:room")
		again.subscribe("room", member)
		c.pass(time.Minute)
		watcher.wantTold()
		if w.head("$presence:room") != head {
			t.Error("a short reconnect to the same node has written something")
		}
		again.Closed(1006, "")
		c.pass(4 * time.Second)
		watcher.wantTold()
		c.pass(2 * time.Second)
		watcher.wantTold("leave " + name)
		c.pass(time.Minute)
		watcher.wantTold()
		w.wantNothingWaits()
	}
}

func (w *world) head(channel string) uint64 {
	heads, err := w.node.cfg.Broker.Heads(w.t.Context(), []string{channel})
	if err != nil {
		w.t.Fatal(err)
	}
	return heads[0].Offset
}

func (w *world) wantNothingWaits() {
	w.t.Helper()
	r := &w.node.roster
	if len(r.lost) != 0 || len(r.waiting) != 0 || len(r.stable) != 0 || r.ticking || len(r.crowds) != 0 {
		w.t.Errorf("the roster holds %d lost, %d waiting, %d names, %d crowds, ticks: %v",
			len(r.lost), len(r.waiting), len(r.stable), len(r.crowds), r.ticking)
	}
}

func TestWhoSaysGoodbyeLeavesAtOnce(t *testing.T) {
	for _, test := range []struct {
		name   string
		client string
		room   string
		end    func(*client)
		lost   bool
	}{
		{"the line is lost", "a", "room", func(c *client) { c.Closed(1006, "") }, true},
		{"it does not answer pings", "a", "room", func(c *client) { c.Closed(4002, "") }, true},
		{"the node drains", "a", "room", func(c *client) { c.Closed(4000, "") }, true},
		{"its token has expired", "a", "room", func(c *client) { c.Closed(4100, "") }, true},
		{"it has a code of its own", "a", "room", func(c *client) { c.Closed(3001, "") }, true},
		{"it closes", "a", "room", func(c *client) { c.Closed(1000, "") }, false},
		{"its page goes", "a", "room", func(c *client) { c.Closed(1001, "") }, false},
		{"it closes without a code", "a", "room", func(c *client) { c.Closed(1005, "") }, false},
		{"it is banned", "a", "room", func(c *client) { c.Closed(4202, "") }, false},
		{"it unsubscribes", "a", "room", func(c *client) { c.send(`{"type":"unsubscribe","channel":"room"}`) }, false},
		{"it has no id", "", "room", func(c *client) { c.Closed(1006, "") }, false},
		{"the channel has no grace", "a", "now:room", func(c *client) { c.Closed(1006, "") }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 1, func(*Config) {})
			w := c.nodes[0]
			a := w.dial()
			if test.client != "" {
				a = w.as(0, test.client, "")
			}
			a.take()
			a.subscribe(test.room, member)
			test.end(a)
			c.settle()
			if got := w.members(test.room) == 1; got != test.lost {
				t.Errorf("it is still a member: %v", got)
			}
			c.pass(6 * time.Second)
			if n := w.members(test.room); n != 0 {
				t.Errorf("%d members are left", n)
			}
		})
	}
}

func TestAMemberComesBackWithOtherInfo(t *testing.T) {
	c := newCluster(t, 2, func(*Config) {})
	for i, back := range []*world{c.nodes[0], c.nodes[1]} {
		w, id := c.nodes[0], fmt.Sprint("a", i)
		watcher := w.watch("room")
		a := w.as(0, id, `,"info":{"mood":1}`)
		a.subscribe("room", member)
		c.settle()
		watcher.wantTold("join " + a.Name())
		a.Closed(1006, "")
		again := back.as(0, id, `,"info":{"mood":2}`)
		again.subscribe("room", member)
		c.settle()
		watcher.wantTold("update " + a.Name())
		again.Closed(1006, "")
		third := w.as(1, id, `,"info":{"mood":2}`)
		third.subscribe("room", member)
		c.pass(time.Minute)
		watcher.wantTold()
		third.send(`{"type":"connect","payload":{"info":{"mood":3}}}`, `{"type":"connect","payload":{"info":{"mood":3}}}`)
		c.settle()
		watcher.wantTold("update " + a.Name())
		third.Closed(1000, "")
		c.settle()
		watcher.wantTold("leave " + a.Name())
		watcher.Closed(1000, "")
	}
	c.pass(time.Minute)
	for _, w := range c.nodes {
		w.wantNothingWaits()
	}
}

// TestAMemberOnADeadLine has a client come back before the node knows that its line is dead.
func TestAMemberOnADeadLine(t *testing.T) {
	for _, node := range []int{0, 1} {
		for _, loop := range []int{0, 1} {
			c := newCluster(t, 2, func(*Config) {})
			w := c.nodes[0]
			watcher := w.watch("room")
			a := w.as(0, "a", "")
			a.subscribe("room", member)
			a.subscribe("other", member)
			watcher.wantTold("join " + a.Name())
			again := c.nodes[node].as(loop, "a", "")
			again.subscribe("room", member)
			c.settle()
			if closed := a.code == 4203; closed != (node == 0) {
				t.Errorf("the older session is closed with %d", a.code)
			}
			a.Closed(1006, "")
			c.pass(time.Minute)
			watcher.wantTold()
			if n, m := w.members("room"), w.members("other"); n != 1 || m != 0 {
				t.Errorf("%d are in the room and %d in the other", n, m)
			}
			again.Closed(1000, "")
			c.settle()
			watcher.wantTold("leave " + a.Name())
		}
	}
}

func TestLostMembersAreBounded(t *testing.T) {
	c := newCluster(t, 1, func(c *Config) { c.Limits.LostMembers = 3 })
	w := c.nodes[0]
	for i := range 10 {
		a := w.as(i%2, fmt.Sprint(i), "")
		a.subscribe("room", member)
		a.Closed(1006, "")
	}
	c.settle()
	if n := w.members("room"); n != 3 {
		t.Errorf("%d members wait, want 3", n)
	}
	c.pass(6 * time.Second)
	if n := w.members("room"); n != 0 {
		t.Errorf("%d members are left", n)
	}
	w.wantNothingWaits()
}

// TestInfoIsToldWhateverTheBrokerDoes changes the info while the broker is slow, busy, or does not know.
func TestInfoIsToldWhateverTheBrokerDoes(t *testing.T) {
	for _, f := range []fault{works, refuses, lies, loses, delays} {
		c := newCluster(t, 1, func(*Config) {})
		w := c.nodes[0]
		watcher := w.watch("room")
		a := w.as(0, "a", "")
		w.of().fault = func(*broker.Entry) fault { return delays }
		a.Receive([]byte(`{"type":"subscribe","channel":"room","payload":` + member + `}`))
		a.Receive([]byte(`{"type":"connect","payload":{"info":1}}`)) // the join is under way
		w.of().fault = func(*broker.Entry) fault { return f }
		a.Receive([]byte(`{"type":"connect","payload":{"info":2}}`))
		c.settle()
		a.Receive([]byte(`{"type":"connect","payload":{"info":3}}`))
		a.Receive([]byte(`{"type":"connect","payload":{"info":4}}`))
		c.settle()
		w.of().fault = nil
		c.pass(2 * time.Second)
		watcher.read()
		if watcher.here[a.Name()] != "4" {
			t.Errorf("with fault %d the watcher was told %v and knows %v", f, watcher.told, watcher.here)
		}
		a.Closed(1000, "")
		c.settle()
		watcher.read()
		if len(watcher.here) != 0 {
			t.Errorf("with fault %d %v is left", f, watcher.here)
		}
	}
}
