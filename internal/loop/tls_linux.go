package loop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sealBytes is how much a connection under TLS encrypts before it looks whether the socket takes it: so a reader that
	// stalls holds little more of encrypted bytes, whatever it is to be sent.
	sealBytes = 16 << 10
	// turnBytes is how much one Write encrypts: a loop has others to serve.
	turnBytes = 256 << 10
	// openBytes is how much is received at a time; more is reported again.
	openBytes = 64 << 10
	// maxSealed bounds what waits for the socket. One Write makes little more than sealBytes, so only a peer can reach it
	// that has the keys changed over and over (RFC 8446 §4.6.3) and reads none of the answers.
	maxSealed = 64 << 10
)

// A tunnel is the link of a connection under TLS that is a descriptor. It stands below its tls.Conn as well: there it is a
// net.Conn that never blocks. Reading an empty socket is a temporary error, after which the tls.Conn goes on where it
// stopped; writing always succeeds, because a tls.Conn whose writing has failed is done for.
type tunnel struct {
	*epoll
	tls    *tls.Conn
	sealed []byte // encrypted and not yet taken by the socket
	held   []byte // decrypted in search of the end, while paused
	socket int32  // the connection's descriptor
	left   int32  // how much may still be received now
	dry    bool   // the socket is to be left alone for now
	empty  bool   // because it is
	behind bool   // the tls.Conn may hold bytes that no event will report
	busy   bool   // receive is under way
	ending bool   // the sending side ends when sealed was sent
	unread bool   // sealed has reached its bound
}

// adoptTLS takes over the descriptor under a tls.Conn that was made for it and has its handshake behind it.
func (e *epoll) adoptTLS(c *Conn, tc *tls.Conn) (*link, error) {
	carrier, ok := tc.NetConn().(*Carrier)
	if !ok || !tc.ConnectionState().HandshakeComplete {
		return nil, nil
	}
	fd, err := takeOver(carrier.Conn)
	if fd < 0 || err != nil {
		return nil, err
	}
	c.fd = int32(fd)
	t := &tunnel{epoll: e, tls: tc, socket: c.fd, behind: true}
	carrier.Conn = t
	var k link = t
	return &k, nil
}

// open begins reading with what the tls.Conn has read on its own.
func (t *tunnel) open(c *Conn) error {
	if err := t.epoll.open(c); err != nil {
		return err
	}
	t.receive(c, 0)
	return nil
}

// receive hands out what is there. It goes on until the tls.Conn wants more than the socket has: no event would
// bring to mind what was left in it.
func (t *tunnel) receive(c *Conn, events uint32) {
	t.left, t.dry, t.empty = openBytes, false, false
	t.busy = true
	defer func() { t.busy = false }()
	if b := t.held; len(b) > 0 && !c.state.has(closed|paused) {
		t.held = nil
		c.read(b)
	}
	for !c.state.has(closed | paused) {
		n, err := t.tls.Read(t.loop.buf)
		if n > 0 {
			c.read(t.loop.buf[:n])
		}
		t.answer(c)
		switch {
		case err == nil:
		case !isTemporary(err):
			c.Close(err)
		case t.empty && n == 0 && events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
			c.Close(socketError(c.fd)) // or it would be reported for ever
		default:
			t.behind = false
			return
		}
	}
	t.behind = true // it was paused
}

// answer sends what TLS itself had to say to what was received.
func (t *tunnel) answer(c *Conn) {
	switch {
	case c.state.has(closed):
	case t.unread:
		c.Close(errUnread)
	case len(t.sealed) > 0:
		t.push(c)
	}
}

// receivePaused follows the end of a paused connection: the farewell of TLS is no byte for which the end would have to wait,
// but it is encrypted like any other.
func (t *tunnel) receivePaused(c *Conn, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.Close(socketError(c.fd)) // as without TLS
		return
	}
	if events&unix.EPOLLRDHUP == 0 {
		return
	}
	t.left, t.dry = openBytes, false
	if len(t.held) == 0 {
		n, err := t.tls.Read(t.loop.buf)
		if n == 0 && !isTemporary(err) {
			c.Close(err)
			return
		}
		t.held = bytes.Clone(t.loop.buf[:n])
		t.answer(c)
	}
	t.behind = true
	c.state |= hungup
	t.epoll.update(c)
}

func (t *tunnel) update(c *Conn) {
	t.epoll.update(c)
	if t.behind && !t.busy && c.state.has(registered) && !c.state.has(paused) {
		t.loop.Post(func() {
			if t.behind {
				t.receive(c, 0)
			}
		})
	}
}

func (t *tunnel) write(c *Conn, b []byte) (int, error) {
	b = b[:min(len(b), turnBytes)]
	taken := 0
	for taken < len(b) && len(t.sealed) == 0 {
		t.sealed = t.records[:0] // one for all, which is enough while the socket takes everything
		n, err := t.tls.Write(b[taken:min(taken+sealBytes, len(b))])
		taken += n
		t.records = t.sealed[:0]
		if err == nil {
			err = t.send()
		}
		if err != nil {
			t.sealed = nil
			return taken, err
		}
		t.keep()
	}
	if taken == len(b) && len(t.sealed) > 0 {
		t.hold(c) // else Write does
	}
	return taken, nil
}

// keep gives what the socket has not taken memory of its own.
func (t *tunnel) keep() {
	if len(t.sealed) == 0 {
		t.sealed = nil
	} else {
		t.sealed = bytes.Clone(t.sealed)
	}
}

// send gives the socket what is encrypted. What it does not take stays.
func (t *tunnel) send() error {
	n, errno := send(t.socket, t.sealed)
	if errno != 0 && errno != unix.EAGAIN {
		t.sealed = nil
		return os.NewSyscallError("write", errno)
	}
	t.sealed = t.sealed[n:]
	return nil
}

// push sends what waits, as far as the socket takes it.
func (t *tunnel) push(c *Conn) {
	if len(t.sealed) > 0 {
		if err := t.send(); err != nil {
			c.Close(err)
			return
		}
	}
	if len(t.sealed) > 0 {
		t.hold(c)
		return
	}
	t.sealed = nil
	if t.ending {
		t.epoll.closeWrite(c)
	}
}

// hold has epoll report when there is room for what waits, before which nothing is taken.
func (t *tunnel) hold(c *Conn) {
	if !c.state.has(full) {
		c.state |= full
		t.epoll.update(c)
	}
}

// room says that the socket takes bytes again.
func (t *tunnel) room(c *Conn) {
	t.push(c)
	if len(t.sealed) == 0 {
		c.hasRoom()
	}
}

// closeWrite tells the peer that nothing follows (RFC 8446 §6.1), and so does TCP.
func (t *tunnel) closeWrite(c *Conn) {
	if !t.ending {
		t.ending = true
		_ = t.tls.CloseWrite() // it fails only when something else has, and then that is reported
		t.push(c)
	}
}

func (t *tunnel) close(c *Conn) {
	_ = t.tls.CloseWrite()
	if len(t.sealed) > 0 {
		_ = t.send() // what broke the connection, if anything did, is being reported
	}
	if len(t.sealed) > 0 {
		t.linger(c)
		return
	}
	t.epoll.close(c)
}

// linger has a goroutine send what was accepted and is not the kernel's yet.
func (t *tunnel) linger(c *Conn) {
	if c.state.has(registered) {
		_ = unix.EpollCtl(t.epoll.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil) // it may not be there
	}
	limit := lingerFor
	if t.loop.stopping {
		limit = lingerAtShutdown
	}
	f, rest := os.NewFile(uintptr(c.fd), "connection"), t.sealed
	c.fd, t.sealed = -1, nil
	t.loop.group.wg.Go(func() {
		defer f.Close()
		if f.SetWriteDeadline(time.Now().Add(limit)) == nil { // else it could block for ever
			_, _ = f.Write(rest)
		}
	})
}

// What follows is what the tls.Conn calls.

// Read implements net.Conn for the tls.Conn. It looks at the socket once where that gives less than was asked for, since what
// comes later is reported.
func (t *tunnel) Read(b []byte) (int, error) {
	if t.dry {
		return 0, errNothingYet
	}
	n, errno := recv(t.socket, b, 0)
	switch {
	case n > 0:
		t.left -= int32(n)
		t.dry = n < len(b) || t.left <= 0
		return n, nil
	case errno == 0:
		return 0, io.EOF
	case errno == unix.EAGAIN:
		t.dry, t.empty = true, true
		return 0, errNothingYet
	}
	return 0, os.NewSyscallError("read", errno)
}

// Write implements net.Conn for the tls.Conn.
func (t *tunnel) Write(b []byte) (int, error) {
	if len(t.sealed)+len(b) > maxSealed {
		t.unread = true
		return 0, errUnread
	}
	t.sealed = append(t.sealed, b...)
	return len(b), nil
}

// Close implements net.Conn for the tls.Conn, which is never closed.
func (t *tunnel) Close() error { return nil }

// LocalAddr implements net.Conn. The address is not kept.
func (t *tunnel) LocalAddr() net.Addr { return (*net.TCPAddr)(nil) }

// RemoteAddr implements net.Conn. The address is not kept.
func (t *tunnel) RemoteAddr() net.Addr { return (*net.TCPAddr)(nil) }

// SetDeadline implements net.Conn: nothing here takes time.
func (t *tunnel) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (t *tunnel) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (t *tunnel) SetWriteDeadline(time.Time) error { return nil }

// notYet is the error of reading an empty socket. crypto/tls forgets a temporary error, and keeps every other.
type notYet struct{}

func (notYet) Error() string   { return "nothing to read yet" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

var (
	errNothingYet error = notYet{}
	errUnread           = errors.New("the peer does not read the answers it asks for")
)

func isTemporary(err error) bool { return err == errNothingYet }
