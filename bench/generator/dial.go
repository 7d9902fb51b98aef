//go:build linux

package generator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/textproto"
	"strconv"

	"golang.org/x/sys/unix"

	"hocket.dev/wire"
)

// sources is how many addresses connections come from, 127.0.0.2 and those behind it:
// each has 28,000 ports.
const sources = 8

// offer asks for messages that are compressed each by itself.
var offer = []wire.Deflate{{ServerNoContextTakeover: true, ClientNoContextTakeover: true}}

// dial connects and sends the handshake. What comes back goes to opening, and from the
// answer on to next.
func (l *loop) dial(path string, next owner) error {
	fd, err := l.connect()
	if err != nil {
		return fmt.Errorf("connect to %v: %w", l.server, err)
	}
	var nonce [16]byte
	binary.NativeEndian.PutUint64(nonce[:], rand.Uint64())
	binary.NativeEndian.PutUint64(nonce[8:], rand.Uint64())
	c := &conn{fd: fd, key: wire.EncodeKey(nonce)}
	c.owner = &opening{l, path, next}
	for len(l.conns) <= fd {
		l.conns = append(l.conns, make([]*conn, max(fd, 1024))...)
	}
	l.conns[fd] = c
	l.open++
	l.watch(c, unix.EPOLL_CTL_ADD, unix.EPOLLIN)
	l.write(c, wire.AppendRequest(nil, l.request(path, c.key)))
	return l.err
}

// connect opens a socket. On loopback that takes no time unless the server's queue is
// full, so it is done before the socket is made one that does not wait.
func (l *loop) connect() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	source := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + l.dialled%sources)}}
	l.dialled++
	to := unix.SockaddrInet4{Addr: l.server.Addr().As4(), Port: int(l.server.Port())}
	var steps []error
	if l.server.Addr() == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		// The port is chosen when the destination is known: 28,000 for each pair.
		steps = append(steps, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1), unix.Bind(fd, &source))
	}
	if l.receive > 0 {
		steps = append(steps, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, l.receive))
	}
	if l.stamps != nil {
		steps = append(steps, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	}
	steps = append(steps,
		unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1),
		unix.Connect(fd, &to),
		unix.SetNonblock(fd, true))
	if err := errors.Join(steps...); err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// request is the handshake for a path.
func (l *loop) request(path, key string) wire.Request {
	r := wire.Request{Host: l.target.Addr, Target: path, Key: key}
	if l.target.Deflate {
		r.Deflate = offer
	}
	return r
}

// opening owns a connection until its handshake is answered.
type opening struct {
	loop *loop
	path string
	next owner
}

func (*opening) opened(*conn) error { return nil }

// received waits for the whole head of the response.
func (o *opening) received(c *conn, b []byte) (int, error) {
	head, _, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return 0, nil
	}
	status, header, err := parseHead(head)
	if err != nil {
		return 0, fmt.Errorf("handshake for %s: %w", o.path, err)
	}
	answer, err := o.loop.request(o.path, c.key).Check(status, header)
	switch {
	case err != nil:
		return 0, fmt.Errorf("handshake for %s: %w", o.path, err)
	case o.loop.target.Deflate && answer.Deflate == nil:
		return 0, fmt.Errorf("handshake for %s: the server did not agree to compression", o.path)
	}
	c.owner = o.next
	return len(head) + 4, o.next.opened(c)
}

// parseHead takes the head of a response apart.
func parseHead(head []byte) (status int, header map[string][]string, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	version, line, _ := bytes.Cut(line, []byte(" "))
	if status, err = strconv.Atoi(string(line[:min(3, len(line))])); err != nil || string(version) != "HTTP/1.1" {
		return 0, nil, fmt.Errorf("the response begins with %q", head[:min(40, len(head))])
	}
	header = make(map[string][]string)
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		header[key] = append(header[key], string(bytes.TrimSpace(value)))
	}
	return status, header, nil
}
