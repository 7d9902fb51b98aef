//go:build linux

package generator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readBytes = 256 << 10
	maxEvents = 512
	// stallAfter is for how long nothing may come that was awaited.
	stallAfter = 20 * time.Second
)

// A loop reads every connection of a run. It belongs to one goroutine.
type loop struct {
	ctx     context.Context
	target  Target
	server  netip.AddrPort
	epoll   int
	conns   []*conn // by descriptor, nil where there is none
	open    int
	dialled int // connections made so far
	buf     []byte
	events  []unix.EpollEvent
	moved   time.Time // when something came last
	message reader
	receive int     // bytes that a new socket holds unread; 0 is the system's choice
	stamps  *stamps // of what is read, where that is wanted
	err     error   // the first fault; the run is over with it
}

// A conn is one connection.
type conn struct {
	fd    int
	key   string // of its handshake
	held  []byte // received, and the end of a frame is missing
	out   []byte // the network has not taken it yet
	owner owner
}

// An owner is what a connection is there for.
type owner interface {
	// opened follows the handshake.
	opened(c *conn) error
	// received takes what it can of b, which is not valid afterwards, and returns how
	// much that was. The rest comes again, with more behind it.
	received(c *conn, b []byte) (int, error)
}

// newLoop returns a loop without connections. close frees it.
func newLoop(ctx context.Context, target Target) (*loop, error) {
	server, err := netip.ParseAddrPort(target.Addr)
	if err != nil || !server.Addr().Is4() {
		return nil, fmt.Errorf("address %q is not an IPv4 address and a port", target.Addr)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &loop{
		ctx: ctx, target: target, server: server, epoll: epoll,
		buf: make([]byte, readBytes), events: make([]unix.EpollEvent, maxEvents), moved: time.Now(),
	}, nil
}

// close ends every connection.
func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			l.drop(c)
		}
	}
	unix.Close(l.epoll)
}

// drop ends a connection with a reset, so that its port is free at once.
func (l *loop) drop(c *conn) {
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(c.fd)
	l.conns[c.fd] = nil
	l.open--
}

// fail ends the run.
func (l *loop) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// until runs the loop until done says so. Something has to come within stallAfter.
func (l *loop) until(done func() bool) error {
	l.moved = time.Now()
	for !done() {
		if err := l.turn(l.moved.Add(stallAfter)); err != nil {
			return err
		}
		if time.Since(l.moved) > stallAfter {
			return fmt.Errorf("nothing came for %v, and something should have", stallAfter)
		}
	}
	return l.err
}

// turn waits for something to come, or for a time, and takes what has come.
func (l *loop) turn(until time.Time) error {
	if l.err != nil {
		return l.err
	}
	if err := l.ctx.Err(); err != nil {
		return err
	}
	// Rounded up to milliseconds; at least every 100 ms ctx is looked at.
	wait := min(max(time.Until(until)+time.Millisecond-1, 0), 100*time.Millisecond)
	n, err := unix.EpollWait(l.epoll, l.events, int(wait/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	if n > 0 {
		l.moved = time.Now()
	}
	for _, ev := range l.events[:max(n, 0)] {
		c := l.conns[ev.Fd]
		if c == nil {
			continue // dropped in this turn
		}
		if ev.Events&unix.EPOLLOUT != 0 {
			l.flush(c)
		}
		if ev.Events&^unix.EPOLLOUT != 0 {
			l.read(c)
		}
	}
	return l.err
}

// read takes what one connection has received.
func (l *loop) read(c *conn) {
	held := copy(l.buf, c.held)
	n, errno := l.receiveInto(c.fd, l.buf[held:])
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return
	case errno != 0:
		l.fail(fmt.Errorf("connection to the server: %w", errno))
		return
	case n == 0:
		l.fail(fmt.Errorf("the server has ended a connection: %w", io.EOF))
		return
	}
	b := l.buf[:held+n]
	for len(b) > 0 && l.conns[c.fd] == c {
		taken, err := c.owner.received(c, b)
		if err != nil {
			l.fail(err)
			return
		}
		if b = b[taken:]; taken == 0 {
			break
		}
	}
	if len(b) == len(l.buf) {
		l.fail(fmt.Errorf("the server sent a message of %d bytes and more", len(b)))
	}
	c.held = append(c.held[:0], b...)
}

// receiveInto reads what fd has received into b.
func (l *loop) receiveInto(fd int, b []byte) (n int, errno syscall.Errno) {
	if l.stamps != nil {
		return l.stamps.receive(fd, b)
	}
	got, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(got), errno
}

// came is when that came which is being looked at.
func (l *loop) came() time.Time {
	if l.stamps != nil {
		return l.stamps.at
	}
	return time.Now()
}

// write sends b, now or when there is room.
func (l *loop) write(c *conn, b []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n, err := writeSome(c.fd, b)
	if err != nil {
		l.fail(fmt.Errorf("write to the server: %w", err))
		return
	}
	if n < len(b) {
		c.out = append(c.out, b[n:]...)
		l.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLOUT)
	}
}

// flush goes on where write has left off.
func (l *loop) flush(c *conn) {
	n, err := writeSome(c.fd, c.out)
	if err != nil {
		l.fail(fmt.Errorf("write to the server: %w", err))
		return
	}
	if c.out = c.out[:copy(c.out, c.out[n:])]; len(c.out) == 0 {
		l.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	}
}

// watch says what is to be told about a connection.
func (l *loop) watch(c *conn, op int, events uint32) {
	if err := unix.EpollCtl(l.epoll, op, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd)}); err != nil {
		l.fail(fmt.Errorf("epoll: %w", err))
	}
}

// writeSome writes what the network takes of b without waiting.
func writeSome(fd int, b []byte) (int, error) {
	n, err := unix.Write(fd, b)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return max(n, 0), err
}
