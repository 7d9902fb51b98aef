package listen

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"hocket.dev/internal/loop"
)

const (
	// defaultMaxHandshakes is how many handshakes of TLS are under way at once: some 20 KB each while they are.
	defaultMaxHandshakes = 1024
	// maxQueued is how many connections wait for theirs with what the client has begun with; one more closes the oldest. A quarter
	// of them may be of one address.
	maxQueued = 16 << 10
	// defaultHandshakeTimeout is how long a client may keep its handshake waiting, and crowdedShare what is left of that while
	// most places are taken, or most of those that its address may have.
	defaultHandshakeTimeout = 10 * time.Second
	crowdedShare            = 5
)

// handshakes does the handshakes of TLS, on goroutines: crypto/tls has no other way. A goroutine has one only between the
// client's first message and the end of the handshake, and computes only in its turn, so that a wave of clients leaves half of
// the processors to those who are there already. The places, and what waits for one, are shared between addresses.
type handshakes struct {
	// Set once.
	listener *Listener
	config   *tls.Config   // for connections whose handshake net/http does
	yielding *tls.Config   // for those whose handshake is done here
	turns    chan struct{} // holds an entry for each that computes

	mu     sync.Mutex
	line   lineup                          // guarded by mu: of places, and of descriptors without one
	away   int                             // guarded by mu: how many handshakes are in a function of the program's
	active map[net.Conn]context.CancelFunc // guarded by mu: who has a place
	over   bool                            // guarded by mu
	quiet  *sync.Cond                      // of mu: line.taken or away have changed
}

// newHandshakes makes the pool of a listener. Its config is completed as http.Server.ServeTLS would.
func newHandshakes(li *Listener) *handshakes {
	config := li.cfg.TLS.Clone()
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	h := &handshakes{
		listener: li, config: config,
		turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		line: lineup{
			places: li.cfg.MaxHandshakes, placesOfOne: li.cfg.MaxHandshakesPerAddress,
			waiters: maxQueued, waitersOfOne: maxQueued / 4,
			exempt: li.cfg.Exempt, callers: make(map[netip.Addr]*caller),
		},
		active: make(map[net.Conn]context.CancelFunc),
	}
	h.quiet = sync.NewCond(&h.mu)
	h.yielding = h.yield(config) // once: the keys of session tickets are the config's, and all connections share them
	return h
}

// server puts TLS on top of a connection, in a way that a loop can take it over.
func server(nc net.Conn, config *tls.Config) *tls.Conn {
	return tls.Server(loop.NewCarrier(nc), config)
}

// start begins the handshake of a descriptor, at once or when others have ended theirs.
func (h *handshakes) start(o handoff, from netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		closeDescriptor(o.fd)
		return
	}
	c, excess := h.line.arrive(o, from)
	if c != nil {
		go h.work(o, c) // close waits for the place
	}
	for _, o := range excess {
		closeDescriptor(o.fd)
	}
}

// work does one handshake after the other until none waits, and gives up the place.
func (h *handshakes) work(o handoff, c *caller) {
	for ; c != nil; o, c = h.next(c) {
		nc, err := o.netConn()
		if err != nil {
			continue // it is closed, so the client knows
		}
		if ctx, ok := h.begin(nc); ok {
			h.shake(ctx, nc, c)
		}
	}
}

// next gives up the place of a caller's for that of another descriptor; of is nil when there is none.
func (h *handshakes) next(c *caller) (o handoff, of *caller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, of = h.line.leave(c); of == nil {
		h.quiet.Broadcast()
	}
	return o, of
}

// begin has close know of the connection, which ends the context. It returns false when that was called, and the connection is
// closed.
func (h *handshakes) begin(nc net.Conn) (ctx context.Context, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		_ = nc.Close()
		return nil, false
	}
	ctx, h.active[nc] = context.WithCancel(context.Background())
	return ctx, true
}

// end makes close forget the connection.
func (h *handshakes) end(nc net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active[nc]() // of no effect on what has ended; it frees the context
	delete(h.active, nc)
}

// shake does one handshake and hands out the connection.
func (h *handshakes) shake(ctx context.Context, nc net.Conn, c *caller) {
	tc := server(&guarded{Conn: nc, pool: h, caller: c}, h.yielding)
	err := h.compute(ctx, tc)
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	h.end(nc)
	if err != nil {
		_ = nc.Close()
		h.listener.cfg.HandshakeFailed(nc.RemoteAddr(), err)
		return
	}
	tc.NetConn().(*loop.Carrier).Conn = nc
	h.listener.give(handoff{tc: tc})
}

// compute does the handshake proper in its turn. A panic, of a function in the program's config, costs this connection.
func (h *handshakes) compute(ctx context.Context, tc *tls.Conn) (err error) {
	h.turns <- struct{}{}
	defer func() {
		<-h.turns
		if v := recover(); v != nil {
			err = &loop.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return tc.HandshakeContext(ctx)
}

// patience is how long one of a caller's handshakes may wait for its client.
func (h *handshakes) patience(c *caller) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.line.crowded(c) {
		return h.listener.cfg.HandshakeTimeout / crowdedShare
	}
	return h.listener.cfg.HandshakeTimeout
}

// close ends all handshakes. It waits for them, except where a function of the program's does not return: http.Server calls
// close with its lock held.
func (h *handshakes) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	for _, cancel := range h.active {
		cancel() // crypto/tls closes the connection
	}
	for _, o := range h.line.clear() {
		closeDescriptor(o.fd)
	}
	for h.line.taken > h.away {
		h.quiet.Wait()
	}
}

// guarded is a connection during its handshake. While it waits for the client others have their turn.
type guarded struct {
	net.Conn
	pool   *handshakes
	caller *caller
	waited time.Duration
}

// Read implements net.Conn.
func (g *guarded) Read(b []byte) (int, error) { return g.wait(g.Conn.Read, b) }

// Write implements net.Conn.
func (g *guarded) Write(b []byte) (int, error) { return g.wait(g.Conn.Write, b) }

func (g *guarded) wait(op func([]byte) (int, error), b []byte) (int, error) {
	begun := time.Now()
	if err := g.SetDeadline(begun.Add(g.pool.patience(g.caller) - g.waited)); err != nil {
		return 0, err
	}
	<-g.pool.turns
	n, err := op(b)
	g.pool.turns <- struct{}{}
	g.waited += time.Since(begun)
	return n, err
}
