package listen

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"hocket.dev/internal/loop"
)

// Config says how a [Listener] works.
type Config struct {
	Loops *loop.Group
	// Upgrade is asked, on a loop, about each request for a WebSocket that comes first on its connection. It either answers
	// by p.Accept and returns true, or returns false, and net/http gets the connection with everything on it. r
	// has no body and no context of its own, and is not used afterwards.
	Upgrade func(p *Pending, r *http.Request) bool
	// TLS, when it is not nil, is what the connections are under. Upgrade is not asked then: Accept hands out *tls.Conn with
	// the handshake behind them, which net/http recognises, and which [loop.Loop.Attach] takes over when net/http has given
	// them up. It is not changed; where it names no protocols, h2 and http/1.1 are offered. net/http closes a connection of
	// h2 without a word when it has no HTTP/2: NextProtos has to be http/1.1 alone then. Its functions may block. Each
	// handshake that waits for one keeps one of the MaxHandshakes places; Close ends the context of ClientHelloInfo, and does
	// not wait for them. The keys of certificates must not block.
	TLS *tls.Config
	// MaxHandshakes is how many handshakes of TLS may be under way at once; others wait. 0 means 1,024.
	MaxHandshakes int
	// MaxHandshakesPerAddress is how many of them may be of one address, of IPv6 of one network of 64 bits; its others wait, and of
	// those that wait addresses have one after the other their turn. So who begins many and says nothing more keeps nobody else
	// waiting. 0 means a quarter.
	MaxHandshakesPerAddress int
	// HandshakeTimeout is how long a client may keep its handshake of TLS waiting, in all its pauses together; 0 means 10 s. While
	// more than half of the places are taken, or of those of its address, it is a fifth of that, so those who say nothing do not
	// keep others out.
	HandshakeTimeout time.Duration
	// HandshakeFailed is called, on any goroutine, for each handshake of TLS that has failed; after Close only for those in which
	// a function of TLS had not returned. nil is allowed.
	HandshakeFailed func(from net.Addr, err error)
	// HeadTimeout is how long a client may take for the head of its first request, or for its first message of TLS, in
	// whole seconds up to 255. 0 means 10 s. Then the connection is closed, as net/http does.
	HeadTimeout time.Duration
	// MaxPending is how many connections per loop may be without a whole head; one more closes the oldest. 0 means 4,096.
	MaxPending int
	// MaxPendingPerAddress is how many of them may be of one address, of IPv6 of one network of 64 bits; one more closes the
	// oldest of these. So who opens connections and says nothing does not close those of others. 0 means a quarter.
	MaxPendingPerAddress int
	// Exempt tells which addresses have no share, but all there is, as those of proxies that carry many clients have. nil: none.
	Exempt func(netip.Addr) bool
	// Proxies says that each connection begins with a header of the PROXY protocol, version 1 or 2, which names the client, and
	// tells which addresses are those of proxies; connections of others are closed. nil: there are no such headers.
	Proxies func(netip.Addr) bool
	// Unnamed is called, on any goroutine, for each connection that was closed because nobody who is believed has named its
	// client: it has come from elsewhere, or does not begin with the header. nil is allowed.
	Unnamed func(from net.Addr, err error)
	// MaxWaiting is how many connections may wait for Accept, as behind a limit that the program sets; one more closes the
	// oldest. 0 means 4,096, what Linux lets a listener keep (net.core.somaxconn).
	MaxWaiting int
	// Refused is called, on any goroutine, for each connection that was closed because the process has no descriptor left.
	// nil is allowed.
	Refused func()
	// Guard wraps the listener where the loops do not accept, which Refused is about: it is to deal with a process that has
	// no descriptor left. nil leaves that to who calls Accept.
	Guard func(net.Listener) net.Listener
}

const (
	defaultHeadTimeout = 10 * time.Second
	defaultMaxPending  = 4096
	defaultMaxWaiting  = 4096
	// maxHeadBytes is how long a head may be to be looked at here; net/http has its own bound for longer ones.
	maxHeadBytes = 16 << 10
)

// A Listener hands out, as a net.Listener, the connections that its loops do not keep.
type Listener struct {
	net.Listener // the one that was wrapped
	cfg          Config
	accepting    *loop.Listening // nil where everything goes to net/http
	perLoop      []queue         // each of its loop
	handshakes   *handshakes     // nil without TLS
	ticks        uint8           // cfg.HeadTimeout in the seconds of an alarm

	mu      sync.Mutex
	waiting []handoff // guarded by mu: for Accept
	over    bool      // guarded by mu: Close was called
	news    chan struct{}
	closed  chan struct{}
	once    sync.Once
}

// New begins to accept the connections of l, which it owns from here on. When it is no *net.TCPListener, or there is no
// epoll, or the system refuses, they all come out of Accept.
func New(l net.Listener, cfg Config) *Listener {
	if cfg.HeadTimeout <= 0 {
		cfg.HeadTimeout = defaultHeadTimeout
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = defaultMaxPending
	}
	if cfg.MaxPendingPerAddress <= 0 {
		cfg.MaxPendingPerAddress = max(cfg.MaxPending/4, 1)
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = defaultMaxWaiting
	}
	if cfg.MaxHandshakes <= 0 {
		cfg.MaxHandshakes = defaultMaxHandshakes
	}
	if cfg.MaxHandshakesPerAddress <= 0 {
		cfg.MaxHandshakesPerAddress = max(cfg.MaxHandshakes/4, 1)
	}
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = defaultHandshakeTimeout
	}
	if cfg.Refused == nil {
		cfg.Refused = func() {}
	}
	if cfg.Exempt == nil {
		cfg.Exempt = func(netip.Addr) bool { return false }
	}
	if cfg.HandshakeFailed == nil {
		cfg.HandshakeFailed = func(net.Addr, error) {}
	}
	li := &Listener{
		Listener: l, cfg: cfg, perLoop: make([]queue, cfg.Loops.Len()),
		ticks: uint8(min(max(cfg.HeadTimeout.Round(time.Second)/time.Second, 1), 255)),
		news:  make(chan struct{}, 1), closed: make(chan struct{}),
	}
	if cfg.TLS != nil {
		li.handshakes = newHandshakes(li)
	}
	if tcp, ok := l.(*net.TCPListener); ok {
		accepting, err := cfg.Loops.Listen(tcp, loop.ListenConfig{Accept: li.look, Refused: cfg.Refused})
		if err == nil {
			li.accepting = accepting
		}
	}
	if li.accepting == nil && cfg.Guard != nil {
		li.Listener = cfg.Guard(l)
	}
	return li
}

// OnLoops reports whether connections are accepted on loops.
func (li *Listener) OnLoops() bool { return li.accepting != nil }

// look takes a connection that was accepted on l.
func (li *Listener) look(l *loop.Loop, fd int, from netip.AddrPort) {
	if li.cfg.Proxies != nil && !li.cfg.Proxies(from.Addr()) {
		closeDescriptor(fd)
		li.unnamed(net.TCPAddrFromAddrPort(from), errStranger)
		return
	}
	q := &li.perLoop[l.Index()]
	p := &Pending{listener: li, from: from, greeted: li.cfg.Proxies == nil}
	q.add(p)
	if q.Len() > li.cfg.MaxPending {
		q.Oldest().end(errTooMany)
	}
	if p.greeted {
		q.count(p)
	}
	l.AttachPeeking(&p.conn, fd, p)
	if p.inQueue.Listed() && !p.refused { // else its request was there
		p.conn.SetAlarm(li.ticks)
	}
}

// A handoff is a connection on its way to Accept: tc, or when that is nil, a descriptor.
type handoff struct {
	fd   int
	from netip.AddrPort // of a client behind a proxy; not valid where it is who has connected
	tc   *tls.Conn
}

// open makes it what Accept returns.
func (o handoff) open(h *handshakes) (net.Conn, error) {
	if o.tc != nil {
		return o.tc, nil
	}
	nc, err := o.netConn()
	if err == nil && h != nil {
		nc = server(nc, h.config) // net/http answers what is no TLS
	}
	return nc, err
}

// close may be called on a loop: the goodbye of TLS, which could block, is left out.
func (o handoff) close() {
	if o.tc != nil {
		_ = o.tc.NetConn().Close()
	} else {
		closeDescriptor(o.fd)
	}
}

// give hands a connection to Accept.
func (li *Listener) give(o handoff) {
	if excess, ok := li.enqueue(o); !ok {
		excess.close()
	}
}

// enqueue puts a connection behind those that wait. ok is false when one is to be closed: this one after Close, or the one that
// has waited longest.
func (li *Listener) enqueue(o handoff) (excess handoff, ok bool) {
	li.mu.Lock()
	defer li.mu.Unlock()
	if li.over {
		return o, false
	}
	ok = true
	if len(li.waiting) == li.cfg.MaxWaiting {
		excess, ok = li.waiting[0], false
		li.waiting = slices.Delete(li.waiting, 0, 1)
	}
	li.waiting = append(li.waiting, o)
	li.signal()
	return excess, ok
}

// netConn makes a descriptor a connection of package net. Upon an error it is closed, so the client knows.
func (o handoff) netConn() (net.Conn, error) {
	f := os.NewFile(uintptr(o.fd), "connection")
	defer f.Close() // the connection has a copy
	nc, err := net.FileConn(f)
	if tcp, ok := nc.(*net.TCPConn); ok && o.from.IsValid() {
		return &loop.Proxied{TCPConn: tcp, From: net.TCPAddrFromAddrPort(o.from)}, nil
	}
	return nc, err
}

func closeDescriptor(fd int) { os.NewFile(uintptr(fd), "connection").Close() }

// signal tells Accept that there is something. mu is held.
func (li *Listener) signal() {
	select {
	case li.news <- struct{}{}:
	default:
	}
}

// Accept waits for the next connection that is for net/http. After Close the error is net.ErrClosed.
func (li *Listener) Accept() (net.Conn, error) {
	if li.accepting == nil {
		return li.acceptOne()
	}
	for {
		if next, ok := li.next(); ok {
			if nc, err := next.open(li.handshakes); err == nil {
				return nc, nil
			}
			continue
		}
		select {
		case <-li.news:
		case <-li.closed:
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: li.Addr(), Err: net.ErrClosed}
		}
	}
}

// acceptOne accepts where loops do not. A handshake of TLS is then net/http's to do, on the goroutine it has for each connection
// in any case.
func (li *Listener) acceptOne() (net.Conn, error) {
	accept := li.Listener.Accept
	if li.cfg.Proxies != nil {
		accept = li.acceptProxied
	}
	nc, err := accept()
	if err == nil && li.handshakes != nil {
		nc = server(nc, li.handshakes.config)
	}
	return nc, err
}

// next takes a connection that waits; ok is false when there is none.
func (li *Listener) next() (o handoff, ok bool) {
	li.mu.Lock()
	defer li.mu.Unlock()
	if len(li.waiting) == 0 {
		return handoff{}, false
	}
	o = li.waiting[0]
	li.waiting = slices.Delete(li.waiting, 0, 1)
	return o, true
}

// Close stops accepting and closes the connections that are without a whole head, in the middle of a handshake of TLS, or wait for
// Accept. It waits for handshakes to end, but not for functions of Config.TLS. It must not be called on a loop.
func (li *Listener) Close() error {
	var err error
	if li.accepting == nil {
		err = li.Listener.Close() // else the loops took it over
	}
	li.once.Do(func() {
		if li.accepting != nil {
			li.accepting.Close()
			for i := range li.perLoop {
				li.cfg.Loops.Loop(i).Post(func() { li.perLoop[i].endAll() })
			}
		}
		if li.handshakes != nil {
			li.handshakes.close()
		}
		li.mu.Lock()
		li.over = true
		close(li.closed)
		waiting := li.waiting
		li.waiting = nil
		li.mu.Unlock()
		for _, o := range waiting {
			o.close()
		}
	})
	return err
}

var (
	errTooMany  = errors.New("listen: too many connections without a request")
	errStranger = errors.New("it is from none of the proxies that are trusted")
	errLate     = errors.New("listen: no whole request in time")
)
