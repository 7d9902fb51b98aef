package sim

import (
	"time"
)

// A dice is a source of random numbers that belongs to one thing, so that what others draw does not change what it draws
// (SplitMix64).
type dice struct{ state uint64 }

// throw makes the dice of a thing by the seed, a kind of things and numbers among them.
func throw(seed uint64, kind string, numbers ...uint64) dice {
	h := seed
	for i := range len(kind) {
		h = mix(h ^ uint64(kind[i]))
	}
	for _, n := range numbers {
		h = mix(h ^ n)
	}
	return dice{h}
}

func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return mix(d.state)
}

// n draws from 0 to n-1.
func (d *dice) n(n int) int { return int(d.next() % uint64(n)) }

// between draws from low to high, both included.
func (d *dice) between(low, high int) int { return low + d.n(high-low+1) }

// chance answers true in so many of a hundred cases.
func (d *dice) chance(percent int) bool { return d.n(100) < percent }

// time draws a time, to the nanosecond: so that nearly nothing happens at the same instant as something else, and the order of
// what happens is this package's and not the scheduler's.
func (d *dice) time(low, high time.Duration) time.Duration {
	return low + time.Duration(d.next()%uint64(high-low+1))
}

func pick[T any](d *dice, from []T) T { return from[d.n(len(from))] }
