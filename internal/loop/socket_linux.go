package loop

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notSentLowat is how much a socket takes beyond what it has sent: lag stays in the owner's log and not in the kernel,
// where a stalled reader otherwise holds 4 MB.
const notSentLowat = 16 << 10

// takeOver duplicates the descriptor of nc, closes nc and sets what the copy lacks: TCP_NODELAY is package net's. -1 without
// an error means that nc has no descriptor and is untouched. Only the plain types count, and Proxied: another that embeds them may have changed
// what Read and Write do.
func takeOver(nc net.Conn) (int, error) {
	var sc syscall.Conn
	tcp := false
	switch nc := nc.(type) {
	case *net.TCPConn:
		sc, tcp = nc, true
	case *Proxied:
		sc, tcp = nc.TCPConn, true
	case *net.UnixConn:
		sc = nc
	default:
		return -1, nil
	}
	fd, err := duplicate(sc)
	_ = nc.Close() // before the option, of which all who watch the socket are told
	if err == nil && tcp {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat))
	}
	if err != nil && fd >= 0 {
		unix.Close(fd)
		fd = -1
	}
	return fd, err
}

func duplicate(sc syscall.Conn) (int, error) {
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup := -1
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && dupErr != nil {
		err = os.NewSyscallError("fcntl", dupErr)
	}
	if err != nil {
		return -1, err
	}
	return dup, nil
}

// accept, recv and send are raw system calls: they do not block, so the scheduler need not be told, which saves a fifth of
// what a small write costs. MSG_DONTWAIT holds for a socket that does block, too, as os.File.Fd leaves what it is called on.

// accept takes one connection, which does not block, and who it is from.
func accept(listener int) (fd int, from netip.AddrPort, errno unix.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(r), addrPort(&sa), 0
}

// addrPort reads an address of the Internet; of another family it is the zero value.
func addrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), port(&in.Port))
	}
	return netip.AddrPort{}
}

// recv reads into b, which is not empty. n is 0 at the end of the connection and on errors.
func recv(fd int32, b []byte, flags uintptr) (n int, errno unix.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// send writes from b, which is not empty. MSG_NOSIGNAL spares the signal that a broken connection would raise.
func send(fd int32, b []byte) (n int, errno unix.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// socketError returns the error pending on a socket that is broken in both directions, io.EOF when there is none.
func socketError(fd int32) error {
	errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if errno == 0 {
		return io.EOF
	}
	return os.NewSyscallError("read", unix.Errno(errno))
}
