package listen

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
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
	// HeadTimeout is how long a client may take for the head of its first request, in whole seconds up to 255. 0 means
	// 10 s. Then the connection is closed, as net/http does.
	HeadTimeout time.Duration
	// MaxPending is how many connections per loop may be without a whole head; one more closes the oldest. 0 means 4,096.
	MaxPending int
	// Refused is called, on any goroutine, for each connection that was closed because the process has no descriptor left.
	// nil is allowed.
	Refused func()
}

const (
	defaultHeadTimeout = 10 * time.Second
	defaultMaxPending  = 4096
	// maxHeadBytes is how long a head may be to be looked at here; net/http has its own bound for longer ones.
	maxHeadBytes = 16 << 10
)

// A Listener hands out, as a net.Listener, the connections that its loops do not keep.
type Listener struct {
	net.Listener // the one that was wrapped
	cfg          Config
	accepting    *loop.Listening // nil where everything goes to net/http
	perLoop      []queue         // each of its loop
	ticks        uint8           // cfg.HeadTimeout in the seconds of an alarm

	mu      sync.Mutex
	waiting []int // guarded by mu: descriptors for Accept
	over    bool  // guarded by mu: Close was called
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
	if cfg.Refused == nil {
		cfg.Refused = func() {}
	}
	li := &Listener{
		Listener: l, cfg: cfg, perLoop: make([]queue, cfg.Loops.Len()),
		ticks: uint8(min(max(cfg.HeadTimeout.Round(time.Second)/time.Second, 1), 255)),
		news:  make(chan struct{}, 1), closed: make(chan struct{}),
	}
	if tcp, ok := l.(*net.TCPListener); ok {
		accepting, err := cfg.Loops.Listen(tcp, loop.ListenConfig{Accept: li.look, Refused: cfg.Refused})
		if err == nil {
			li.accepting = accepting
		}
	}
	return li
}

// OnLoops reports whether connections are accepted on loops.
func (li *Listener) OnLoops() bool { return li.accepting != nil }

// look takes a connection that was accepted on l.
func (li *Listener) look(l *loop.Loop, fd int, from netip.AddrPort) {
	q := &li.perLoop[l.Index()]
	p := &Pending{listener: li, from: from}
	q.add(p)
	if q.n > li.cfg.MaxPending {
		q.first.end(errTooMany)
	}
	l.AttachPeeking(&p.conn, fd, p)
	if p.queued { // else its request was there
		p.conn.SetAlarm(li.ticks)
	}
}

// pass hands a descriptor to Accept.
func (li *Listener) pass(fd int) {
	li.mu.Lock()
	defer li.mu.Unlock()
	if li.over {
		closeDescriptor(fd)
		return
	}
	li.waiting = append(li.waiting, fd)
	li.signal()
}

// netConn makes a descriptor a connection of package net. Upon an error it is closed, so the client knows.
func netConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // the connection has a copy
	return net.FileConn(f)
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
		return li.Listener.Accept()
	}
	for {
		if fd := li.next(); fd >= 0 {
			if nc, err := netConn(fd); err == nil {
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

// next takes a descriptor that waits, -1 when there is none.
func (li *Listener) next() int {
	li.mu.Lock()
	defer li.mu.Unlock()
	if len(li.waiting) == 0 {
		return -1
	}
	fd := li.waiting[0]
	li.waiting = append(li.waiting[:0], li.waiting[1:]...)
	return fd
}

// Close stops accepting and closes the connections that are without a whole head or wait for Accept. It must not be called
// on a loop.
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
		li.mu.Lock()
		defer li.mu.Unlock()
		li.over = true
		close(li.closed)
		for _, fd := range li.waiting {
			closeDescriptor(fd)
		}
		li.waiting = nil
	})
	return err
}

var (
	errTooMany = errors.New("listen: too many connections without a request")
	errLate    = errors.New("listen: no whole request in time")
)
