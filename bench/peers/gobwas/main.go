//go:build linux

// Command gobwas is a server on gobwas/ws, which leaves the loop to the program: the
// handshake is read from the connection without net/http, and one goroutine waits in an
// epoll of its own and reads a message of whoever has sent something, as the library's
// documentation and the examples that follow it do. A client that sends half a message
// holds up the others. Messages for a room are compiled to a frame once.
package main

import (
	"log/slog"
	"net"
	"net/url"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/sys/unix"

	"hocket.dev/bench/internal/peer"
)

func main() { peer.Main(serve) }

// conn is a connection that is open.
type conn struct {
	net.Conn
	path, room string
}

// server is all there is.
type server struct {
	epoll int
	mu    sync.Mutex
	conns map[int]*conn // by descriptor
	rooms peer.Rooms[*conn]
}

func serve(l net.Listener, _ bool) error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	s := &server{epoll: epoll, conns: make(map[int]*conn)}
	go s.accept(l)
	return s.loop()
}

// accept gives every connection a goroutine for its handshake.
func (s *server) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			slog.Error("accept", "error", err)
			return
		}
		go func() {
			if err := s.open(nc); err != nil {
				nc.Close()
			}
		}()
	}
}

// open answers a handshake and has the loop watch the connection.
func (s *server) open(nc net.Conn) error {
	c := &conn{Conn: nc}
	u := ws.Upgrader{OnRequest: func(uri []byte) error {
		target, err := url.ParseRequestURI(string(uri))
		if err == nil {
			c.path, c.room = target.Path, target.Query().Get("room")
		}
		return err
	}}
	if _, err := u.Upgrade(nc); err != nil {
		return err
	}
	if c.path == "/sub" {
		s.rooms.Join(c.room, c)
		if err := wsutil.WriteServerText(c, []byte(peer.Greeting)); err != nil {
			return err
		}
	}
	fd, err := descriptor(nc)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.conns[fd] = c
	s.mu.Unlock()
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLHUP, Fd: int32(fd)})
}

// descriptor returns that of a connection, which stays its owner.
func descriptor(nc net.Conn) (fd int, err error) {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(u uintptr) { fd = int(u) })
	return fd, err
}

// loop waits for whoever has sent something.
func (s *server) loop() error {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			s.mu.Lock()
			c := s.conns[int(ev.Fd)]
			s.mu.Unlock()
			if err := s.read(c); err != nil {
				s.close(int(ev.Fd), c)
			}
		}
	}
}

// read takes one message.
func (s *server) read(c *conn) error {
	msg, op, err := wsutil.ReadClientData(c)
	if err != nil {
		return err
	}
	switch c.path {
	case "/echo":
		return wsutil.WriteServerMessage(c, op, msg)
	case "/pub":
		frame, err := ws.CompileFrame(ws.NewFrame(op, true, msg))
		if err != nil {
			return err
		}
		s.rooms.Each(c.room, func(member *conn) { _, _ = member.Write(frame) }) // the loop sees who has gone
	}
	return nil
}

// close ends a connection.
func (s *server) close(fd int, c *conn) {
	_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, fd, nil)
	s.mu.Lock()
	delete(s.conns, fd)
	s.mu.Unlock()
	s.rooms.Leave(c.room, c)
	c.Close()
}
