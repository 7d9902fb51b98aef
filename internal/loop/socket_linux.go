package loop

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notSentLowat is how much a socket takes beyond what it has sent: lag stays in the owner's log and not in the kernel,
// where a stalled reader otherwise holds 4 MB.
const notSentLowat = 16 << 10

// takeOver duplicates the descriptor of nc, closes nc and readies the copy for the loop. -1 without an error means that
// nc has no descriptor and is untouched. Only the plain types count: one that embeds them may have changed what Read and Write do.
func takeOver(nc net.Conn) (int, error) {
	var sc syscall.Conn
	tcp := false
	switch nc := nc.(type) {
	case *net.TCPConn:
		sc, tcp = nc, true
	case *net.UnixConn:
		sc = nc
	default:
		return -1, nil
	}
	defer nc.Close()
	fd, err := duplicate(sc)
	if err != nil {
		return -1, err
	}
	if err := ready(fd, tcp); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
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

func ready(fd int, tcp bool) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if !tcp {
		return nil
	}
	for _, opt := range [...]struct{ name, value int }{
		{unix.TCP_NODELAY, 1},
		{unix.TCP_NOTSENT_LOWAT, notSentLowat},
	} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, opt.name, opt.value); err != nil {
			return fmt.Errorf("option %d: %w", opt.name, os.NewSyscallError("setsockopt", err))
		}
	}
	return nil
}

// recv and send are raw system calls: the socket does not block, so the scheduler need not be told, which saves a fifth of
// what a small write costs.

// recv reads into b, which is not empty. n is 0 at the end of the connection and on errors.
func recv(fd int32, b []byte, flags uintptr) (n int, errno unix.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
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
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
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
