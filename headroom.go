package hocket

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// headroomAfter is how many sessions have to end within a second, and headroomFor for how long there is more room then.
	headroomAfter = 1000
	headroomFor   = 10 * time.Second
	// headroomEvery is how often that is looked at: soon enough that not much is collected before.
	headroomEvery = 200 * time.Millisecond
	// headroomEach is what a session that comes back allocates, and half as much again: 4 KB measured at 18,000, with handshakes and log
	// lines. headroomMost bounds the whole.
	headroomEach = 6 << 10
	headroomMost = 64 << 20
)

// headroom has the heap of a node grow further before it is collected when very many sessions have ended at once. What stays is so
// little then that the clients who come back would have it collected every few hundred milliseconds, and each collection is felt by
// those who are there: measured with 18,000 who come back within 5 s, eight collections of 9 to 26 ms, in each of which a publish waits up to
// 8 ms for its answer instead of 1. The room is no more than what so many allocate, and given up after some seconds.
//
// It works by the percentage that GOGC is, and leaves one alone that somebody else has set meanwhile.
type headroom struct {
	ended uint64 // sessions, by the time at
	at    time.Time
	bytes uint64 // of room, 0 for none
	until time.Time
	usual uint64 // percentage before
	set   uint64 // by this, 0 for none
}

// tick looks at the number of sessions that have ended so far, every headroomEvery.
func (h *headroom) tick(now time.Time, ended uint64) {
	ended = max(ended, h.ended) // one that begins may not have been counted yet
	if since := ended - h.ended; since >= headroomAfter {
		h.bytes = min(h.bytes+since*headroomEach, headroomMost)
		h.until = now.Add(headroomFor)
		h.ended, h.at = ended, now
	} else if now.Sub(h.at) >= time.Second {
		h.ended, h.at = ended, now
	}
	if !h.holds() {
		return
	}
	if now.After(h.until) {
		h.end()
		return
	}
	headroomOf.Lock()
	defer headroomOf.Unlock()
	percent, live := collectorState()
	switch {
	case headroomOf.one != nil && headroomOf.one != h: // there is room
	case h.set != 0 && percent != h.set, percent == collectorOff: // somebody else's, or off
		h.giveUp()
	default:
		h.raise(percent, live)
	}
}

// headroomOf is the one that has changed the percentage, which is the process's: of the nodes of one process whoever is first has it.
var headroomOf struct {
	sync.Mutex
	one *headroom // nil for none
}

// end takes the room back, also when the node ends.
func (h *headroom) end() {
	headroomOf.Lock()
	defer headroomOf.Unlock()
	if percent, _ := collectorState(); h.set != 0 && percent == h.set {
		debug.SetGCPercent(int(h.usual))
	}
	h.giveUp()
}

// giveUp forgets the room. headroomOf is locked.
func (h *headroom) giveUp() {
	if h.bytes, h.set = 0, 0; headroomOf.one == h {
		headroomOf.one = nil
	}
}

// holds reports whether there is more room now.
func (h *headroom) holds() bool { return h.bytes > 0 }

// raise sets the percentage at which live bytes have the room. As that stops the world for a moment, it is for a change that matters.
func (h *headroom) raise(percent, live uint64) {
	if h.set == 0 {
		h.usual = percent
	}
	want := max(h.usual, 100*h.bytes/max(live, leastHeap))
	if 4*want >= 3*percent && 3*want <= 4*percent {
		return
	}
	h.set, headroomOf.one = want, h
	debug.SetGCPercent(int(want))
}

const (
	// leastHeap is what the runtime takes for alive at least when it applies the percentage, in bytes.
	leastHeap = 4 << 20
	// collectorOff is the percentage when there is none.
	collectorOff = math.MaxUint64
)

// collectorState returns the percentage of the collector, and of how many bytes it is: of what was alive when it last ran, and of the
// stacks and variables that it looked through.
func collectorState() (percent, live uint64) {
	samples := []metrics.Sample{
		{Name: "/gc/gogc:percent"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples[1:] {
		live += s.Value.Uint64()
	}
	return samples[0].Value.Uint64(), live
}
