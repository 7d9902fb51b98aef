//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hocket.dev/wire"
)

// floorRoom does what no server can do with less: one frame per message, and one
// write(2) of it per subscriber, as a raw system call. It reads nothing that
// subscribers say.
type floorRoom struct {
	mu      sync.Mutex
	sockets []int
}

// serveFloor serves on l until ctx ends.
func serveFloor(ctx context.Context, l net.Listener) error {
	var room floorRoom
	for {
		nc, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := room.accept(nc); err != nil {
			slog.Error("accept", "error", err)
			nc.Close()
		}
	}
}

// accept completes a handshake.
func (f *floorRoom) accept(nc net.Conn) error {
	br := bufio.NewReader(nc)
	request, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	up, refusal := wire.ParseUpgrade(request.Method, request.ProtoMajor, request.ProtoMinor, request.Host, request.Header)
	if refusal != nil {
		return refusal
	}
	answer := wire.AppendResponse(nil, up.Key, "", nil)
	if request.URL.Path == "/pub" {
		go f.publisher(nc, br)
		_, err := nc.Write(answer)
		return err
	}
	if _, err := nc.Write(wire.AppendFrame(answer, wire.Text, []byte(greeting))); err != nil {
		return err
	}
	return f.keep(nc.(*net.TCPConn))
}

// keep takes the descriptor of a subscriber, which costs less than its net.Conn.
func (f *floorRoom) keep(nc *net.TCPConn) error {
	raw, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	var dupErr error
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(err, dupErr); err != nil {
		return err
	}
	f.mu.Lock()
	f.sockets = append(f.sockets, fd)
	f.mu.Unlock()
	return nc.Close()
}

// publisher sends every message of one connection to all subscribers. When it
// leaves, the run is over.
func (f *floorRoom) publisher(nc net.Conn, br *bufio.Reader) {
	defer nc.Close()
	defer f.closeAll()
	decoder := wire.NewDecoder(wire.Server, nil)
	var whole wire.Assembler
	buf, frame := make([]byte, 64<<10), []byte(nil)
	for {
		n, err := br.Read(buf)
		if err != nil {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			ev, n, err := decoder.Next(b)
			if err != nil {
				return
			}
			b = b[n:]
			if msg, done := whole.Add(ev); done {
				frame = wire.AppendFrame(frame[:0], ev.Op, msg)
				f.broadcast(frame)
			}
			if ev.Kind == wire.KindClose {
				nc.Write(wire.AppendClose(nil, ev.Code, ""))
				return
			}
		}
	}
}

// closeAll ends every subscriber.
func (f *floorRoom) closeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fd := range f.sockets {
		unix.Close(fd)
	}
	f.sockets = nil
}

// broadcast writes one frame to every subscriber. One that fails stays, until the
// publisher leaves.
func (f *floorRoom) broadcast(frame []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fd := range f.sockets {
		writeAll(fd, frame)
	}
}

// writeAll writes b, and waits where the socket is full.
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
