package loop

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// waveEvery is for how long at least connections are counted, and waveSize how many in that time make a wave: 2,000 a second.
	waveEvery = 10 * time.Millisecond
	waveSize  = 20
)

// A guest is a loop that waits in Go's own poller, which it does while connections come out of that in numbers, as during a wave
// of handshakes through net/http. A loop that waits in a system call has a thread, to which the processor changes for each
// handshake, and as often sysmon wakes up to take the waiting thread's P away: together a fifth of what handshakes cost. As a
// guest the loop runs on whichever thread runs their goroutines, when these have done what there was, and serves what has come
// of all of them. Goroutines that compute keep a guest waiting for some milliseconds, though.
type guest struct {
	adopted uint32        // connections, when the count began
	since   time.Duration // the count began
	wave    bool          // connections come in numbers

	file    *os.File // a copy of the epoll's descriptor, in Go's poller; nil outside of a wave
	conn    syscall.RawConn
	look    func(uintptr) bool // the epoll's, made once
	limited bool               // file has a deadline
}

// count decides, now and then, whether there is a wave.
func (g *guest) count(adopted uint32, now time.Duration) {
	if elapsed := now - g.since; elapsed >= waveEvery {
		g.wave = time.Duration(adopted-g.adopted)*waveEvery >= waveSize*elapsed
		g.adopted, g.since = adopted, now
	}
}

// isGuest decides where the next wait is done.
func (e *epoll) isGuest() bool {
	g := &e.guest
	switch {
	case !g.wave:
		e.leave()
	case g.file == nil:
		e.enter()
	}
	return g.file != nil
}

// enter puts the epoll into Go's poller.
func (e *epoll) enter() {
	fd, err := unix.FcntlInt(uintptr(e.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return // there is no descriptor left
	}
	file := os.NewFile(uintptr(fd), "epoll")
	conn, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // it fails where the poller has not taken it
	}
	if err != nil {
		_ = file.Close()
		return
	}
	g := &e.guest
	g.file, g.conn, g.look, g.limited = file, conn, e.look, false
	if e.locked {
		e.locked = false
		runtime.UnlockOSThread()
	}
}

// leave takes it out again, where each event would wake a thread for nothing.
func (e *epoll) leave() {
	if g := &e.guest; g.file != nil {
		_ = g.file.Close()
		g.file, g.conn = nil, nil
	}
}

// waitInPoller is waitOnThread for a guest.
func (e *epoll) waitInPoller(d time.Duration) {
	g := &e.guest
	if g.limited || d > 0 {
		var end time.Time
		if g.limited = d > 0; g.limited {
			end = time.Now().Add(d)
		}
		_ = g.file.SetReadDeadline(end)
	}
	_ = g.conn.Read(g.look) // the error says that the time is over
}

// look asks what is ready and reports whether anything is. It does not block, so the scheduler need not be told. It is what
// a guest's RawConn reads by, too.
func (e *epoll) look(uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), 0, 0, 0)
	if errno != 0 {
		n = 0 // interrupted
	}
	e.found(int(n))
	return n > 0
}
