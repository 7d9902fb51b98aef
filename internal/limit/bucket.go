package limit

import (
	"sync/atomic"
	"time"
)

// A Bucket is the state of one limit. The zero value is full: nothing has been taken.
type Bucket struct {
	full time.Duration // when it is full again
}

// Take takes n, or nothing and returns how long it takes until n can be taken. What is larger than the burst is taken from
// a full bucket, which then takes the longer to have room again.
func (b *Bucket) Take(l *Limit, now time.Duration, n int64) (wait time.Duration) {
	full, wait := take(l, b.full, now, n)
	if wait == 0 {
		b.full = full
	}
	return wait
}

// Owe takes n in any case and returns how long it takes until the bucket owes nothing.
func (b *Bucket) Owe(l *Limit, now time.Duration, n int64) (wait time.Duration) {
	b.full, wait = owe(l, b.full, now, n)
	return wait
}

// GiveBack undoes a Take of n that was of no use, as when another limit refuses the same thing.
func (b *Bucket) GiveBack(l *Limit, n int64) {
	if l.On() {
		b.full -= l.cost(n)
	}
}

// Full tells whether the bucket is as if it had never been used.
func (b *Bucket) Full(now time.Duration) bool { return b.full <= now }

// take returns when the bucket is full again after n were taken, or how long that has to wait.
func take(l *Limit, full, now time.Duration, n int64) (after, wait time.Duration) {
	if !l.On() {
		return full, 0
	}
	cost, used := l.cost(n), max(full-now, 0)
	if wait := used - max(l.room-cost, 0); wait > 0 {
		return full, wait
	}
	return now + min(used+cost, mostOwed), 0
}

func owe(l *Limit, full, now time.Duration, n int64) (after, wait time.Duration) {
	if !l.On() {
		return full, 0
	}
	used := min(max(full-now, 0)+l.cost(n), mostOwed)
	return now + used, max(used-l.room, 0)
}

// shared is a Bucket for any goroutine.
type shared struct{ full atomic.Int64 }

func (b *shared) take(l *Limit, now time.Duration, n int64) (wait time.Duration) {
	for l.On() {
		full := b.full.Load()
		after, wait := take(l, time.Duration(full), now, n)
		if wait > 0 {
			return wait
		}
		if b.full.CompareAndSwap(full, int64(after)) {
			return 0
		}
	}
	return 0
}

func (b *shared) owe(l *Limit, now time.Duration, n int64) (wait time.Duration) {
	for l.On() {
		full := b.full.Load()
		after, wait := owe(l, time.Duration(full), now, n)
		if b.full.CompareAndSwap(full, int64(after)) {
			return wait
		}
	}
	return 0
}

func (b *shared) giveBack(l *Limit, n int64) {
	if l.On() {
		b.full.Add(-int64(l.cost(n)))
	}
}
