//go:build linux

package generator

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stamps tells when the kernel was given what is read (SO_TIMESTAMPNS). On loopback that is while the server writes it: how
// long this process then waits for a processor, and how long it takes with what it reads before, is no part of it.
type stamps struct {
	at      time.Time // of the bytes read last, the last of them where they came in several segments
	control [64]byte
}

// receive reads what fd has received into b, and sets s.at.
func (s *stamps) receive(fd int, b []byte) (n int, errno syscall.Errno) {
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &s.control[0]}
	msg.SetControllen(len(s.control))
	got, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), 0)
	s.at = time.Now()
	header := (*unix.Cmsghdr)(unsafe.Pointer(&s.control[0]))
	if errno == 0 && int(msg.Controllen) >= unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{}))) &&
		header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPNS {
		stamp := (*unix.Timespec)(unsafe.Pointer(&s.control[unix.CmsgLen(0)]))
		s.at = time.Unix(stamp.Unix())
	}
	return int(got), errno
}
