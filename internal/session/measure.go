package session

import (
	"sync/atomic"

	"hocket.dev/internal/hub"
)

// sampleEvery is how many writes of entries there are for one that is measured: reading the clock costs some 40 ns, of
// the few thousand that a write takes.
const sampleEvery = 16

// Bounds are the upper ends of the buckets of a Histogram, both included; what is larger goes into one more.
type Bounds [12]uint64

// The bounds of what is measured.
var (
	LatencyBounds = Bounds{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000} // ms
	LagBounds     = Bounds{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 20000} // entries
)

// Histogram counts values in buckets. It may be used from any goroutine.
type Histogram struct {
	counts [len(Bounds{}) + 1]atomic.Uint64
	sum    atomic.Uint64
}

// Observe counts a value. bounds are the same each time.
func (h *Histogram) Observe(bounds *Bounds, v uint64) {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

// AddTo adds what has been counted: to counts by bucket, the last one for what lies beyond all bounds, and to sum.
func (h *Histogram) AddTo(counts *[len(Bounds{}) + 1]uint64, sum *uint64) {
	for i := range counts {
		counts[i] += h.counts[i].Load()
	}
	*sum += h.sum.Load()
}

// measure looks at one of sampleEvery writes of entries: how long ago the first of them was published, and how many were
// waiting. What a client catches up with when it subscribes is left out: it is old because the client was not there.
func (sh *Shard) measure(f *follower, slice *hub.Slice, entries int) {
	if entries == 0 {
		return
	}
	sh.writes++
	if sh.writes%sampleEvery != 1 || slice.Time/1000 <= int64(f.since) {
		return
	}
	// The broker's clock may be ahead of this one.
	sh.Counters.LatencyMS.Observe(&LatencyBounds, uint64(max(0, sh.node.cfg.Now().UnixMilli()-slice.Time)))
	sh.Counters.Lag.Observe(&LagBounds, uint64(entries)+f.Behind())
}
