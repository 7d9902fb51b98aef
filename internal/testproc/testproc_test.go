package testproc

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// With TESTPROC set this program is the process its tests start.
func TestMain(m *testing.M) {
	switch os.Getenv("TESTPROC") {
	case "speak":
		fmt.Println("out")
		fmt.Fprintln(os.Stderr, "err")
		os.Exit(3)
	case "hang":
		fmt.Println("hanging")
		<-time.After(time.Hour) // an empty select would be taken for a deadlock
	}
	goleak.VerifyTestMain(m)
}

func start(t testing.TB, mode string) *Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TESTPROC="+mode)
	return StartCmd(t, cmd)
}

func TestOutputAndExitCode(t *testing.T) {
	p := start(t, "speak")
	if code := p.ExitCode(t); code != 3 || !strings.Contains(p.Output(), "out") || !strings.Contains(p.Output(), "err") {
		t.Errorf("exit code %d, output %q", code, p.Output())
	}
}

func TestProcessIsKilledWithTheTest(t *testing.T) {
	var p *Process
	t.Run("inner", func(t *testing.T) {
		p = start(t, "hang")
		Until(t, "output", func() bool { return strings.Contains(p.Output(), "hanging") })
	})
	select {
	case <-p.Ended():
	default:
		t.Error("still there after its test")
	}
	if err := p.Signal(syscall.SIGTERM); err == nil {
		t.Error("a process that has ended takes signals")
	}
}

func TestWaitingHasAnEnd(t *testing.T) {
	calls := 0
	if within(20*time.Millisecond, func() bool { calls++; return false }) || calls < 2 {
		t.Errorf("success, or too few of %d calls", calls)
	}
	if !within(time.Hour, func() bool { return true }) {
		t.Error("a condition that holds is not seen")
	}
}

func TestFreePortCanBeListenedOn(t *testing.T) {
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// Nobody else is given the port before it is used, however many ask.
func TestFreePortIsKept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the table of connections is read from /proc")
	}
	port := FreePort(t)
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("0100007F:%04X 0100007F:", port); !regexp.MustCompile(want + `[0-9A-F]{4} 06 `).Match(table) { // 06 is TIME-WAIT
		t.Errorf("no connection of port %d is in TIME-WAIT:\n%s", port, table)
	}
}
