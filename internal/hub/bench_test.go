package hub

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"hocket.dev/broker"
)

// BenchmarkFanOut is one publish to 5,000 followers on one loop: the walk, and for each Due, Take, Sent and the Take that
// finds nothing more. What a socket costs comes on top.
func BenchmarkFanOut(b *testing.B) {
	const followers = 5000
	w := newWorld(b)
	clients := make([]*client, followers)
	for i := range clients {
		clients[i] = w.place("a")
	}
	payload := strings.Repeat("x", 128)
	b.ReportAllocs()
	for b.Loop() {
		w.publish("a", payload)
		w.loops[0].run()
		for _, c := range clients {
			sl := c.Take(&c.scratch, 64<<10)
			c.Sent(&sl, len(sl.Bytes))
			c.Take(&c.scratch, 64<<10)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/followers, "ns/delivery")
}

// BenchmarkDeliver is what the broker's goroutine does for an entry: append it and make its frame.
func BenchmarkDeliver(b *testing.B) {
	w := newWorld(b)
	w.place("a")
	payload := []byte(strings.Repeat("x", 128))
	epoch := w.epoch("a")
	offset := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		offset++
		w.hub.Deliver("a", epoch, &broker.Entry{Offset: offset, Prev: offset - 1, Payload: payload})
		w.loops[0].run()
	}
}

// BenchmarkSubscribe places a cursor from a window of 100 entries, as in a reconnect storm, and closes it.
func BenchmarkSubscribe(b *testing.B) {
	w := newWorld(b)
	w.many("a", 100)
	w.place("a")
	epoch := w.epoch("a")
	b.ReportAllocs()
	for b.Loop() {
		c := client{w: w}
		w.join(&c, "a", after(epoch, 90))
		c.Close()
	}
}

// BenchmarkCursorMemory tells what a follower costs in memory: its Cursor, and its place in the group.
func BenchmarkCursorMemory(b *testing.B) {
	const followers = 50_000
	for b.Loop() {
		w := newWorld(b)
		owner := &client{w: w}
		cursors := make([]Cursor, followers)
		req := Request{Channel: "a", Owner: owner, Encoding: lines{"m"}, History: w.keep}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range cursors {
			w.hub.Subscribe(req, &cursors[i], func(Placed, error) {})
			w.loops[0].run()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		beside := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / followers
		b.ReportMetric(float64(unsafe.Sizeof(Cursor{}))+beside, "bytes/cursor")
		runtime.KeepAlive(cursors)
	}
}

// BenchmarkFanOutBeside is BenchmarkFanOut while others on the channel use what costs something: filters that leave out
// every entry or none, entries without echo, keys, presence that is gathered on the log beside it, bounds for lag. What
// a plain follower costs must not rise by it. Variants take turns, so that they meet the same machine; plain is the first.
func BenchmarkFanOutBeside(b *testing.B) {
	for _, beside := range []struct {
		name  string
		key   string
		setUp func(w *world)
	}{
		{"plain", "", func(*world) {}},
		{"filters", "", func(w *world) {
			for i := range 16 {
				w.place("a", func(r *Request) { r.Encoding = none{i} })
				w.place("a", tagged(string(rune('a'+i))))
			}
		}},
		{"keys", "k", func(w *world) { w.place("a", from(Start{Kind: State})) }},
		{"presence", "", func(w *world) { w.place("presence", gathered(presenceEvery)) }},
		{"lag", "", func(w *world) { w.place("a", tagged("n"), bound(1<<20, presenceEvery)) }},
	} {
		b.Run(beside.name, func(b *testing.B) {
			w := newWorld(b)
			clients := make([]*client, benchFollowers)
			for i := range clients {
				clients[i] = w.place("a")
			}
			beside.setUp(w)
			entry := broker.Entry{Key: beside.key, Payload: []byte(strings.Repeat("x", 128))}
			b.ReportAllocs()
			spent := time.Duration(0)
			for b.Loop() {
				w.put("a", entry)
				if beside.name == "presence" {
					w.put("presence", entry)
				}
				began := time.Now()
				w.loops[0].run()
				for _, c := range clients {
					sl := c.Take(&c.scratch, 64<<10)
					c.Sent(&sl, len(sl.Bytes))
					c.Take(&c.scratch, 64<<10)
				}
				spent += time.Since(began)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/benchFollowers, "ns/delivery")
		})
	}
}

const (
	benchFollowers = 5000
	presenceEvery  = 200 * time.Millisecond
)

// none is an encoding that tells nothing.
type none struct{ i int }

func (none) AppendEntry(dst []byte, _, _ string, _ *broker.Entry) []byte { return dst }
