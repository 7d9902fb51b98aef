package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// TestIdleSessionsAreSmall keeps what every idle session costs in sight. A structure may grow: then the measured costs
// in docs/performance.md are to be measured again.
func TestIdleSessionsAreSmall(t *testing.T) {
	for _, part := range []struct {
		name       string
		size, most uintptr
	}{
		{"Session", unsafe.Sizeof(Session{}), 192},
		{"subscription", unsafe.Sizeof(subscription{}), 176},
	} {
		if part.size > part.most {
			t.Errorf("a %s has %d bytes, more than %d", part.name, part.size, part.most)
		}
	}
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("chat:lobby", "{}")
	c.send(`{"type":"ping"}`, `{"type":"history","channel":"chat:lobby"}`)
	c.take()
	if c.open != nil || c.out != nil || c.due != (followers{}) {
		t.Errorf("an idle session holds %v, %v and %v", c.open, c.out, c.due)
	}
}

// TestCutsMakeNoDifference takes the same conversation in pieces of any size.
func TestCutsMakeNoDifference(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, func(*Config) {})
		c := w.connect()
		var want = map[string][]string{}
		channels := rapid.SampledFrom([]int{1, 5}).Draw(r, "channels") // with one, sessions send at once
		for i := range channels {
			c.subscribe(fmt.Sprint("c:", i), "{}")
		}
		var got []string
		steps := rapid.IntRange(1, 60).Draw(r, "steps")
		for step := range steps {
			name := fmt.Sprint("c:", rapid.IntRange(0, channels-1).Draw(r, "channel"))
			switch rapid.IntRange(0, 9).Draw(r, "what") {
			case 0:
				c.send(fmt.Sprintf(`{"type":"ping","id":%d}`, step))
				want["pong"] = append(want["pong"], fmt.Sprintf(`{"type":"pong","id":%d}`, step))
			case 1, 2, 3:
				c.write(rapid.SampledFrom([]int{1, 3, 100, 4095, 5000, 70000}).Draw(r, "room"))
				got = append(got, c.messages()...)
			default:
				size := rapid.SampledFrom([]int{0, 1, 120, 5000, 20000, 70000}).Draw(r, "size")
				payload := fmt.Sprintf(`"%d%s"`, step, strings.Repeat("x", size))
				c.room = rapid.SampledFrom([]int{0, 1, 100, 4095, 5000, 1 << 20}).Draw(r, "room of the socket")
				w.publish(name, payload)
				got = append(got, c.messages()...)
				want[name] = append(want[name], payload)
			}
		}
		for c.write(rapid.SampledFrom([]int{1000, 4097, 1 << 20}).Draw(r, "room")) > 0 {
			got = append(got, c.messages()...)
		}
		if len(c.stream) != 0 {
			r.Fatalf("%d bytes of a frame are left", len(c.stream))
		}
		have := map[string][]string{}
		for _, msg := range got {
			if strings.HasPrefix(msg, `{"type":"pong"`) {
				have["pong"] = append(have["pong"], msg)
				continue
			}
			_, rest, _ := strings.Cut(msg, `"channel":"`)
			name, rest, _ := strings.Cut(rest, `"`)
			_, rest, _ = strings.Cut(rest, `"payload":`)
			have[name] = append(have[name], strings.TrimSuffix(rest, "}"))
		}
		for name := range want {
			if !slices.Equal(have[name], want[name]) {
				r.Errorf("%s: got %d messages, want %d in order", name, len(have[name]), len(want[name]))
			}
		}
		c.Closed(1000, "")
	})
}

// TestFramesOfTheirOwnAreCutSafely takes what is made for one session alone, in memory that the loop uses again.
func TestFramesOfTheirOwnAreCutSafely(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	for i := range 6 {
		w.publish(fmt.Sprint("c:", i%2), fmt.Sprintf(`"%d%s"`, i, strings.Repeat("x", 9000)))
	}
	w.publish("other", `"`+strings.Repeat("o", 30_000)+`"`)
	c := w.connect()
	c.send(`{"type":"subscribe","channel":"c:0","payload":{"from":{"last":3}}}`, `{"type":"subscribe","channel":"c:1","payload":{"from":{"last":3}}}`)
	var got []string
	for c.write(1777) > 0 {
		got = append(got, c.messages()...)
		other := w.dial() // somebody else uses the same memory
		other.send(`{"type":"subscribe","channel":"other","payload":{"from":{"last":3}}}`)
		other.take()
		other.Closed(1000, "")
	}
	want := map[string]int{"0x": 0, "2x": 1, "4x": 2, "1x": 0, "3x": 1, "5x": 2}
	at := map[byte]int{}
	for _, msg := range got {
		_, payload, _ := strings.Cut(msg, `"payload":"`)
		if n, ok := want[payload[:2]]; !ok || at[payload[0]%2] != n || strings.Count(payload, "x") != 9000 {
			t.Errorf("out of order or changed: %.100s", msg)
		}
		at[payload[0]%2]++
	}
	if len(got) != 6 {
		t.Errorf("%d messages came, want 6", len(got))
	}
}

func TestReadingStopsWhileTheOutboxIsFull(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.OutboxBytes = 4000 })
	c := w.connect()
	pings := 0
	for ; c.reading; pings++ {
		if pings > 1000 {
			t.Fatal("the session is read on although nothing is taken")
		}
		c.send(`{"type":"ping","id":1}`)
	}
	if c.Waiting() <= 2000 || c.Waiting() > 2100 {
		t.Errorf("it stopped with %d bytes waiting, want just over half", c.Waiting())
	}
	c.write(c.Waiting() - 1)
	if c.reading {
		t.Error("it is read again before everything has been taken")
	}
	if got := len(c.messages()) + len(c.take()); got != pings || !c.reading {
		t.Errorf("%d of %d answers came, reading %v", got, pings, c.reading)
	}
	// What the transport itself wants to say counts too.
	for range 100 {
		c.Raw(make([]byte, 127))
	}
	if c.reading || !c.Paused() {
		t.Error("frames of the transport do not stop reading")
	}
}

func TestAnOutboxBeyondItsBoundCloses(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.OutboxBytes, c.Limits.HistoryBytes = 4000, 1000 })
	c := w.connect()
	events := 0
	for ; c.code == 0 && events < 1000; events++ {
		w.node.shards[0].send(c.name, "", make([]byte, 100), 0)
	}
	c.wantClosed(dialect.CloseSlowConsumer)
	if n := c.Waiting(); n > 6000+200 {
		t.Errorf("%d bytes wait, more than the bound", n)
	}
}

// TestABusyOutboxDoesNotGrow has a client that takes as much as comes, but never all of it.
func TestABusyOutboxDoesNotGrow(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.send(`{"type":"ping","id":"the first"}`)
	for range 20_000 {
		c.send(`{"type":"ping","id":1}`)
		c.write(4 + len(`{"type":"pong","id":1}`))
		c.messages()
	}
	if n := cap(c.out.buf); n > 4*spareBytes {
		t.Errorf("the outbox has grown to %d bytes for %d that wait", n, c.Waiting())
	}
}

func TestPagesAreReadOneAfterAnother(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.OutboxBytes = 4000 })
	for range 30 {
		w.publish("news", `"`+strings.Repeat("n", 200)+`"`)
	}
	c := w.connect()
	for i := range 8 {
		c.send(fmt.Sprintf(`{"type":"history","id":%d,"channel":"news"}`, i))
	}
	if n := c.Waiting(); n > 12_000 {
		t.Errorf("%d bytes of pages wait at once", n)
	}
	var parts []string
	for i := range 8 {
		parts = append(parts, fmt.Sprintf(`{"type":"reply","id":%d,`, i))
	}
	c.want(parts...)
	if c.open != nil {
		t.Errorf("requests are left: %+v", c.open)
	}
}

func TestAnUnfinishedFrameIsHeldForTenSeconds(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("files", "{}")
	w.publish("files", `"`+strings.Repeat("f", 20_000)+`"`)
	c.write(100)
	if !c.Pinned() || c.Stuck() {
		t.Fatalf("pinned %v, stuck %v after a part of a large frame", c.Pinned(), c.Stuck())
	}
	w.pass(pinFor - 100*time.Millisecond)
	if c.Stuck() {
		t.Error("stuck before its time")
	}
	w.pass(100 * time.Millisecond)
	if !c.Stuck() {
		t.Error("not stuck after ten seconds")
	}
	if got := c.take(); len(got) != 1 || c.Pinned() || c.Stuck() {
		t.Errorf("%d messages; pinned %v, stuck %v after the rest", len(got), c.Pinned(), c.Stuck())
	}
	// What is sent at once is watched over in the same way.
	c.room, c.watched = 100, false
	w.publish("files", `"`+strings.Repeat("f", 20_000)+`"`)
	if !c.Pinned() || !c.watched {
		t.Errorf("pinned %v, watched %v after a part sent at once", c.Pinned(), c.watched)
	}
	if got := c.take(); len(got) != 1 {
		t.Errorf("%d messages after the rest", len(got))
	}
	// A small rest is copied: it keeps nothing alive.
	w.publish("files", `"`+strings.Repeat("f", 3000)+`"`)
	c.write(100)
	if c.Pinned() {
		t.Error("a small frame is pinned")
	}
	c.take()
}

func TestPositionsAreToldOnceASecond(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("a", "{}")
	c.subscribe("b", "{}")
	for i := range 40 {
		name := "a"
		if i >= 20 {
			name = "b" // half a second after a
		}
		c.send(fmt.Sprintf(`{"type":"publish","channel":%q,"payload":%d,"echo":false}`, name, i))
		c.write(1 << 20)
		if i == 19 {
			w.pass(500 * time.Millisecond)
		}
	}
	if n := len(w.node.shards[0].owing); n != 2 {
		t.Errorf("%d positions are owed, want 2", n)
	}
	w.pass(600 * time.Millisecond)
	c.want(`{"type":"position","channel":"a","offset":20}`, `{"type":"position","channel":"b","offset":20}`)
	w.pass(10 * time.Second)
	c.want()
}

// A client that asks again from before a gap is not to get once more what it has passed.
func TestAPositionIsToldBeforeAGap(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("a", "{}")
	c.send(`{"type":"publish","channel":"a","payload":1,"echo":false}`)
	c.want()
	w.publish("a", `2`)
	w.publish("a", `3`)
	w.hub.Removed("a", broker.Removal{UpTo: 3})
	w.settle()
	c.want(`{"type":"position","channel":"a","offset":1}`, `{"type":"gap","channel":"a","payload":{"from":2,"to":3,"reason":"removed"}}`)
	w.pass(2 * time.Second)
	c.want() // it is told once
}
