package connect

import (
	"sync"
	"time"
)

// A deadline is a point in time that can be moved.
type deadline struct {
	onPass func() // called when it has passed; nil for nothing. Set once

	mu     sync.Mutex
	timer  *time.Timer
	round  uint64        // counts the moves: the timer of an earlier one is void
	passed chan struct{} // closed when it has passed
}

func newDeadline(onPass func()) *deadline {
	return &deadline{onPass: onPass, passed: make(chan struct{})}
}

// move sets the deadline; the zero time is none.
func (d *deadline) move(t time.Time) {
	d.mu.Lock()
	d.round++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if isClosed(d.passed) {
		d.passed = make(chan struct{})
	}
	wait, round := time.Until(t), d.round
	if wait > 0 {
		d.timer = time.AfterFunc(wait, func() { d.pass(round) })
	}
	d.mu.Unlock()
	if !t.IsZero() && wait <= 0 {
		d.pass(round)
	}
}

// pass is the moment, unless the deadline was moved since.
func (d *deadline) pass(round uint64) {
	d.mu.Lock()
	now := d.round == round
	if now {
		close(d.passed)
	}
	d.mu.Unlock()
	if now && d.onPass != nil {
		d.onPass()
	}
}

// done returns a channel that is closed when the deadline passes, unless it is moved after
// it has passed.
func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

func (d *deadline) hasPassed() bool { return isClosed(d.done()) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
