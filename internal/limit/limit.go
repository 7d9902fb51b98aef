// Package limit holds limits on rates, as functions of the time they are given: it reads no clock, takes no lock and
// starts nothing. Whoever owns a limiter calls it from one goroutine at a time.
//
//	var b limit.Bucket
//	if ok, retryAfter := b.Take(now, 1, 100, 200); !ok {
//		// more than 100 a second, after a burst of 200: try again in retryAfter
//	}
package limit

import (
	"math"
	"time"
)

// A Bucket is a leaky bucket: what is taken fills it, it leaks at a steady rate, and what would make it run over is
// refused. It has 16 bytes; the zero value is an empty bucket. Rate and burst are not kept in it, so that a million
// buckets share them and a change of configuration holds at once.
type Bucket struct {
	level float64 // what it held at time at
	at    int64   // nanoseconds
}

// Take asks for n at a time now (nanoseconds of any clock; steps back count as no time passing). The bucket leaks rate
// per second and holds burst. If n does not fit, nothing is taken, and retryAfter says when it would, if nobody else
// takes anything meanwhile; more than a whole burst is let through when the bucket is empty, since it would never fit.
// A rate of 0 or less means no limit, a burst below 1 means 1.
func (b *Bucket) Take(now int64, n, rate, burst float64) (ok bool, retryAfter time.Duration) {
	if rate <= 0 {
		return true, 0
	}
	burst = max(burst, 1)
	if now > b.at {
		b.level = max(0, b.level-float64(now-b.at)*rate/1e9)
		b.at = now
	}
	room := max(burst-n, 0) // the level at which n fits
	if b.level <= room {
		b.level += n
		return true, 0
	}
	wait := math.Ceil((b.level - room) / rate * 1e9)
	return false, time.Duration(min(wait, math.MaxInt64/2))
}
