// Package testproc lets tests work with real processes: it starts them, waits for what they do, and ends them. Only
// tests import it. Everything that can happen in virtual time does; Until is the one place that polls.
//
//	port := testproc.FreePort(t)
//	p := testproc.Start(t, "redis-server", "--port", strconv.Itoa(port))
//	testproc.Until(t, "redis to listen", func() bool { return strings.Contains(p.Output(), "Ready to accept") })
package testproc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"
)

const (
	deadline = 3 * time.Minute // only what will never come is waited for that long: the machine may be slow
	interval = 5 * time.Millisecond
)

// Until returns once cond is true. It fails the test, saying that what did not come, after three minutes. cond is called on
// the test's goroutine.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !within(deadline, cond) {
		t.Fatalf("waited %v for %s in vain", deadline, what)
	}
}

func within(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); !cond(); time.Sleep(interval) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on, and that the system gives to nobody who has not asked
// for it by number, for about a minute. A program that can choose its port itself (port 0) should.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := reservePort()
	if err != nil {
		t.Fatalf("look for a free port: %v", err)
	}
	return port
}

// reservePort leaves a connection on the port in TIME-WAIT (RFC 9293 §3.6.1). That keeps the port from being chosen for
// another test's listener or connection, and lets a program that sets SO_REUSEADDR, as servers do, listen on it.
func reservePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return 0, err
	}
	server.Close() // who closes first has the TIME-WAIT
	_, err = client.Read(make([]byte, 1))
	if err != io.EOF {
		return 0, fmt.Errorf("the end of a connection: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, nil
}

// A Process is a program that a test has started. Its methods may be called from any goroutine.
type Process struct {
	cmd    *exec.Cmd
	output buffer
	ended  chan struct{}
}

// Start starts a program. When the test ends the program is killed, and if the test has failed its output is logged.
func Start(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	return StartCmd(t, exec.Command(name, args...))
}

// StartCmd is Start for a command with an environment, a directory or an input of its own. Stdout and Stderr are set
// here.
func StartCmd(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = time.Second // a grandchild that keeps the output open must not hold up the test
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("output of %s:\n%s", cmd.Path, p.Output())
		}
	})
	return p
}

// Output returns what the program has written so far, to standard output and standard error.
func (p *Process) Output() string { return p.output.String() }

// Signal sends a signal. It fails if the program has ended.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Ended returns a channel that is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// ExitCode waits for the program to end and returns its exit code, -1 if a signal ended it.
func (p *Process) ExitCode(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(deadline):
		t.Fatalf("%s has not ended after %v", p.cmd.Path, deadline)
	}
	return p.cmd.ProcessState.ExitCode()
}

// A buffer is written by the program and read by the test.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Settled returns the number of goroutines of this process once those of handshakes and the like have ended: when it is
// the same many times in a row.
func Settled(t testing.TB) int {
	t.Helper()
	last, same := 0, 0
	Until(t, "the number of goroutines to settle", func() bool {
		n := runtime.NumGoroutine()
		if n != last {
			last, same = n, 0
		}
		same++
		return same > 20
	})
	return last
}

// Ask sends a line and returns the answer, "" when the connection has been closed.
func Ask(t testing.TB, c net.Conn, line string) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // a failure shows in the answer
	fmt.Fprintln(c, line)
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatal("neither an answer nor a close came")
		}
		return ""
	}
	return answer[:len(answer)-1]
}
