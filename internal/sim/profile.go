package sim

import (
	"strings"
	"time"

	"hocket.dev"
)

// A profile is what kind of world a seed is.
type profile struct {
	loops       int
	windowBytes int64 // the node's, for all windows
	limits      hocket.Limits
	compression bool
	keep        int // entries that the rules keep
	rules       []hocket.Rule
	channels    []string
	quality     quality
	doomed      int // percent of links that something happens to
	faults      faults
	outages     int
	losses      int // of what the engine holds
	restarts    int
	hands       int      // clients that speak by hand
	visitors    int      // of them besides, with many short sessions
	kits        int      // clients with the SDK
	lives       int      // sessions of each client, one after another
	busy        int      // things a client does in one of them, at most
	narrow      bool     // windows hold little, and so do lines
	fat         int      // percent of large payloads
	slow        []string // channels of those who are slow
	lasts       time.Duration
}

// draw makes the profile of a seed.
func draw(seed uint64) profile {
	d := throw(seed, "profile")
	p := profile{
		loops: d.between(1, 3), windowBytes: 1 << 20, compression: d.chance(15),
		keep: pick(&d, []int{3, 10, 40, 300}), doomed: pick(&d, []int{0, 30, 60}),
		hands: d.between(3, 6), visitors: d.between(2, 4), kits: d.between(1, 3), lives: d.between(4, 9), busy: d.between(3, 12),
		lasts: d.time(8*time.Second, 20*time.Second),
	}
	p.quality = quality{
		delay: [2]time.Duration{time.Microsecond, pick(&d, []time.Duration{
			20 * time.Microsecond, 5 * time.Millisecond, 200 * time.Millisecond,
		})},
		pieces: pick(&d, []int{0, 0, 30}), capacity: pick(&d, []int{2 << 10, 16 << 10, 64 << 10}),
		waits: pick(&d, []int{1 << 10, 4 << 10, 64 << 10}),
	}
	if d.chance(60) {
		p.faults.delay = pick(&d, []time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond})
		p.faults.late = pick(&d, []int{0, 10})
	}
	if d.chance(50) {
		p.faults.publish, p.faults.answer, p.faults.read = d.n(15), d.n(15), d.n(15)
	}
	if d.chance(50) {
		p.faults.lose, p.faults.announced = d.n(20), d.n(100)
	}
	p.faults.replica = d.n(100)
	p.faults.page = pick(&d, []int{0, 0, 1, 2, 7})
	if d.chance(35) {
		p.outages = d.between(1, 2)
	}
	if d.chance(25) {
		p.losses = d.between(1, 2)
	}
	if d.chance(25) {
		p.restarts = 1
	}
	p.channels = append(p.channels, everywhere...)
	narrow := 15
	for _, name := range elsewhere {
		if d.chance(40) {
			p.channels = append(p.channels, name)
			if kinds[name].overflow != 0 {
				narrow += 15
			}
		}
	}
	if p.narrow = d.chance(narrow); p.narrow {
		p.windowBytes, p.busy = pick(&d, []int64{4 << 10, 24 << 10}), 30
		p.quality.waits, p.quality.capacity = pick(&d, []int{1 << 10, 4 << 10}), pick(&d, []int{2 << 10, 16 << 10})
		p.fat = pick(&d, []int{0, 60})
	}
	if p.tight() && d.chance(50) {
		p.limits.LagBytes, p.limits.LagAge = pick(&d, []int64{0, 3000}), pick(&d, []time.Duration{0, 700 * time.Millisecond})
	}
	if p.restarts > 0 {
		p.faults.publish, p.faults.answer, p.outages = 0, 0, 0 // a leave that is lost at the end is lost
	}
	p.drawSlow(throw(seed, "slow"))
	p.rules = rules(hocket.History{Count: p.keep})
	return p
}

// tight says that windows, or the bounds of lag, are so small that cursors are left behind.
func (p *profile) tight() bool { return p.narrow || len(p.slow) > 0 }

// roomy says that nobody is left behind by a window: by the bounds of lag alone.
func (p *profile) roomy() bool { return !p.narrow }

// kept is how many entries of a channel its log keeps.
func (p *profile) kept(channel string) int {
	switch {
	case kinds[channel].nothing:
		return 0
	case strings.HasPrefix(channel, presence):
		return 1000
	case kinds[channel].keeps > 0:
		return kinds[channel].keeps
	}
	return p.keep
}
