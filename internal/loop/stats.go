package loop

import (
	"sync/atomic"
	"time"
)

// Stats are a loop's counters since it started.
type Stats struct {
	Turns   uint64        // turns made
	Posted  uint64        // posted functions run
	Busy    time.Duration // time spent in turns, not waiting
	Longest time.Duration // the longest turn
	Conns   int           // connections attached now
}

// counters is what the loop writes, once per turn, and any goroutine may read.
type counters struct {
	turns, posted atomic.Uint64
	busy, longest atomic.Int64
}

func (s *counters) turn(d time.Duration) {
	s.turns.Add(1)
	s.busy.Add(int64(d))
	if int64(d) > s.longest.Load() {
		s.longest.Store(int64(d))
	}
}

// Stats returns the loop's counters. Each is exact; together they need not be of the same moment.
func (l *Loop) Stats() Stats {
	return Stats{
		Turns:   l.stats.turns.Load(),
		Posted:  l.stats.posted.Load(),
		Busy:    time.Duration(l.stats.busy.Load()),
		Longest: time.Duration(l.stats.longest.Load()),
		Conns:   int(l.conns.Load()),
	}
}
