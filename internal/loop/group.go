package loop

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrGroupClosed is the error with which [Group.Close] closes connections, and what [Loop.Attach] returns afterwards.
var ErrGroupClosed = errors.New("loop: the group is closed")

// Config says how a [Group] works. Its zero value is ready to use.
type Config struct {
	// Loops is the number of loops. 0 means max(1, GOMAXPROCS-1): with a loop busy on every P, what else the
	// process does (net/http, a broker's client) waits tens of milliseconds for its turn.
	Loops int

	// Portable chooses the driver with a goroutine per connection on Linux too, for tests in virtual time. On other
	// systems it is the only one.
	Portable bool

	// BufferBytes is the size of the buffer each loop reads sockets into. 0 means 64 KiB.
	BufferBytes int

	// TurnBudget is how long each step of a turn may take before the next step has its turn. 0 means 0.25 ms:
	// what comes in waits for about one turn at most, and a turn without work costs some microseconds.
	TurnBudget time.Duration

	// WriteBufferBytes is how many bytes [Conn.Write] accepts, and has not yet sent, for a connection that is not served by
	// its descriptor. 0 means 64 KiB. With a descriptor the kernel's buffer is the only one.
	WriteBufferBytes int

	// OnPanic is told of panics that no connection can be blamed for, with the value and the stack. It is called on the
	// loop. nil means: log through slog's default logger.
	OnPanic func(value any, stack []byte)

	now func() time.Duration // the clock, for tests; nil means the time since New
}

const (
	defaultBufferBytes = 64 << 10
	defaultTurnBudget  = 250 * time.Microsecond
	scratchBytes       = 64 << 10
)

func (cfg Config) withDefaults() Config {
	if cfg.Loops <= 0 {
		cfg.Loops = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if cfg.BufferBytes <= 0 {
		cfg.BufferBytes = defaultBufferBytes
	}
	if cfg.TurnBudget <= 0 {
		cfg.TurnBudget = defaultTurnBudget
	}
	if cfg.WriteBufferBytes <= 0 {
		cfg.WriteBufferBytes = defaultBufferBytes
	}
	if cfg.OnPanic == nil {
		cfg.OnPanic = func(value any, stack []byte) {
			slog.Error("loop: panic", "value", fmt.Sprint(value), "stack", string(stack))
		}
	}
	if cfg.now == nil {
		start := time.Now()
		cfg.now = func() time.Duration { return time.Since(start) }
	}
	return cfg
}

// A Group is a fixed number of running loops.
type Group struct {
	loops []*Loop
	next  atomic.Uint32
	once  sync.Once
	wg    sync.WaitGroup // the loops and the goroutines of portable connections
}

// New starts the loops. The error is the system's, when it has no descriptors left.
func New(cfg Config) (*Group, error) {
	cfg = cfg.withDefaults()
	g := &Group{}
	for i := range cfg.Loops {
		l, err := newLoop(g, i, cfg)
		if err != nil {
			g.Close()
			return nil, fmt.Errorf("loop: start loop %d of %d: %w", i+1, cfg.Loops, err)
		}
		g.loops = append(g.loops, l)
		g.wg.Go(l.run)
	}
	return g, nil
}

// Close closes every connection with [ErrGroupClosed], runs every function whose Post returned true, drops timers, and returns
// when all goroutines of the group have ended. Bytes that Write has accepted are still sent, for one second at most. Calling
// it again waits for the same end. It must not be called on a loop.
func (g *Group) Close() {
	g.once.Do(func() {
		for _, l := range g.loops {
			l.Post(func() { l.stopping = true })
		}
	})
	g.wg.Wait()
}

// Len returns the number of loops.
func (g *Group) Len() int { return len(g.loops) }

// Loop returns loop i, 0 ≤ i < Len.
func (g *Group) Loop(i int) *Loop { return g.loops[i] }

// Next returns the loop with the fewest connections, each in turn when several have equally few.
func (g *Group) Next() *Loop {
	n := len(g.loops)
	first := int(g.next.Add(1) % uint32(n))
	best := g.loops[first]
	for i := 1; i < n; i++ {
		if l := g.loops[(first+i)%n]; l.conns.Load() < best.conns.Load() {
			best = l
		}
	}
	return best
}
