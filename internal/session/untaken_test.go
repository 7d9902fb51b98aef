package session

import (
	"fmt"
	"strings"
	"testing"

	"hocket.dev/dialect"
)

// askForMuch asks for a page of some 100 KB, of which the client takes nothing.
func (c *client) askForMuch() {
	c.send(`{"type":"history","channel":"big"}`)
}

func newWorldWithMuch(t *testing.T, most int64) *world {
	w := newWorld(t, func(c *Config) { c.Limits.UntakenBytes = most })
	for range 10 {
		w.publish("big", `"`+strings.Repeat("x", 10_000)+`"`)
	}
	return w
}

func TestWhoHasTakenNothingForLongestIsClosed(t *testing.T) {
	w := newWorldWithMuch(t, 600_000)
	var all []*client
	for i := range 30 {
		c := w.connect()
		all = append(all, c)
		c.askForMuch()
		if held := w.node.shards[0].untaken.bytes; held > 600_000 {
			t.Fatalf("%d bytes are held for %d clients", held, i+1)
		}
	}
	stay := 0
	for i, c := range all {
		if !c.dropped {
			stay++
		} else if stay > 0 || c.code != dialect.CloseSlowConsumer {
			t.Errorf("client %d is closed with %d, and %d before it are not", i, c.code, stay)
		}
	}
	if stay < 3 || stay > 5 { // of 100 KB each, and what the slice has grown to
		t.Errorf("%d stay", stay)
	}
	for _, c := range all { // a client that takes what it is sent, and those that go, are not counted
		if c.dropped {
			c.Closed(4001, "")
		} else {
			c.take()
		}
	}
	if u := &w.node.shards[0].untaken; u.bytes != 0 || u.slow.Len() != 0 {
		t.Errorf("%d bytes are counted of nobody", u.bytes)
	}
}

func TestWhoTakesWhatItIsSentStays(t *testing.T) {
	w := newWorldWithMuch(t, 600_000)
	good := w.connect()
	for range 20 {
		w.connect().askForMuch()
		good.askForMuch()
		good.want(`"type":"reply"`)
	}
	if good.dropped {
		t.Error("it is closed for others")
	}
}

// The filters of a session have no more room together than the largest one of all has.
func TestFiltersOfASessionAreBoundedTogether(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	var values []string
	for i := range 16 {
		values = append(values, fmt.Sprintf(`"%03d%s"`, i, strings.Repeat("x", 253)))
	}
	filter := `{"filter":{"a":[` + strings.Join(values, ",") + `],"b":[` + strings.Join(values, ",") + `]}}`
	for i := range 8 {
		c.subscribe(fmt.Sprint("c:", i), filter)
	}
	refused := `"code":1430,"name":"limit_reached","message":"the filters of a session may have at most 73728 bytes together"`
	c.send(`{"type":"subscribe","id":1,"channel":"c:8","payload":` + filter + `}`)
	c.want(refused)
	c.subscribe("c:9", "{}")
	c.send(`{"type":"unsubscribe","channel":"c:0"}`)
	c.subscribe("c:8", filter)
	c.send(`{"type":"subscribe","id":1,"channel":"c:0","payload":` + filter + `}`)
	c.want(refused)
}
