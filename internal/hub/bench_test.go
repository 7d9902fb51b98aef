package hub

import (
	"runtime"
	"strings"
	"testing"
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
