package loop

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"hocket.dev/internal/testproc"
)

// serveFull answers lines on two loops with few descriptors, until it is killed. "?" is answered with the number of
// refused connections, anything else with itself.
func serveFull() error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 24, Max: 24}); err != nil {
		return err
	}
	g, err := New(Config{Loops: 2})
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var refused atomic.Int64
	_, err = g.Listen(tcp.(*net.TCPListener), ListenConfig{
		Accept: func(l *Loop, fd int, _ netip.AddrPort) {
			p, o := &owner{closed: make(chan error, 1)}, &owner{closed: make(chan error, 1)}
			o.read = func(b []byte) {
				if b[0] == '?' {
					b = fmt.Appendln(nil, refused.Load())
				}
				o.Write(b)
			}
			p.read = func([]byte) { p.Move(&o.Conn, o) }
			l.AttachPeeking(&p.Conn, fd, p)
		},
		Refused: func() { refused.Add(1) },
	})
	if err != nil {
		return err
	}
	fmt.Println("listening on", tcp.Addr())
	select {}
}

// A process without descriptors closes new connections, so that clients know, keeps the others, and takes new ones
// as soon as it can.
func TestFullProcessRefusesAndGoesOn(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOOPTEST=serve")
	p := testproc.StartCmd(t, cmd)
	listening := regexp.MustCompile(`listening on (\S+)`)
	var addr string
	testproc.Until(t, "the server to listen", func() bool {
		if m := listening.FindStringSubmatch(p.Output()); m != nil {
			addr = m[1]
		}
		return addr != ""
	})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var open []net.Conn
	refused := 0
	for refused < 20 {
		if c := dial(); testproc.Ask(t, c, "hello") == "hello" {
			open = append(open, c)
		} else {
			refused++
		}
		if len(open) > 24 {
			t.Fatal("more connections than descriptors")
		}
	}
	for _, c := range open {
		if testproc.Ask(t, c, "still there") != "still there" {
			t.Error("an open connection was touched")
		}
	}
	if got := testproc.Ask(t, open[0], "?"); got != fmt.Sprint(refused) {
		t.Errorf("%s refusals were counted, want %d", got, refused)
	}
	open[1].Close()
	testproc.Until(t, "a new connection to be served", func() bool { return testproc.Ask(t, dial(), "hello") == "hello" })
}
