package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// BenchmarkIdleTLS measures what an idle wss connection holds on a loop: memory of the
// process (RSS) and goroutines, once collected memory has been given back, for connections
// that have just been opened and for those that have echoed 16 KiB. The clients are
// another process. One round says it:
//
//	go test -run '^$' -bench IdleTLS -benchtime 1x ./websocket
func BenchmarkIdleTLS(b *testing.B) {
	const warm, conns = 500, 4000
	for _, size := range []int{0, 16 << 10} {
		b.Run(fmt.Sprintf("%d bytes echoed", size), func(b *testing.B) {
			for range b.N {
				s := newServer(b, &program{message: echoing().message}, ServerOptions{})
				url := s.listenTLS(b, s)
				s.hold(b, url, warm, size)
				before, goroutines := resident(b), runtime.NumGoroutine()
				s.hold(b, url, conns, size)
				b.ReportMetric(float64(resident(b)-before)/conns, "B/conn")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/conns, "goroutines/conn")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// hold has another process open n connections more and echo a message of size bytes on
// each, and returns when they are idle.
func (s *Server) hold(b *testing.B, url string, n, size int) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldTLS$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("WEBSOCKET_HOLD=%s %d %d", url, n, size))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // held until the end, which ends the other process
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	var said []byte
	for piece := make([]byte, 1024); !bytes.Contains(said, []byte("held")); {
		k, err := out.Read(piece)
		if said = append(said, piece[:k]...); err != nil {
			b.Fatalf("%v: %s", err, said)
		}
	}
}

// TestHoldTLS is the process that hold starts.
func TestHoldTLS(t *testing.T) {
	var url string
	var n, size int
	if _, err := fmt.Sscan(os.Getenv("WEBSOCKET_HOLD"), &url, &n, &size); err != nil {
		return // an ordinary run of the tests
	}
	held := make([]*tls.Conn, n)
	for i := range held {
		nc, err := tls.Dial("tcp", strings.TrimPrefix(url, "wss://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		held[i] = nc
		shake(t, nc, "127.0.0.1")
		if size > 0 {
			sendBytes(t, nc, masked(2, strings.Repeat("x", size))...)
			if _, err := io.CopyN(io.Discard, nc, int64(4+size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(held)
}

// resident returns the RSS of this process without what it could give back.
func resident(b *testing.B) int64 {
	b.Helper()
	testproc.Settled(b)
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
