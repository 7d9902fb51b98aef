package hocket_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hocket.dev"
	"hocket.dev/internal/testproc"
)

// An idle session is a descriptor and a small struct: however many there are, the number of goroutines stays.
func TestIdleHasNoGoroutine(t *testing.T) {
	const sessions = 2000
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur < 2*sessions+200 {
		t.Skipf("both ends of %d connections need more than %d open files: raise the limit with ulimit -n", sessions, files.Cur)
	}
	srv, err := hocket.New(hocket.Config{Anonymous: true, Log: slog.New(slog.DiscardHandler), Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		web.Close()
	})
	addr := web.Listener.Addr().String()
	for i := range 10 {
		openIdle(t, addr, i)
	}
	before := testproc.Settled(t)
	for i := range sessions {
		openIdle(t, addr, i)
	}
	if n := srv.Sessions(); n != sessions+10 {
		t.Fatalf("%d sessions, want %d", n, sessions+10)
	}
	testproc.Until(t, fmt.Sprintf("the %d goroutines there were before", before), func() bool {
		return runtime.NumGoroutine() <= before
	})
}

// openIdle opens a session that has subscribed to a channel, from one of a few addresses. It uses neither goroutines nor
// packages that might.
func openIdle(t *testing.T, addr string, i int) {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}}
	c, err := from.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "GET /v1/ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	r := bufio.NewReaderSize(c, 4096)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("session %d: %v, %v", i, response, err)
	}
	subscribe := fmt.Appendf(nil, `{"type":"subscribe","id":1,"channel":"idle:%d"}`, i)
	frame := append([]byte{0x81, 0x80 | byte(len(subscribe)), 0, 0, 0, 0}, subscribe...) // masked with zeros
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
	for range 2 { // connected, and the reply
		readFrame(t, r)
	}
}

// readFrame reads one unmasked frame of less than 64 KiB.
func readFrame(t *testing.T, r *bufio.Reader) {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			t.Fatal(err)
		}
		n = int(head[0])<<8 | int(head[1])
	}
	if _, err := r.Discard(n); err != nil {
		t.Fatal(err)
	}
}
