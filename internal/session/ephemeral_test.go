package session

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/broker/brokertest"
)

// values are those of a channel's state, by key.
func (w *world) values(channel string) string {
	w.t.Helper()
	page, err := w.broker.State(context.Background(), channel, broker.StateQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, e := range page.Entries {
		all = append(all, e.Key+"="+string(e.Payload))
	}
	return strings.Join(all, " ")
}

func (w *world) wantKeys(channel, want string) {
	w.t.Helper()
	w.settle()
	if got := w.values(channel); got != want {
		w.t.Errorf("%s holds %q, want %q", channel, got, want)
	}
}

func TestEphemeralKeysEndWithTheSession(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	a, b := w.connect(), w.connect()
	b.subscribe("board", `{}`)
	a.send(
		`{"type":"publish","channel":"board","key":"a","payload":1,"ephemeral":true}`,
		`{"type":"publish","channel":"board","key":"stays","payload":2}`,
		`{"type":"publish","channel":"board","key":"taken","payload":3,"ephemeral":true}`,
		`{"type":"publish","channel":"board","key":"again","payload":4,"ephemeral":true}`,
		`{"type":"publish","channel":"board","key":"again","payload":5}`,
		`{"type":"publish","channel":"other","key":"a","payload":6,"ephemeral":true}`,
	)
	b.send(`{"type":"publish","channel":"board","key":"taken","payload":7}`)
	b.take()
	w.wantKeys("board", "a=1 stays=2 again=5 taken=7")
	a.Closed(1000, "")
	w.wantKeys("board", "stays=2 taken=7")
	w.wantKeys("other", "")
	told := strings.Join(b.take(), "\n")
	for _, key := range []string{"a", "again"} {
		if want := fmt.Sprintf(`"from":{"user":"","session":%q},"key":%q,"op":"delete"}`, a.Name(), key); !strings.Contains(told, want) {
			t.Errorf("the others were told\n%s\nwant %s", told, want)
		}
	}
}

func TestEphemeralKeysHaveABound(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.EphemeralKeys = 2 })
	c := w.connect()
	publish := func(key, more string) string {
		return fmt.Sprintf(`{"type":"publish","id":1,"channel":"board","key":%q%s}`, key, more)
	}
	const ephemeral = `,"payload":1,"ephemeral":true`
	const refused = `"code":1430,"name":"limit_reached","message":"a session may have at most 2 ephemeral keys"`
	c.send(publish("a", ephemeral), publish("b", ephemeral+`,"ttl_ms":1000`), publish("c", ephemeral))
	c.want(`"reply"`, `"reply"`, refused)
	w.wantKeys("board", "a=1 b=1")
	// What the session has is not counted twice, what it deletes makes room, and so does what ends by itself.
	c.send(publish("a", ephemeral), publish("a", `,"op":"delete"`), publish("c", ephemeral), publish("d", ephemeral))
	c.want(`"reply"`, `"reply"`, `"reply"`, refused)
	w.pass(2 * time.Second)
	c.send(publish("d", ephemeral), publish("e", ephemeral))
	c.want(`"reply"`, refused)
	// What fails takes no room.
	c.send(publish("c", `,"op":"delete"`), publish("e", ephemeral+`,"expect":1`), publish("e", ephemeral))
	c.want(`"reply"`, `"conflict"`, `"reply"`)
	if n := c.owning(); n != 2 {
		t.Errorf("the session owns %d keys", n)
	}
	c.Closed(1006, "")
	w.settle()
	if strings.Contains(w.values("board"), "d=") || strings.Contains(w.values("board"), "e=") || c.estates != nil {
		t.Errorf("left are %s", w.values("board"))
	}
}

func TestEphemeralKeysAreDeletedOnceTheBrokerAnswersAgain(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.send(`{"type":"publish","channel":"board","key":"a","payload":1,"ephemeral":true}`)
	w.broker.Fail(broker.ErrBusy)
	c.Closed(1006, "")
	w.pass(30 * time.Second)
	w.broker.Fail(nil)
	w.wantKeys("board", "a=1")
	w.pass(2 * leaveRetry)
	w.wantKeys("board", "")
	if len(w.loop.timers) != 0 {
		t.Errorf("%d timers are left", len(w.loop.timers))
	}
}

// TestAnEphemeralKeyOfUnknownFateIsDeleted has the broker write a key and not know it.
func TestAnEphemeralKeyOfUnknownFateIsDeleted(t *testing.T) {
	for _, taken := range []bool{false, true} {
		ghost := &ghostly{lie: true, only: "board"}
		w := newWorld(t, func(c *Config) {
			ghost.Lossy = c.Broker.(*brokertest.Lossy)
			c.Broker = ghost
		})
		c, other := w.connect(), w.connect()
		c.send(`{"type":"publish","id":1,"channel":"board","key":"a","payload":1,"ephemeral":true}`)
		c.want(`"unavailable"`)
		want := ""
		if taken {
			other.send(`{"type":"publish","channel":"board","key":"a","payload":2}`)
			want = "a=2"
		}
		c.Closed(1006, "")
		w.wantKeys("board", want)
	}
}

// holding is a broker that keeps its answers back.
type holding struct {
	*brokertest.Lossy
	free string // of this channel it does not
	held []func()
}

func (h *holding) Publish(channel string, e broker.Entry, r broker.Retention, done func(broker.Receipt, error)) {
	if channel == h.free {
		h.Lossy.Publish(channel, e, r, done)
		return
	}
	h.Lossy.Publish(channel, e, r, func(r broker.Receipt, err error) { h.held = append(h.held, func() { done(r, err) }) })
}

func (h *holding) release(w *world) {
	for len(h.held) > 0 {
		held := h.held
		h.held = nil
		for _, answer := range held {
			answer()
		}
		w.settle()
	}
}

func TestAnEphemeralKeyUnderWayIsDeletedWhenItHasArrived(t *testing.T) {
	late := &holding{free: estatesLog}
	w := newWorld(t, func(c *Config) {
		late.Lossy = c.Broker.(*brokertest.Lossy)
		c.Broker = late
	})
	c := w.connect()
	c.send(`{"type":"publish","channel":"board","key":"a","payload":1,"ephemeral":true}`,
		`{"type":"publish","channel":"board","key":"a","payload":2}`)
	c.Closed(1006, "")
	w.wantKeys("board", "a=2")
	late.release(w)
	w.wantKeys("board", "")
}
