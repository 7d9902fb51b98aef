package loop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// listenSlot is the slot in the events of listening sockets.
	listenSlot = -2
	// acceptAtOnce is how many connections a loop accepts before it looks at others.
	acceptAtOnce = 32
	// acceptShare is the part of a loop's time that goes to handshakes while there is other work: who is there comes before who comes.
	acceptShare = 5
	// acceptPause is how long a loop leaves the queue alone when the system has nothing left for a connection.
	acceptPause = 100 * time.Millisecond
	// deferSeconds is how long the kernel keeps a connection to itself on which nothing has come. It counts in retransmissions
	// of its SYN-ACK: 1 is one of them, after 1 s, and two where very many wait. 5 would be three, or after 15 s four, during which no
	// timeout of ours runs. What the kernel keeps is bounded by the listener's backlog.
	deferSeconds = 1
	// unbalanced is how many connections more than another loop one may have and keep what it accepts.
	unbalanced = 16
)

// A Listening is a listening socket whose connections the loops of a group accept.
type Listening struct {
	// Set once.
	cfg   ListenConfig
	group *Group
	fd    int
	mptcp bool // what it accepts has not all of its options

	loops sync.WaitGroup // that have it
	once  sync.Once
	turn  sync.RWMutex // locked by who gives the spare up, until it is back, so that no other loop takes its place
	spare int          // guarded by turn: a descriptor to be given up when there is no other, -1 for none
}

// Listen has the loops accept the connections of nl. Its descriptor is taken over: duplicated, and nl closed, since package net
// would wake a thread of its own for each connection, which is a sixth of what a handshake costs. Upon an error nl is as it
// was.
//
// Connections begin with TCP_NODELAY and keep-alive. As clients speak first, the kernel waits for their first bytes before it
// reports them (TCP_DEFER_ACCEPT): so a request is mostly read at once, and one that says nothing costs the process nothing for
// a while. When the process has no descriptor left, they are closed with the help of a spare one, so that clients know.
//
// The error is errors.ErrUnsupported where there is no epoll, under [Config].Portable too, or the system's.
func (g *Group) Listen(nl *net.TCPListener, cfg ListenConfig) (*Listening, error) {
	if _, ok := g.loops[0].poll.(*epoll); !ok {
		return nil, errors.ErrUnsupported
	}
	fd, err := duplicate(nl)
	if err != nil {
		return nil, fmt.Errorf("loop: listen: %w", err)
	}
	if err := prepareListener(fd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("loop: listen: %w", err)
	}
	_ = nl.Close() // the copy goes on listening
	li := &Listening{cfg: cfg, group: g, fd: fd, mptcp: isMPTCP(fd), spare: -1}
	li.takeSpare()
	for _, l := range g.loops {
		e := l.poll.(*epoll)
		li.loops.Add(1)
		if !l.Post(func() { e.listen(li) }) {
			li.loops.Done()
		}
	}
	return li, nil
}

// prepareListener sets what every accepted connection then begins with, which saves setting it on each.
func prepareListener(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	for _, o := range [...]struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, // the times of package net
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat}, // Detach takes it back
		{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("option %d: %w", o.name, os.NewSyscallError("setsockopt", err))
		}
	}
	return nil
}

// isMPTCP tells whether a socket is one of Multipath TCP, as the listeners of package net are where the system has that. The kernel
// takes TCP_NOTSENT_LOWAT back from the connections that it accepts, those without Multipath TCP too: its own part of them needs it so.
func isMPTCP(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_MPTCP
}

// Close stops accepting and returns when no loop accepts any more. It must not be called on a loop.
func (li *Listening) Close() {
	li.once.Do(func() {
		for _, l := range li.group.loops {
			e := l.poll.(*epoll)
			l.Post(func() { e.unlisten(li) })
		}
		li.loops.Wait() // a loop that has ended has given it up
		unix.Close(li.fd)
		li.turn.Lock()
		defer li.turn.Unlock()
		if li.spare >= 0 {
			unix.Close(li.spare)
		}
	})
}

// takeSpare opens the spare where there is none and reports whether there is one. turn is held, or li is new.
func (li *Listening) takeSpare() bool {
	if li.spare < 0 {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			li.spare = fd
		}
	}
	return li.spare >= 0
}

// refuse takes one connection out of the queue of a full process with the help of the spare, and closes it. It returns
// false when that did not succeed.
func (li *Listening) refuse() bool {
	li.turn.Lock()
	defer li.turn.Unlock()
	if !li.takeSpare() {
		return false
	}
	unix.Close(li.spare)
	li.spare = -1
	fd, _, errno := accept(li.fd)
	if errno == 0 {
		li.cfg.Refused() // before the client knows
		unix.Close(fd)
	}
	li.takeSpare()
	return errno == 0 || errno == unix.EAGAIN
}

// listen begins accepting on this loop. One loop is woken for each connection, as long as it does not hesitate.
func (e *epoll) listen(li *Listening) {
	i := slices.Index(e.listening, nil)
	if i < 0 {
		i = len(e.listening)
		e.listening, e.acceptFrom = append(e.listening, nil), append(e.acceptFrom, 0)
	}
	e.listening[i], e.acceptFrom[i] = li, 0
	e.watch(i)
}

// watch has epoll report listening socket i, if it still is one.
func (e *epoll) watch(i int) {
	li := e.listening[i]
	if li == nil {
		return
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: listenSlot, Pad: int32(i)}
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, li.fd, &ev); err != nil {
		e.pause(i) // no memory for it
	}
}

// pause leaves the queue of listening socket i alone for a while.
func (e *epoll) pause(i int) {
	li := e.listening[i]
	_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, li.fd, nil) // it may not be there
	e.loop.After(acceptPause, func() {
		if e.listening[i] == li {
			e.watch(i)
		}
	})
}

// unlisten stops accepting on this loop.
func (e *epoll) unlisten(li *Listening) {
	if i := slices.Index(e.listening, li); i >= 0 {
		_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, li.fd, nil) // while paused it is not there
		e.listening[i] = nil
		li.loops.Done()
	}
}

// acceptSome takes connections from the queue of listening socket i. One brings its whole handshake, 0.1 ms of work, so that a batch of
// them alone would be several turns: it ends with a share of the turn's budget, and while other work waits that comes first until it
// has had its share. What is left in the queue is reported again, behind what else is ready.
func (e *epoll) acceptSome(i int) {
	l, li := e.loop, e.listening[i]
	start := l.cfg.now()
	if start < e.acceptFrom[i] && l.busy() {
		return
	}
	for n := 0; li != nil && n < acceptAtOnce && e.acceptNext(i, li); n++ {
		spent := l.cfg.now() - start
		e.acceptFrom[i] = start + acceptShare*spent
		if spent >= l.cfg.TurnBudget/acceptShare {
			return
		}
	}
}

// acceptNext takes one connection, if there is one, and reports whether there may be more.
func (e *epoll) acceptNext(i int, li *Listening) bool {
	fd, from, errno := li.acceptOne()
	switch errno {
	case 0:
		li.give(e.loop, fd, from)
		return true
	case unix.EAGAIN:
		return false
	case unix.EINTR, unix.ECONNABORTED:
		return true
	case unix.EMFILE, unix.ENFILE:
		if li.refuse() {
			return true
		}
	}
	e.pause(i)
	return false
}

func (li *Listening) acceptOne() (fd int, from netip.AddrPort, errno unix.Errno) {
	li.turn.RLock()
	defer li.turn.RUnlock()
	return accept(li.fd)
}

// give hands a connection to the loop that accepted it, or to another if that has much less to do.
func (li *Listening) give(l *Loop, fd int, from netip.AddrPort) {
	if len(li.group.loops) > 1 {
		if other := li.group.Next(); other != l && l.conns.Load() > other.conns.Load()+unbalanced {
			if !other.Post(func() { li.take(other, fd, from) }) {
				unix.Close(fd)
			}
			return
		}
	}
	li.take(l, fd, from)
}

func (li *Listening) take(l *Loop, fd int, from netip.AddrPort) {
	defer l.rescue()
	if li.mptcp {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat) // a matter of memory only
	}
	li.cfg.Accept(l, fd, from)
}
