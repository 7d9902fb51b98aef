package loop

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// AttachPeeking puts the connection fd, which does not block, under the care of the loop without reading from it: h.Read is
// given a copy of everything that has arrived and was not taken with [Conn.Take], again and longer each time more comes. So
// whoever is to read it can be found by what it begins with: [Conn.Move] and [Conn.Detach] go on from there. It may call
// h.Read before it returns. On the loop only; c must be zero, and fd is the loop's from the call on.
//
// Everything else is as for [Loop.Attach], but no method of the handler, save Read and Flush, is called before the next step for
// posted functions.
func (l *Loop) AttachPeeking(c *Conn, fd int, h Handler) {
	e := l.poll.(*epoll)
	c.loop, c.handler, c.link, c.fd = l, h, &e.plain, int32(fd)
	c.state |= registered | own | peeking
	c.slot = l.table.add(c)
	l.conns.Add(1)
	if l.stopping {
		c.Close(ErrGroupClosed)
		return
	}
	generation := l.table.generations[c.slot]
	slot := c.slot
	// A request is often there by now. Then its connection need not be registered before it has found its owner.
	c.state |= unlisted
	if n, errno := recv(c.fd, l.buf, unix.MSG_PEEK); n > 0 {
		c.read(l.buf[:n])
	} else if errno == 0 {
		c.state |= seen // the end: epoll reports it
	}
	owner := l.table.find(slot, generation)
	if owner == nil {
		return
	}
	if owner.state &^= unlisted; owner == c {
		c.state |= seen
	}
	if err := e.open(owner); err != nil {
		owner.Close(err)
	}
}

// Take removes n bytes that Read was given from a connection that is peeked at. It returns false, and the connection is
// closed, when it has broken meanwhile.
func (c *Conn) Take(n int) bool {
	for n > 0 && !c.state.has(closed) {
		// With MSG_TRUNC TCP throws the bytes away instead of copying them.
		k, errno := recv(c.fd, c.loop.buf[:min(n, len(c.loop.buf))], unix.MSG_TRUNC)
		if k == 0 {
			c.Close(os.NewSyscallError("read", errno))
			return false
		}
		n -= k
	}
	return !c.state.has(closed)
}

// Move gives the connection to d with the handler h, as if d had been attached to it: what has not been taken is read. c is
// done; its handler is not told. d must be zero.
func (c *Conn) Move(d *Conn, h Handler) {
	if c.state.has(closed) {
		return
	}
	d.loop, d.handler, d.link, d.fd, d.slot = c.loop, h, c.link, c.fd, c.slot
	d.state = registered | own | c.state&unlisted
	d.loop.table.all[d.slot] = d
	d.loop.table.setTicks(d.slot, 0)
	if c.state.has(seen) {
		(*d.link).update(d)
	}
	c.forget()
}

// Detach gives the connection up and returns its descriptor, -1 when it has been closed. Bytes that were not taken are still
// to be read from it. c is done; its handler is not told.
func (c *Conn) Detach() int {
	if c.state.has(closed) {
		return -1
	}
	fd := int(c.fd)
	if c.state.has(seen) {
		_ = unix.EpollCtl(c.loop.poll.(*epoll).fd, unix.EPOLL_CTL_DEL, fd, nil) // it is there
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 0) // the system's default; a matter of memory only
	c.loop.table.remove(c.slot)
	c.loop.conns.Add(-1)
	c.forget()
	return fd
}

// forget makes every later call do nothing.
func (c *Conn) forget() {
	c.state = closed
	c.handler, c.link, c.fd = nil, nil, -1
}

// servePeeking shows the handler what has arrived, each time more has.
func (e *epoll) servePeeking(c *Conn, events uint32) {
	n, errno := recv(c.fd, e.loop.buf, unix.MSG_PEEK)
	if n > 0 {
		slot, generation := c.slot, e.loop.table.generations[c.slot]
		c.read(e.loop.buf[:n])
		if e.loop.table.find(slot, generation) != c {
			return
		}
		errno = unix.EAGAIN // the bytes are no news any more
	}
	switch {
	case errno == 0:
		c.Close(io.EOF)
	case errno != unix.EAGAIN:
		c.Close(os.NewSyscallError("read", errno))
	case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
		c.Close(socketError(c.fd))
	case events&unix.EPOLLRDHUP != 0:
		c.Close(io.EOF) // nothing follows what is there
	}
}
