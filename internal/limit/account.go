package limit

import (
	"sync/atomic"
	"time"
)

// Kind is what is counted.
type Kind uint8

// The kinds.
const (
	Messages   Kind = iota // from clients
	Bytes                  // of them
	Subscribes             // requests to subscribe
	Publishes
	Calls
	Handshakes
	Refusals // what a limit has refused
	Strikes  // sessions closed for too many refusals

	Kinds // how many there are
)

var kinds = [Kinds]string{"messages", "bytes", "subscribes", "publishes", "calls", "handshakes", "refusals", "strikes"}

// String returns the name, as in a configuration and in metrics.
func (k Kind) String() string { return kinds[k] }

// Rates are a rate for each kind; the zero value of one is no limit.
type Rates [Kinds]Rate

// Limits makes them ready for use.
func (r *Rates) Limits() *Limits {
	var l Limits
	for k := range r {
		l[k] = r[k].Limit()
	}
	return &l
}

// Limits are Rates made ready for use.
type Limits [Kinds]Limit

// Buckets are a bucket for each kind, for one goroutine at a time.
type Buckets [Kinds]Bucket

// Full tells whether all are full.
func (b *Buckets) Full(now time.Duration) bool { return b.FullAt() <= now }

// FullAt tells when all are full.
func (b *Buckets) FullAt() (at time.Duration) {
	for k := range b {
		at = max(at, b[k].full)
	}
	return at
}

// Change is Bucket.Change for each kind.
func (b *Buckets) Change(from, to *Limits, now time.Duration) {
	for k := range b {
		b[k].Change(&from[k], &to[k], now)
	}
}

// An Account is what several sessions have taken together, those of one user or of one address: a bucket for each kind, and
// until when it is banned. It may be used from any goroutine, and takes no lock. The zero value has taken nothing.
type Account struct {
	buckets [Kinds]shared
	banned  atomic.Int64
}

// Take is like Bucket.Take.
func (a *Account) Take(l *Limits, k Kind, now time.Duration, n int64) (wait time.Duration) {
	return a.buckets[k].take(&l[k], now, n)
}

// Wait is like Bucket.Wait.
func (a *Account) Wait(l *Limits, k Kind, now time.Duration, n int64) time.Duration {
	return a.buckets[k].wait(&l[k], now, n)
}

// Owe is like Bucket.Owe.
func (a *Account) Owe(l *Limits, k Kind, now time.Duration, n int64) {
	a.buckets[k].owe(&l[k], now, n)
}

// GiveBack is like Bucket.GiveBack.
func (a *Account) GiveBack(l *Limits, k Kind, n int64) { a.buckets[k].giveBack(&l[k], n) }

// Ban shuts the account out until a time. A ban is not shortened.
func (a *Account) Ban(until time.Duration) { raise(&a.banned, int64(until)) }

// Banned returns how long the account is still shut out; 0 when it is not.
func (a *Account) Banned(now time.Duration) time.Duration {
	return max(time.Duration(a.banned.Load())-now, 0)
}

// Idle tells whether the account is as if it had never been used.
func (a *Account) Idle(now time.Duration) bool {
	return a.full(now) && a.Banned(now) == 0
}

func (a *Account) full(now time.Duration) bool {
	for k := range a.buckets {
		if time.Duration(a.buckets[k].full.Load()) > now {
			return false
		}
	}
	return true
}

// add takes at least as much as other has.
func (a *Account) add(other *Account) {
	for k := range a.buckets {
		raise(&a.buckets[k].full, other.buckets[k].full.Load())
	}
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); old < n; old = v.Load() {
		if v.CompareAndSwap(old, n) {
			return
		}
	}
}
