package loop

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// epoll is the driver of connections that are descriptors: a poller, and the link of all of them.
type epoll struct {
	loop   *Loop
	fd     int
	locked bool // to its thread
	plain  link // the epoll itself, for the connections to point to

	events [128]unix.EpollEvent
	at, n  int                      // events[at:n] are not yet served
	more   bool                     // there were as many as events has room for
	cut    []unix.EpollEvent        // of connections that have ended, each once
	ending backlog[unix.EpollEvent] // the same, of before

	adopted atomic.Uint32 // connections that came out of Go's poller
	guest   guest

	listening  []*Listening    // by number, nil where one has gone
	acceptFrom []time.Duration // by the same: until then other work comes before new connections, a flood at one socket not before another's
	records    []byte          // unused memory for what connections under TLS send

	mu      sync.Mutex
	eventfd int // guarded by mu; -1 after stop
}

// wakeSlot is the slot in the events of the eventfd.
const wakeSlot = -1

func newPoller(l *Loop) (poller, error) {
	if l.cfg.Portable {
		return newParker(l), nil
	}
	return newEpoll(l)
}

func newEpoll(l *Loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	e := &epoll{loop: l, fd: fd}
	e.plain = e
	if err := unix.SetNonblock(fd, true); err != nil { // or package os would not have it in Go's poller
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	e.eventfd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("eventfd2", err)
	}
	// Edge-triggered, each write is one event and nobody has to read the counter.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, e.eventfd, &ev); err != nil {
		e.stop()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return e, nil
}

func (e *epoll) wait(d time.Duration) {
	e.guest.count(e.adopted.Load(), e.loop.turnAt)
	switch {
	case e.ready():
	case d == 0:
		e.look(0)
	case e.isGuest():
		e.waitInPoller(d)
	default:
		e.waitOnThread(d)
	}
}

// waitOnThread sleeps in an ordinary system call, so that the scheduler lends the processor out meanwhile. The epoll
// descriptor in Go's own poller would work too, but starves behind goroutines that compute.
func (e *epoll) waitOnThread(d time.Duration) {
	if !e.locked {
		// A thread of its own keeps the wake-up from being one of the scheduler's.
		runtime.LockOSThread()
		e.locked = true
	}
	n, err := unix.EpollWait(e.fd, e.events[:], milliseconds(d))
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("loop: epoll_wait: %v", err)) // the arguments were wrong
	}
	e.found(n)
}

// milliseconds rounds up, so that a timer is due when the wait for it ends. 0 stays 0 and a negative d means no limit.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	const limit = 24 * time.Hour // within the int32 that the kernel takes
	return int((min(d, limit) + time.Millisecond - 1) / time.Millisecond)
}

func (e *epoll) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.eventfd >= 0 {
		// The counter is never read; it would take centuries to fill in steps of one.
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(e.eventfd, one[:])
	}
}

func (e *epoll) stop() {
	for _, li := range e.listening {
		if li != nil {
			e.unlisten(li)
		}
	}
	e.leave()
	e.mu.Lock()
	defer e.mu.Unlock()
	unix.Close(e.eventfd)
	unix.Close(e.fd)
	e.eventfd, e.fd = -1, -1
	if e.locked {
		runtime.UnlockOSThread()
	}
}

func (e *epoll) ready() bool { return e.at < e.n }

func (e *epoll) behind() bool { return e.more || e.ready() || len(e.cut) > 0 || !e.ending.empty() }

// hangup is what epoll reports of a connection that its peer has closed, or that has broken.
const hangup = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

// found takes note of n events, and puts those of connections that have ended aside. When very many are cut off at once, who publishes
// stands behind all of them in the kernel's list: to look through it and have epoll forget them takes 1 µs each, to end them 12 µs.
func (e *epoll) found(n int) {
	e.at, e.n = 0, 0
	e.more = n == len(e.events)
	for i := range n {
		ev := e.events[i]
		if ev.Events&hangup != 0 && e.unlist(&ev) {
			e.cut = append(e.cut, ev)
			continue
		}
		e.events[e.n] = ev
		e.n++
	}
}

// unlist has epoll forget the connection that an event is of, if it is one that it would report again and again.
func (e *epoll) unlist(ev *unix.EpollEvent) bool {
	if ev.Fd < 0 {
		return false
	}
	c := e.loop.table.find(uint32(ev.Fd), uint32(ev.Pad))
	if c == nil || c.state.has(peeking|unlisted|closed) {
		return false
	}
	c.state |= unlisted
	_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil) // it is there
	return true
}

// read serves what wait found. If the budget ends before the batch, the rest of the batch is served before the next wait:
// asking again would put the ones just served in front of it. Connections that have ended have a budget of their own, which is a
// share of that.
func (e *epoll) read() {
	l := e.loop
	for e.ready() {
		e.next()
		if e.ready() && l.over(l.turnAt) {
			break
		}
	}
	if e.ending.empty() {
		e.cut = e.ending.refill(e.cut)
	}
	work(l, &e.ending, l.cfg.TurnBudget/endedShare, e.end)
}

// end serves a connection that was put aside. Before its end there may be more to read than is read at once: then epoll is to report
// it again.
func (e *epoll) end(ev unix.EpollEvent) {
	c := e.loop.table.find(uint32(ev.Fd), uint32(ev.Pad))
	if c == nil || c.state.has(closed) {
		return
	}
	if e.serve(c, ev.Events); c.state.has(closed) {
		return
	}
	c.state &^= unlisted
	if err := e.open(c); err != nil {
		c.Close(err)
	}
}

// next serves the next event.
func (e *epoll) next() {
	ev := &e.events[e.at]
	e.at++
	switch ev.Fd {
	case wakeSlot:
	case listenSlot:
		e.acceptSome(int(ev.Pad))
	default:
		// An event of a connection that has closed since the wait finds another generation.
		if c := e.loop.table.find(uint32(ev.Fd), uint32(ev.Pad)); c != nil {
			e.serve(c, ev.Events)
		}
	}
}

func (e *epoll) serve(c *Conn, events uint32) {
	tunnel, sealed := (*c.link).(*tunnel)
	switch {
	case events&unix.EPOLLOUT == 0:
	case sealed:
		tunnel.room(c)
	default:
		c.hasRoom()
	}
	const input = unix.EPOLLIN | hangup
	switch {
	case c.state.has(closed) || events&input == 0:
	case c.state.has(peeking):
		e.servePeeking(c, events)
	case c.state.has(paused) && sealed:
		tunnel.receivePaused(c, events)
	case c.state.has(paused):
		e.servePaused(c, events)
	case sealed:
		tunnel.receive(c, events)
	default:
		e.serveInput(c, events)
	}
}

func (e *epoll) serveInput(c *Conn, events uint32) {
	n, errno := recv(c.fd, e.loop.buf, 0)
	switch {
	case n > 0:
		c.read(e.loop.buf[:n]) // an end or error behind it is reported again
	case errno == 0:
		c.Close(io.EOF)
	case errno != unix.EAGAIN:
		c.Close(os.NewSyscallError("read", errno))
	case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
		// Nothing to read and yet broken: it would be reported for ever.
		c.Close(socketError(c.fd))
	}
}

// servePaused sees to it that a paused connection neither outlives its peer nor is reported over and over.
func (e *epoll) servePaused(c *Conn, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.Close(socketError(c.fd)) // broken in both directions, and these two events cannot be switched off
		return
	}
	if events&unix.EPOLLRDHUP == 0 {
		return // found readable before it was paused
	}
	var b [1]byte
	n, errno := recv(c.fd, b[:], unix.MSG_PEEK)
	switch {
	case n > 0:
		c.state |= hungup
		e.update(c)
	case errno == 0:
		c.Close(io.EOF)
	case errno != unix.EAGAIN:
		c.Close(os.NewSyscallError("read", errno))
	}
}

// interest returns the event to register for the connection as it is now.
func (e *epoll) interest(c *Conn) unix.EpollEvent {
	ev := unix.EpollEvent{Fd: int32(c.slot), Pad: int32(e.loop.table.generations[c.slot])}
	switch {
	case c.state.has(peeking):
		ev.Events = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET // what is there stays there: only more is news
	case !c.state.has(paused):
		ev.Events = unix.EPOLLIN | unix.EPOLLRDHUP
	case !c.state.has(hungup):
		ev.Events = unix.EPOLLRDHUP
	}
	if c.state.has(full) {
		ev.Events |= unix.EPOLLOUT // only while full, as it is nearly always true
	}
	return ev
}

func (e *epoll) open(c *Conn) error {
	ev := e.interest(c)
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, int(c.fd), &ev))
}

func (e *epoll) update(c *Conn) {
	if !c.state.has(registered) || c.state.has(unlisted) {
		return // open will see the state
	}
	ev := e.interest(c)
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_MOD, int(c.fd), &ev); err != nil {
		c.Close(os.NewSyscallError("epoll_ctl", err))
	}
}

func (e *epoll) write(c *Conn, b []byte) (int, error) {
	n, errno := send(c.fd, b)
	switch errno {
	case 0:
		return n, nil
	case unix.EAGAIN:
		return 0, nil
	}
	return 0, os.NewSyscallError("write", errno)
}

func (e *epoll) closeWrite(c *Conn) {
	// It fails only when the connection is broken, and then reading says so.
	_ = unix.Shutdown(int(c.fd), unix.SHUT_WR)
}

func (e *epoll) close(c *Conn) {
	if c.state.has(registered) && !c.state.has(own) {
		// Closing alone would leave it registered if someone else had a copy of the descriptor.
		_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	}
	e.abandon(c)
}

func (e *epoll) abandon(c *Conn) {
	unix.Close(int(c.fd))
	c.fd = -1
}

func (e *epoll) adopt(c *Conn, nc net.Conn) (*link, error) {
	if tc, ok := nc.(*tls.Conn); ok {
		return e.adoptTLS(c, tc)
	}
	fd, err := takeOver(nc)
	if fd < 0 || err != nil {
		return nil, err
	}
	c.fd = int32(fd)
	e.adopted.Add(1)
	return &e.plain, nil
}
