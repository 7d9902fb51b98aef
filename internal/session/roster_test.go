package session

import (
	"strings"
	"testing"
	"time"

	"hocket.dev/dialect"
)

// as connects a client that has an id, on a loop of the node.
func (w *world) as(loop int, id, more string) *client {
	w.t.Helper()
	c := w.dialOn(loop)
	c.want(`"type":"connected"`)
	c.send(`{"type":"connect","id":"c","payload":{"client":"` + id + `"` + more + `}}`)
	c.want(`"type":"reply","id":"c","payload":{"session":"` + c.Name() + `"`)
	return c
}

func TestAClientKeepsItsName(t *testing.T) {
	secret := func(c *Config) { c.Secret = []byte("of all nodes") }
	w, elsewhere := newWorld(t, secret), newWorld(t, secret)
	a := w.as(0, "c-1", "")
	name := a.Name()
	a.Closed(1006, "")
	if again := w.as(0, "c-1", ""); again.Name() != name {
		t.Errorf("the client was %s and is %s", name, again.Name())
	}
	if again := elsewhere.as(0, "c-1", ""); again.Name() != name {
		t.Errorf("the client was %s and is %s on another node", name, again.Name())
	}
	if other := newWorld(t, func(*Config) {}).as(0, "c-1", ""); other.Name() == name {
		t.Error("a node with another secret gives the same name")
	}
	names := map[string]bool{name: true}
	for _, other := range []*client{
		w.as(0, "c-2", ""), w.as(0, "c-1", `,"user":"ada"`), w.as(0, "c-1", `,"user":"bo"`), w.connect(), w.connect(),
	} {
		if names[other.Name()] {
			t.Errorf("%s is the name of two", other.Name())
		}
		if len(other.Name()) != len(name) {
			t.Errorf("%s is longer or shorter than %s", other.Name(), name)
		}
		names[other.Name()] = true
	}
	c := w.dial(dialect.Command{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{Client: "c-7"}})
	greeting := c.want(`"type":"connected"`)[0]
	if again := w.as(0, "c-7", ""); !strings.Contains(greeting, `"session":"`+again.Name()+`"`) {
		t.Errorf("named by the query it is %s, by connect %s", greeting, again.Name())
	}
}

// TestANameOthersHaveSeenStays has a client name itself when it is too late for another public name.
func TestANameOthersHaveSeenStays(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	for _, first := range []string{
		`{"type":"publish","channel":"a","payload":1}`, `{"type":"subscribe","channel":"a"}`, `{"type":"connect","payload":{}}`,
	} {
		c := w.connect()
		name := c.Name()
		c.send(first, `{"type":"connect","id":"c","payload":{"client":"c-1"}}`)
		if told := c.take(); c.Name() != name || !strings.Contains(told[len(told)-1], `"session":"`+name) {
			t.Errorf("after %s the name changed: %s", first, told)
		}
	}
	c := w.as(0, "c-1", "")
	name := c.Name()
	c.send(`{"type":"connect","payload":{"client":"c-2"}}`)
	if c.Name() != name || c.who.client != "c-2" {
		t.Errorf("the second connect made it %s", c.Name())
	}
}

func TestANewerSessionReplacesTheOlder(t *testing.T) {
	for _, loop := range []int{0, 1} {
		w := newWorld(t, addLoop)
		older, sibling := w.as(0, "c-1", ""), w.as(0, "c-2", "")
		older.subscribe("news", "{}")
		newer := w.as(loop, "c-1", "")
		if newer.Name() != older.Name() {
			t.Fatal("the names differ")
		}
		older.wantClosed(dialect.CloseReplaced)
		if newer.code != 0 || sibling.code != 0 {
			t.Errorf("closed were also %d, %d", newer.code, sibling.code)
		}
		send := func() int {
			n := 0
			for _, sh := range w.node.shards {
				n += sh.send(newer.Name(), "", []byte("1"), 0)
			}
			return n
		}
		newer.subscribe("news", "{}")
		w.publish("news", "1")
		newer.want(`"payload":1`)
		older.Closed(1006, "")
		if n := send(); n < 1 {
			t.Error("the end of the older one took the newer one out of the table")
		}
		newer.want(`"type":"event"`)
		newer.Closed(1006, "")
		sibling.Closed(1006, "")
		if n := len(w.node.roster.stable) + len(w.node.shards[0].sessions) + len(w.node.shards[1].sessions); n != 0 {
			t.Errorf("%d names are left", n)
		}
	}
}

// TestAGivenUpLineDoesNotReplaceTheNewer has what a client sent on a line before it gave it up arrive when the client has
// come back.
func TestAGivenUpLineDoesNotReplaceTheNewer(t *testing.T) {
	for _, loop := range []int{0, 1} {
		w := newWorld(t, addLoop)
		w.pass(time.Minute)
		older := w.dialOn(0)
		w.set(w.now.Add(-time.Second)) // the clock is put right
		newer := w.as(loop, "c-1", "")
		newer.subscribe("chat:lobby", `{"presence":true}`)
		newer.send(`{"type":"publish","id":1,"channel":"news","payload":"after"}`)
		newer.want(`"type":"reply","id":1`)
		older.take()
		older.send(`{"type":"connect","id":1,"payload":{"client":"c-1","info":7}}`, `{"type":"publish","channel":"news","payload":"before"}`)
		older.wantClosed(dialect.CloseReplaced)
		if told := older.take(); len(told) > 0 {
			t.Errorf("the older line was told %s", told)
		}
		older.Closed(1006, "")
		if newer.code != 0 || w.node.roster.named(newer.Name()) != newer.Session || w.members("chat:lobby") != 1 {
			t.Errorf("the newer one was closed with %d, and %d are members", newer.code, w.members("chat:lobby"))
		}
		newer.send(`{"type":"history","id":2,"channel":"news","payload":{"limit":9}}`)
		if page := newer.want(`"type":"reply","id":2`); strings.Contains(page[0], "before") {
			t.Errorf("what the older one sent came to stand behind what the newer had: %s", page)
		}
	}
}

// TestSessionsAreToldApartByTheirNumbers looks where the count begins again.
func TestSessionsAreToldApartByTheirNumbers(t *testing.T) {
	for _, c := range []struct {
		number, than uint32
		later        bool
	}{{2, 1, true}, {1, 2, false}, {1, 1, false}, {0, 1<<32 - 1, true}, {1<<32 - 1, 0, false}} {
		if s, other := (&Session{number: c.number}), (&Session{number: c.than}); s.opened(other) != c.later {
			t.Errorf("%d is later than %d: %v", c.number, c.than, !c.later)
		}
	}
}

// TestNoEchoHoldsOverAReconnect has a client come back after a position before an entry of its own.
func TestNoEchoHoldsOverAReconnect(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.as(0, "c-1", "")
	c.subscribe("news", "{}")
	c.send(`{"type":"publish","channel":"news","payload":"mine","echo":false}`)
	c.Closed(1006, "")
	w.publish("news", `"theirs"`)
	c = w.as(0, "c-1", "")
	c.send(`{"type":"subscribe","id":1,"channel":"news","payload":{"from":{"last":2}}}`)
	c.want(`"type":"reply"`, `"payload":"theirs"`)
}
