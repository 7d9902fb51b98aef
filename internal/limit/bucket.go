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

// Wait returns how long it takes until n can be taken, 0 when they can be now.
func (b *Bucket) Wait(l *Limit, now time.Duration, n int64) time.Duration {
	_, wait := take(l, b.full, now, n)
	return wait
}

// Owe takes n in any case. What there was no room for has to be made up for before more can be taken.
func (b *Bucket) Owe(l *Limit, now time.Duration, n int64) {
	if l.On() {
		b.full = owe(l, b.full, now, n)
	}
}

// GiveBack undoes a Take of n that was of no use, as when another limit refuses the same thing.
func (b *Bucket) GiveBack(l *Limit, n int64) {
	if l.On() {
		b.full -= l.cost(n)
	}
}

// Change makes a bucket of one limit that of another: so many as have been taken stay taken. Of a limit that is off, and to one,
// it stays as it is.
func (b *Bucket) Change(from, to *Limit, now time.Duration) {
	if owed := b.full - now; owed > 0 && from.On() && to.On() && from.rate != to.rate {
		b.full = now + span(taken(owed, from.rate), to.rate)
	}
}

// Full tells whether the bucket is as if it had never been used.
func (b *Bucket) Full(now time.Duration) bool { return b.full <= now }

// take returns when the bucket is full again after n were taken, or how long that has to wait.
func take(l *Limit, full, now time.Duration, n int64) (after, wait time.Duration) {
	if !l.On() || n <= 0 {
		return full, 0
	}
	cost, used := l.cost(n), max(full-now, 0)
	if wait := used - max(l.room-cost, 0); wait > 0 {
		return full, wait
	}
	return owe(l, full, now, n), 0
}

func owe(l *Limit, full, now time.Duration, n int64) (after time.Duration) {
	return now + min(max(full-now, 0)+l.cost(n), mostOwed)
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

func (b *shared) wait(l *Limit, now time.Duration, n int64) time.Duration {
	if !l.On() {
		return 0
	}
	_, wait := take(l, time.Duration(b.full.Load()), now, n)
	return wait
}

func (b *shared) owe(l *Limit, now time.Duration, n int64) {
	for l.On() {
		full := b.full.Load()
		if b.full.CompareAndSwap(full, int64(owe(l, time.Duration(full), now, n))) {
			return
		}
	}
}

func (b *shared) giveBack(l *Limit, n int64) {
	if l.On() {
		b.full.Add(-int64(l.cost(n)))
	}
}
