//go:build linux

// Command floor does what no server can do with less: one thread, one epoll, read(2) and
// write(2) as raw system calls. It believes what clients say, knows frames in one piece
// only, and waits for a socket that is full; it is a measure, not a server.
//
// With -frames 16 it writes 16 publishes to a subscriber by one call, as many as there
// must be. With -close it closes a connection as soon as its handshake is answered, which
// leaves accept, read, SHA-1, write and close.
package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hocket.dev/wire"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on, any port of 127.0.0.1 whatever it says")
	frames := flag.Int("frames", 1, "publishes that go to a subscriber by one call")
	atOnce := flag.Bool("close", false, "close connections once their handshake is answered")
	flag.Parse()
	_ = addr
	runtime.LockOSThread()
	if err := serve(*frames, *atOnce); err != nil {
		slog.Error("serve", "error", err)
		os.Exit(1)
	}
}

// server is all there is.
type server struct {
	listener, epoll int
	frames          int
	atOnce          bool
	conns           []*conn // by descriptor
	rooms           map[string]*room
	buf             []byte
	out             []byte
}

// conn is a connection.
type conn struct {
	open bool   // the handshake is done
	held []byte // the beginning of a request or a frame
	room *room  // in which it publishes
}

// room is who gets what is published to it.
type room struct {
	members []int
	out     []byte
	pending int // publishes in out
}

func serve(frames int, atOnce bool) error {
	s := &server{frames: frames, atOnce: atOnce, rooms: make(map[string]*room), buf: make([]byte, 64<<10)}
	if err := s.listen(); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			if int(ev.Fd) == s.listener {
				err = s.accept()
			} else {
				err = s.read(int(ev.Fd), true)
			}
			if err != nil {
				return err
			}
		}
	}
}

// listen opens the listener. What it says of TCP_NODELAY is inherited.
func (s *server) listen() (err error) {
	if s.epoll, err = unix.EpollCreate1(0); err != nil {
		return err
	}
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.listener, unix.SOL_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := unix.Bind(s.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(s.listener, 4096); err != nil {
		return err
	}
	name, err := unix.Getsockname(s.listener)
	if err != nil {
		return err
	}
	fmt.Printf("127.0.0.1:%d\n", name.(*unix.SockaddrInet4).Port)
	return s.watch(s.listener)
}

func (s *server) watch(fd int) error {
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// accept takes every connection there is. The request is mostly there with it.
func (s *server) accept() error {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(s.listener), 0, 0, unix.SOCK_NONBLOCK, 0, 0)
		switch fd := int(n); {
		case errno == syscall.EAGAIN:
			return nil
		case errno == syscall.ECONNABORTED || errno == syscall.EINTR:
		case errno != 0:
			return errno
		default:
			for len(s.conns) <= fd {
				s.conns = append(s.conns, make([]*conn, max(fd, 64))...)
			}
			s.conns[fd] = new(conn)
			if err := s.read(fd, false); err != nil {
				return err
			}
		}
	}
}

// read takes what a connection has sent. One that is not watched yet is from then on,
// unless it has been served.
func (s *server) read(fd int, watched bool) error {
	c := s.conns[fd]
	held := copy(s.buf, c.held)
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&s.buf[held])), uintptr(len(s.buf)-held))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
	case errno != 0 || n == 0:
		s.close(fd)
		return nil
	default:
		rest := s.received(fd, c, s.buf[:held+int(n)])
		c.held = append(c.held[:0], rest...)
	}
	if watched || s.conns[fd] != c {
		return nil
	}
	return s.watch(fd)
}

// close ends a connection. What it is a member of is left when a write fails.
func (s *server) close(fd int) {
	s.conns[fd] = nil
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}

// received handles b and returns what is left of it.
func (s *server) received(fd int, c *conn, b []byte) []byte {
	if !c.open {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return b
		}
		s.handshake(fd, c, b[:end+2])
		if b = b[end+4:]; s.conns[fd] != c {
			return nil
		}
	}
	s.out = s.out[:0]
	for len(b) > 0 {
		h, n, err := wire.ParseHeader(b)
		if err != nil || n == 0 || len(b)-n < int(h.Length) {
			break
		}
		p := b[n:][:h.Length]
		b = b[n+int(h.Length):]
		wire.Mask(p, h.Key, 0)
		if c.room != nil {
			s.publish(c.room, h.Op, p)
		} else {
			s.out = wire.AppendFrame(s.out, h.Op, p)
		}
	}
	if len(s.out) > 0 {
		writeAll(fd, s.out)
	}
	return b
}

// handshake answers a request.
func (s *server) handshake(fd int, c *conn, head []byte) {
	_, key, _ := bytes.Cut(head, []byte("Sec-WebSocket-Key: "))
	key, _, _ = bytes.Cut(key, []byte("\r\n"))
	sum := sha1.Sum(append(append(s.out[:0], key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	s.out = append(s.out[:0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	s.out = base64.StdEncoding.AppendEncode(s.out, sum[:])
	s.out = append(s.out, "\r\n\r\n"...)
	if s.atOnce {
		writeAll(fd, s.out)
		s.close(fd)
		return
	}
	line, _, _ := bytes.Cut(head, []byte(" HTTP/"))
	path, name, _ := strings.Cut(strings.TrimPrefix(string(line), "GET "), "?room=")
	if s.rooms[name] == nil {
		s.rooms[name] = new(room)
	}
	switch path {
	case "/sub":
		s.out = wire.AppendFrame(s.out, wire.Text, []byte("ready"))
		s.rooms[name].members = append(s.rooms[name].members, fd)
	case "/pub":
		c.room = s.rooms[name]
	}
	c.open = true
	writeAll(fd, s.out)
}

// publish writes to every member, or waits for more.
func (s *server) publish(r *room, op wire.Opcode, p []byte) {
	r.out = wire.AppendFrame(r.out, op, p)
	if r.pending++; r.pending < s.frames {
		return
	}
	for _, fd := range r.members {
		writeAll(fd, r.out)
	}
	r.out, r.pending = r.out[:0], 0
}

// writeAll writes b, and waits where the socket is full. Who has gone gets nothing.
func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			b = b[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		default:
			return
		}
	}
}
