package sim

import (
	"encoding/json"
	"time"
)

// counted is how many entries were removed, as the API says; -1 where it does not.
func counted(said string) int {
	var answer struct{ Result struct{ Removed *int } }
	if json.Unmarshal([]byte(said), &answer) != nil || answer.Result.Removed == nil {
		return -1
	}
	return *answer.Result.Removed
}

// checkCount checks how many entries are said to have been removed: those that were surely there, or more of those that were.
func (w *world) checkCount(r *removing) {
	least, most := 0, 0
	for _, f := range r.epoch.entries {
		g := f.gone
		if g == nil || g.at < r.askedAt || g.at > r.answeredAt || g.Key != r.Key || r.Offset != g.Offset {
			continue
		}
		if most++; f.dropped > g.at && f.ends > g.at {
			least++
		}
	}
	if r.count < least || r.count > most {
		w.fault(r.channel, "clerk", r.answeredAt, "%d entries are said to have been removed with %+v, where it was %d to %d", r.count, r.Removal, least, most)
	}
}

// awaitRead waits until something of a channel is being read, for a while at most: what is removed then is on its way.
func (e *engine) awaitRead(channel string, most time.Duration) {
	for ; most > 0; most -= time.Millisecond {
		e.mu.Lock()
		reading := e.lane(channel).reading > 0
		e.mu.Unlock()
		if reading {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// done notes that a read is over.
func (e *engine) done(reads *int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*reads--
}

// latest is how long after it was appended an entry may come to the node, where that is late.
func (f *faults) latest() time.Duration {
	if f.late == 0 {
		return f.delay
	}
	return 10 * f.delay
}
