package loop

import (
	"container/heap"
	"time"
)

// A Timer is a function that waits for its time. It is the loop's: use it there only.
type Timer struct {
	loop  *Loop
	due   time.Duration
	fn    func()
	index int // in the heap, -1 when it has fired or was stopped
}

// After has fn run on the loop when d has passed, a few milliseconds late at most unless the loop is busy. On the loop only.
// For what every connection needs, such as a heartbeat, [Conn.SetAlarm] costs a byte and this an allocation.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	t := &Timer{loop: l, due: l.cfg.now() + max(0, d), fn: fn}
	heap.Push(&l.timers, t)
	return t
}

// Stop keeps the timer from firing. It reports whether it did: false when the timer has fired or was stopped before. On the
// loop only.
func (t *Timer) Stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.loop.timers, t.index)
	return true
}

func (l *Loop) timerStep() {
	if len(l.timers) > 0 {
		start := l.cfg.now()
		for t := l.timers.first(); t != nil && t.due <= start; t = l.timers.first() {
			heap.Pop(&l.timers)
			l.call(t.fn)
			if l.over(start) {
				break
			}
		}
	}
	if l.sweep.at != noSweep {
		l.sweepAlarms(l.cfg.now())
	}
}

// timers is a heap for container/heap. A wheel would be cheaper with many timers; with alarms for what each connection
// needs there are few, and a heap lets an idle loop sleep until the next one.
type timers []*Timer

func (h timers) first() *Timer {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}

// Len implements heap.Interface, as the methods below.
func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].due < h[j].due }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *timers) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
