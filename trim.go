package hocket

import (
	"runtime/debug"
	"time"
)

const (
	// trimAfter is how many sessions have to have come or gone before memory is given back, trimQuiet for how long none
	// may have since, and trimEvery how often it is done at most.
	trimAfter = 1000
	trimQuiet = 3 * time.Second
	trimEvery = 30 * time.Second
)

// trimmer gives memory back to the system after a wave of handshakes or departures. What such a wave leaves behind would
// else stay until the next collection, which a quiet node may not need for minutes: measured at 15,000 sessions, 1.2 KB
// of memory each against 0.7 KB.
type trimmer struct {
	trimmed  uint64 // handshakes and closes at the last trim
	seen     uint64
	changed  time.Time
	lastTrim time.Time
}

// tick looks at the number of handshakes and closes so far, about once a second.
func (t *trimmer) tick(now time.Time, moves uint64) {
	if moves != t.seen {
		t.seen, t.changed = moves, now
		return
	}
	if t.seen-t.trimmed < trimAfter || now.Sub(t.changed) < trimQuiet || now.Sub(t.lastTrim) < trimEvery {
		return
	}
	t.trimmed, t.lastTrim = t.seen, now
	debug.FreeOSMemory()
}
