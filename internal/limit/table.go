package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tableParts = 16  // with a lock each
	partTraces = 256 // of each part
	lookAt     = 4   // accounts that each call looks at for one to forget
)

// A Table holds the accounts of keys, such as users or addresses: those that are open, and those that were closed before their
// buckets were full again. The latter are forgotten when they are, and their number is bounded.
//
// At that bound one more that is closed leaves a trace: what it has taken goes into one of 4,096 accounts, chosen by a secret
// hash, and a key that is not known begins with what the one it hashes to says. So nobody gets a full bucket by having the
// table forget the emptied one, memory does not grow, and no account that is there makes room for another. Strangers share
// what is left in their trace, until the number of accounts has sunk. Bans leave
// no trace: a stranger is never banned for another.
//
// It may be used from any goroutine. A lock is held for a look into a map, no longer.
type Table[K comparable] struct {
	seed   maphash.Seed
	most   int // closed accounts in one part
	parts  [tableParts]part[K]
	traced atomic.Uint64
}

type part[K comparable] struct {
	mu      sync.Mutex
	entries map[K]*Entry[K]     // guarded by mu
	closed  ByAge[Entry[K]]     // guarded by mu: the accounts that nobody has open
	traces  [partTraces]Account // guarded by mu, but for what is atomic
	until   time.Duration       // guarded by mu: when all traces are full
}

// An Entry is an account in a Table that is open.
type Entry[K comparable] struct {
	Account
	table *Table[K]
	key   K

	// guarded by the part's mu
	held  int
	place Place[Entry[K]] // in closed
}

// NewTable makes a Table that remembers at most so many accounts that are not open.
func NewTable[K comparable](most int) *Table[K] {
	t := &Table[K]{seed: maphash.MakeSeed(), most: (most + tableParts - 1) / tableParts}
	for i := range t.parts {
		t.parts[i].entries = make(map[K]*Entry[K])
	}
	return t
}

// Open returns the account of a key, which stays until as many calls of Close, and how many have it open, this one included.
func (t *Table[K]) Open(key K, now time.Duration) (e *Entry[K], open int) {
	h := maphash.Comparable(t.seed, key)
	p := &t.parts[h%tableParts]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	e = p.entries[key]
	if e == nil {
		e = &Entry[K]{table: t, key: key}
		if p.until > now {
			e.add(p.trace(h))
		}
		p.entries[key] = e
	} else {
		p.closed.Remove(&e.place)
	}
	e.held++
	return e, e.held
}

// Close says that the account is not used any more by one who has opened it.
func (e *Entry[K]) Close(now time.Duration) {
	t := e.table
	h := maphash.Comparable(t.seed, e.key)
	p := &t.parts[h%tableParts]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	if e.held--; e.held > 0 {
		return
	}
	switch {
	case e.Idle(now):
		delete(p.entries, e.key)
	case p.closed.Len() >= t.most:
		t.traced.Add(1)
		trace := p.trace(h)
		trace.add(&e.Account)
		for k := range trace.buckets {
			p.until = max(p.until, time.Duration(trace.buckets[k].full.Load()))
		}
		delete(p.entries, e.key)
	default:
		p.closed.Add(&e.place, e)
	}
}

// Open tells how many have the account open.
func (e *Entry[K]) Open() int {
	p := &e.table.parts[maphash.Comparable(e.table.seed, e.key)%tableParts]
	p.mu.Lock()
	defer p.mu.Unlock()
	return e.held
}

// Look calls fn with the account of a key, and how many have it open.
func (t *Table[K]) Look(key K, now time.Duration, fn func(a *Account, open int)) {
	e, open := t.Open(key, now)
	defer e.Close(now)
	fn(&e.Account, open-1)
}

// Len counts the accounts that are open or remembered.
func (t *Table[K]) Len() (n int) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		n += len(p.entries)
		p.mu.Unlock()
	}
	return n
}

// Traced counts the accounts that the bound has kept from being remembered.
func (t *Table[K]) Traced() uint64 { return t.traced.Load() }

// Sweep forgets accounts that are idle, of those that have waited longest for it: a few of them, so that it may be called
// often. Open and Close do the same; it is for times in which nobody comes.
func (t *Table[K]) Sweep(now time.Duration) {
	const rounds = 64
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for range rounds {
			p.forget(now)
		}
		p.mu.Unlock()
	}
}

// trace is where the accounts of a hash leave their buckets.
func (p *part[K]) trace(h uint64) *Account { return &p.traces[h/tableParts%partTraces] }

// forget looks at the accounts that have waited longest. mu is held.
func (p *part[K]) forget(now time.Duration) {
	for range min(lookAt, p.closed.Len()) {
		e := p.closed.Oldest()
		p.closed.Remove(&e.place)
		if e.Idle(now) {
			delete(p.entries, e.key)
		} else {
			p.closed.Add(&e.place, e)
		}
	}
}

// Address returns what an address is counted as: an IPv4 address as itself, also one written as IPv6, of IPv6 the network of
// 64 bits, which is what one subscriber has.
func Address(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		network, _ := a.Prefix(64) // 64 bits are within an address
		return network.Addr()
	}
	return a
}
