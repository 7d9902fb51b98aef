//go:build unix

package sys

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"hocket.dev/internal/testproc"
)

const hardLimit = 48

// With SYSTEST set this program is the server its tests start.
func TestMain(m *testing.M) {
	if os.Getenv("SYSTEST") == "serve" {
		if err := serve(); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// counted counts the calls of Accept.
type counted struct {
	net.Listener
	calls atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	c.calls.Add(1)
	return c.Listener.Accept()
}

// serve echoes lines with few descriptors. The line "?" is answered with what has been counted.
func serve() error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: hardLimit / 2, Max: hardLimit}); err != nil {
		return err
	}
	files, err := RaiseFileLimit()
	fmt.Println("limit", files, err)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	count := &counted{Listener: inner}
	l := NewListener(count, slog.New(slog.NewTextHandler(os.Stdout, nil)))
	fmt.Println("listening on", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			for lines := bufio.NewScanner(c); lines.Scan(); {
				answer := lines.Text()
				if answer == "?" {
					answer = fmt.Sprint(count.calls.Load(), l.Refused())
				}
				fmt.Fprintln(c, answer)
			}
		}()
	}
}

// start starts the server.
func start(t *testing.T) (p *testproc.Process, addr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SYSTEST=serve")
	p = testproc.StartCmd(t, cmd)
	listening := regexp.MustCompile(`listening on (\S+)`)
	testproc.Until(t, "the server to listen", func() bool {
		m := listening.FindStringSubmatch(p.Output())
		if m != nil {
			addr = m[1]
		}
		return m != nil
	})
	return p, addr
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAFullProcessRefusesAndGoesOn(t *testing.T) {
	p, addr := start(t)
	if want := fmt.Sprintf("limit %d <nil>\n", hardLimit); p.Output()[:len(want)] != want {
		t.Fatalf("the limit was not raised to the hard one:\n%s", p.Output())
	}
	var open []net.Conn
	refused := 0
	const dials = 100
	for range dials {
		if c := dial(t, addr); testproc.Ask(t, c, "hello") == "hello" {
			open = append(open, c)
		} else {
			refused++
		}
	}
	if len(open) < hardLimit/2 || len(open) >= hardLimit {
		t.Errorf("%d of %d are open, with a limit of %d files", len(open), dials, hardLimit)
	}
	for i, c := range open {
		if testproc.Ask(t, c, "still here") != "still here" {
			t.Errorf("connection %d was disturbed", i)
		}
	}
	var calls, counted int
	fmt.Sscan(testproc.Ask(t, open[0], "?"), &calls, &counted)
	if counted != refused {
		t.Errorf("%d refused connections were counted, not %d", counted, refused)
	}
	if calls > 3*dials {
		t.Errorf("%d calls of accept for %d connections: it spins", calls, dials)
	}
	for _, c := range open[1:6] {
		c.Close()
	}
	testproc.Until(t, "room for new connections", func() bool { return testproc.Ask(t, dial(t, addr), "hello") == "hello" })
	if testproc.Ask(t, open[0], "at last") != "at last" {
		t.Error("the first connection was disturbed")
	}
}

// failing is a listener whose Accept fails as in a full process.
type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) { return nil, os.NewSyscallError("accept4", unix.EMFILE) }

// When not even the spare helps, the caller is told, so that it can wait.
func TestAcceptFailsWhenTheSpareDoesNotHelp(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(failing{inner}, slog.New(slog.DiscardHandler))
	if _, err := l.Accept(); !outOfFiles(err) {
		t.Errorf("%v", err)
	}
	l.Close()
	if l.spare != nil || l.takeSpare() {
		t.Error("a closed listener keeps a spare descriptor")
	}
}

func TestOtherErrorsAreTold(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(inner, slog.New(slog.DiscardHandler))
	l.Close()
	if _, err := l.Accept(); err == nil || outOfFiles(err) {
		t.Errorf("%v", err)
	}
}
