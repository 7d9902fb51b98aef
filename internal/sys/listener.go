package sys

import (
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Listener goes on when the process has as many files open as it may. A plain listener then fails at every Accept
// while the client waits in the kernel's queue, which either spins or makes everybody wait. This one keeps a spare
// descriptor: it gives it up, takes the connection with it, closes that connection, so that the client knows, and takes
// the spare back. Open connections are not touched.
type Listener struct {
	net.Listener
	log  *slog.Logger
	turn sync.Mutex // held by who gives the spare up, until it is back

	// guarded by mu
	mu     sync.Mutex
	spare  *os.File  // nil when there is none
	closed bool      // no spare is taken any more
	told   time.Time // when the log was told last

	refused atomic.Uint64
}

// NewListener wraps l. It takes one descriptor, the spare. log is told of refused connections, at most once a second.
func NewListener(l net.Listener, log *slog.Logger) *Listener {
	s := &Listener{Listener: l, log: log}
	s.takeSpare()
	return s
}

// Refused counts the connections that were closed because no descriptor was left.
func (l *Listener) Refused() uint64 { return l.refused.Load() }

// Accept waits for the next connection there is a descriptor for. It returns the error of a full process only when the
// spare is gone too; net/http then waits up to a second and tries again.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil || !outOfFiles(err) {
			return c, err
		}
		if c, err := l.acceptWithSpare(err); c != nil || err != nil {
			return c, err
		}
	}
}

// acceptWithSpare accepts while the process is full. It returns neither a connection nor an error when it has refused
// one. full is the error that it returns when there is no spare.
//
// On Linux accept(2) asks for the descriptor before it looks into the queue, so that it fails though nobody waits; the
// Accept here may then block for long. Where it succeeds and descriptors have become free meanwhile, the connection is
// as good as any other.
func (l *Listener) acceptWithSpare(full error) (net.Conn, error) {
	l.turn.Lock()
	defer l.turn.Unlock()
	if !l.giveSpare() {
		if !l.takeSpare() {
			return nil, full
		}
		return nil, nil // there is room again
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.takeSpare()
		return nil, err
	}
	if l.takeSpare() {
		return c, nil
	}
	l.tell() // before the client knows
	c.Close()
	l.takeSpare()
	return nil, nil
}

// Close closes the listener and the spare.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.giveSpare()
	return l.Listener.Close()
}

// takeSpare opens the spare and answers whether it is there.
func (l *Listener) takeSpare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil && !l.closed {
		l.spare, _ = os.Open(os.DevNull)
	}
	return l.spare != nil
}

// giveSpare closes the spare and answers whether there was one.
func (l *Listener) giveSpare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil {
		return false
	}
	l.spare.Close()
	l.spare = nil
	return true
}

// tell counts a refused connection and says so, in the log at most once a second.
func (l *Listener) tell() {
	n := l.refused.Add(1)
	l.mu.Lock()
	now := time.Now()
	due := now.Sub(l.told) >= time.Second
	if due {
		l.told = now
	}
	l.mu.Unlock()
	if due {
		l.log.Warn("no file descriptor is left: new connections are closed", "refused", n)
	}
}
