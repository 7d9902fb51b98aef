package listen

import (
	"crypto/tls"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"hocket.dev/internal/loop"
)

const (
	// defaultMaxHandshakes is how many handshakes of TLS are under way at once: some 20 KB each while they are.
	defaultMaxHandshakes = 1024
	// maxQueued is how many connections wait for theirs with what the client has begun with; one more closes the oldest.
	maxQueued = 16 << 10
	// defaultHandshakeTimeout is how long a client may keep its handshake waiting, and crowdedShare what is left of that while
	// most places are taken.
	defaultHandshakeTimeout = 10 * time.Second
	crowdedShare            = 5
)

// handshakes does the handshakes of TLS, on goroutines: crypto/tls has no other way. A goroutine has one only between the
// client's first message and the end of the handshake, and computes only in its turn, so that a wave of clients leaves half of
// the processors to those who are there already.
type handshakes struct {
	// Set once.
	listener *Listener
	config   *tls.Config
	places   int
	turns    chan struct{} // holds an entry for each that computes

	mu     sync.Mutex
	taken  int                   // guarded by mu: places
	active map[net.Conn]struct{} // guarded by mu: who has one
	queue  []int                 // guarded by mu: descriptors without a place, oldest first
	over   bool                  // guarded by mu
	wg     sync.WaitGroup
}

// newHandshakes makes the pool of a listener. Its config is completed as http.Server.ServeTLS would.
func newHandshakes(li *Listener) *handshakes {
	config := li.cfg.TLS.Clone()
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	return &handshakes{
		listener: li, config: config, places: li.cfg.MaxHandshakes,
		turns:  make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		active: make(map[net.Conn]struct{}),
	}
}

// server puts TLS on top of a connection, in a way that a loop can take it over.
func (h *handshakes) server(nc net.Conn) *tls.Conn { return tls.Server(loop.NewCarrier(nc), h.config) }

// start begins the handshake of a descriptor, at once or when others have ended theirs.
func (h *handshakes) start(fd int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		closeDescriptor(fd)
	case h.taken < h.places:
		h.taken++
		h.wg.Go(func() { h.work(fd) })
	default:
		if len(h.queue) == maxQueued {
			closeDescriptor(h.queue[0])
			h.queue = slices.Delete(h.queue, 0, 1)
		}
		h.queue = append(h.queue, fd)
	}
}

// work does one handshake after the other until none waits, and gives up the place.
func (h *handshakes) work(fd int) {
	for ok := true; ok; fd, ok = h.next() {
		nc, err := netConn(fd)
		if err != nil {
			continue // it is closed, so the client knows
		}
		if h.begin(nc) {
			h.shake(nc)
		}
	}
}

// next takes the descriptor that has waited longest; ok is false when there is none, and the place given up.
func (h *handshakes) next() (fd int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		h.taken--
		return -1, false
	}
	fd = h.queue[0]
	h.queue = slices.Delete(h.queue, 0, 1)
	return fd, true
}

// begin has close know of the connection. It returns false when that was called, and the connection is closed.
func (h *handshakes) begin(nc net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		_ = nc.Close()
		return false
	}
	h.active[nc] = struct{}{}
	return true
}

// shake does one handshake and hands out the connection.
func (h *handshakes) shake(nc net.Conn) {
	tc := h.server(&guarded{Conn: nc, pool: h})
	err := h.compute(tc)
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	h.mu.Lock()
	delete(h.active, nc)
	h.mu.Unlock()
	if err != nil {
		_ = nc.Close()
		h.listener.cfg.HandshakeFailed(nc.RemoteAddr(), err)
		return
	}
	tc.NetConn().(*loop.Carrier).Conn = nc
	h.listener.give(handoff{nc: tc})
}

// compute does the handshake proper in its turn. A panic, of a function in the program's config, costs this connection.
func (h *handshakes) compute(tc *tls.Conn) (err error) {
	h.turns <- struct{}{}
	defer func() {
		<-h.turns
		if v := recover(); v != nil {
			err = &loop.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return tc.Handshake()
}

// crowded reports whether more than half of the places are taken.
func (h *handshakes) crowded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken > h.places/2
}

// close ends all handshakes.
func (h *handshakes) close() {
	h.mu.Lock()
	h.over = true
	for nc := range h.active {
		_ = nc.Close()
	}
	for _, fd := range h.queue {
		closeDescriptor(fd)
	}
	h.queue = nil
	h.mu.Unlock()
	h.wg.Wait()
}

// guarded is a connection during its handshake. While it waits for the client others have their turn.
type guarded struct {
	net.Conn
	pool   *handshakes
	waited time.Duration
}

// Read implements net.Conn.
func (g *guarded) Read(b []byte) (int, error) { return g.wait(g.Conn.Read, b) }

// Write implements net.Conn.
func (g *guarded) Write(b []byte) (int, error) { return g.wait(g.Conn.Write, b) }

func (g *guarded) wait(op func([]byte) (int, error), b []byte) (int, error) {
	patience := g.pool.listener.cfg.HandshakeTimeout
	if g.pool.crowded() {
		patience /= crowdedShare
	}
	begun := time.Now()
	if err := g.SetDeadline(begun.Add(patience - g.waited)); err != nil {
		return 0, err
	}
	<-g.pool.turns
	n, err := op(b)
	g.pool.turns <- struct{}{}
	g.waited += time.Since(begun)
	return n, err
}
