package loop

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"hocket.dev/internal/testproc"
)

// Who takes over a connection that was peeked at may pause it at once, whether its first bytes were there from the beginning
// or came later.
func TestOwnerPausesAtOnce(t *testing.T) {
	for _, early := range []bool{true, false} {
		b := newBench(t, drivers[0])
		o, got := newPausable(t)
		o.closed = make(chan error, 1)
		p := &owner{closed: make(chan error, 1)}
		p.read = func([]byte) {
			p.Move(&o.Conn, o)
			o.Pause()
		}
		server, client := tcpPair(t)
		fd := descriptorOf(t, server)
		if early {
			mustWrite(t, client, "one")
			awaitBytes(t, fd)
		}
		b.do(func() { b.AttachPeeking(&p.Conn, fd, p) })
		if !early {
			mustWrite(t, client, "one")
			testproc.Until(t, "the owner to have it", func() (has bool) {
				b.do(func() { has = o.loop != nil })
				return has
			})
		}
		ping(t, b.attachEcho(t))
		b.wantCalm(t)
		b.do(func() { o.Resume() })
		select {
		case s := <-got:
			if s != "one" {
				t.Errorf("read %q after Resume", s)
			}
		case err := <-o.closed:
			t.Errorf("closed, bytes there early %v: %v", early, err)
		}
		b.do(func() { o.Close(nil) })
		wantEOF(t, client)
	}
}

// descriptorOf takes over the descriptor of a connection.
func descriptorOf(t *testing.T, nc net.Conn) (fd int) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	nc.Close()
	return fd
}

// awaitBytes waits until the system has something to read.
func awaitBytes(t *testing.T, fd int) {
	t.Helper()
	testproc.Until(t, "bytes to arrive", func() bool {
		n, _ := unix.IoctlGetInt(fd, unix.TIOCINQ)
		return n > 0
	})
}
