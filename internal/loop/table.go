package loop

import "time"

// A table holds a loop's connections by slot. A slot is used again as soon as its connection has closed; its generation
// then differs, so that an event meant for the one before is recognised. What is known of a slot stands in arrays of its own:
// together it would take a third more for alignment, and a sweep reads one byte per connection.
type table struct {
	all         []*Conn // nil where the slot is free
	generations []uint32
	ticks       []uint8 // each slot's alarm in seconds to go, 0 for none
	free        []uint32
	armed       int // how many ticks are not 0
}

func (t *table) add(c *Conn) uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		t.all[i] = c
		return i
	}
	t.all = append(t.all, c)
	t.generations = append(t.generations, 0)
	t.ticks = append(t.ticks, 0)
	return uint32(len(t.all) - 1)
}

func (t *table) remove(i uint32) {
	t.setTicks(i, 0)
	t.all[i] = nil
	t.generations[i]++
	t.free = append(t.free, i)
}

// find returns the connection that had slot i in this generation, nil when it has gone.
func (t *table) find(i, generation uint32) *Conn {
	if int(i) >= len(t.all) || t.generations[i] != generation {
		return nil
	}
	return t.all[i]
}

func (t *table) conns() []*Conn {
	var there []*Conn
	for _, c := range t.all {
		if c != nil {
			there = append(there, c)
		}
	}
	return there
}

func (t *table) setTicks(i uint32, ticks uint8) {
	if t.ticks[i] != 0 {
		t.armed--
	}
	if ticks != 0 {
		t.armed++
	}
	t.ticks[i] = ticks
}

// sweepEvery is what one tick of an alarm lasts.
const sweepEvery = time.Second

// noSweep is sweep.at when no sweep is under way.
const noSweep = -1

// A sweep is the pass over all alarms that the loop makes each second while there are any, in pieces if it takes long.
type sweep struct {
	timer *Timer // the next sweep, nil while there is no alarm
	at    int    // the next slot to look at, or noSweep
}

func (l *Loop) setAlarm(i uint32, ticks uint8) {
	l.table.setTicks(i, ticks)
	if ticks == 0 {
		return
	}
	if l.sweep.timer == nil {
		l.sweep.timer = l.After(sweepEvery, l.beginSweep)
		return
	}
	// A sweep that comes in less than a second must not count: an alarm may be late by up to a second, never early.
	soon := l.sweep.timer.due-l.turnAt < sweepEvery
	ahead := l.sweep.at != noSweep && int(i) >= l.sweep.at
	if (soon || ahead) && ticks < 255 {
		l.table.ticks[i]++
	}
}

func (l *Loop) beginSweep() {
	l.sweep.timer = nil
	if l.table.armed == 0 {
		return
	}
	l.sweep.timer = l.After(sweepEvery, l.beginSweep)
	if l.sweep.at == noSweep { // else the last one still runs, and the alarms are late
		l.sweep.at = 0
	}
}

// sweepAlarms counts down and calls those that have reached their time, from where the last turn stopped.
func (l *Loop) sweepAlarms(start time.Duration) {
	for l.sweep.at < len(l.table.ticks) {
		i := uint32(l.sweep.at)
		l.sweep.at++
		if l.table.ticks[i] == 0 {
			continue
		}
		if l.table.ticks[i] > 1 {
			l.table.ticks[i]--
			continue
		}
		l.table.setTicks(i, 0)
		l.table.all[i].alarm()
		if l.over(start) {
			return
		}
	}
	l.sweep.at = noSweep
}
