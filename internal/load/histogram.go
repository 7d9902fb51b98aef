package load

import (
	"math/bits"
	"time"
)

// subBuckets is how many buckets a power of two is divided into: a value is
// known to within 1/64 of itself.
const subBuckets = 64

// Histogram counts durations in buckets whose width grows with the value, so
// that any number of them fits in 30 KB and percentiles are exact to 1.6%. Its
// zero value is ready. It is not safe for concurrent use.
type Histogram struct {
	counts [(64 - 6) * subBuckets]uint64
	total  uint64
	sum    float64 // nanoseconds
	max    time.Duration
}

// Add counts d; a negative d counts as 0.
func (h *Histogram) Add(d time.Duration) { h.AddN(d, 1) }

// AddN counts d n times.
func (h *Histogram) AddN(d time.Duration, n uint64) {
	if n == 0 {
		return
	}
	d = max(d, 0)
	h.counts[bucket(uint64(d))] += n
	h.total += n
	h.sum += float64(d) * float64(n)
	h.max = max(h.max, d)
}

// bucket returns the place of v: itself below 128, then 64 places for each
// power of two.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-7, 0)
	return shift*subBuckets + int(v>>shift)
}

// upper returns the largest value of bucket i.
func upper(i int) uint64 {
	shift := max(i/subBuckets-1, 0)
	return (uint64(i-shift*subBuckets)+1)<<shift - 1
}

// Count returns how many durations were added.
func (h *Histogram) Count() uint64 { return h.total }

// Max returns the largest duration added, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean, 0 when nothing was added.
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.total))
}

// Percentile returns the duration that p percent (0 to 100) of those added do
// not exceed, rounded up to the end of its bucket; 0 when nothing was added.
func (h *Histogram) Percentile(p float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	want := max(uint64(p/100*float64(h.total)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= want {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// Reset forgets everything added.
func (h *Histogram) Reset() { *h = Histogram{} }
