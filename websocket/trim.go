package websocket

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// trimAfter is how many sockets have to have come or gone before memory is given back,
	// trimQuiet for how long none may have since.
	trimAfter = 1000
	trimQuiet = 3 * time.Second
)

// A trimmer gives memory back to the system after a wave of sockets that came or went.
// What the handshakes of such a wave leave behind would else stay until the next
// collection, which a quiet server may not need for minutes. It holds a timer only while
// a wave is under way.
type trimmer struct {
	mu      sync.Mutex
	wg      sync.WaitGroup // the timer's function
	timer   *time.Timer    // nil while there is no wave
	moves   uint64         // sockets that came or went
	seen    uint64         // moves when the timer looked last
	trimmed uint64         // moves at the last trim
	stopped bool
}

// moved counts a socket that has come or gone.
func (t *trimmer) moved() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moves++
	if t.timer == nil && !t.stopped && t.moves-t.trimmed >= trimAfter {
		t.wait()
	}
}

// wait looks again after trimQuiet. mu is held.
func (t *trimmer) wait() {
	t.seen = t.moves
	t.wg.Add(1)
	t.timer = time.AfterFunc(trimQuiet, t.look)
}

func (t *trimmer) look() {
	defer t.wg.Done()
	if t.quiet() {
		runtime.GC() // compressors that wait in a pool go with the second collection
		debug.FreeOSMemory()
	}
}

// quiet reports whether the wave is over, and else waits on.
func (t *trimmer) quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	switch {
	case t.stopped:
		return false
	case t.moves != t.seen:
		t.wait()
		return false
	}
	t.trimmed = t.moves
	return true
}

// stop ends it, and waits for a trim under way.
func (t *trimmer) stop() {
	t.mu.Lock()
	t.stopped = true
	if t.timer != nil && t.timer.Stop() {
		t.wg.Done()
	}
	t.timer = nil
	t.mu.Unlock()
	t.wg.Wait()
}
