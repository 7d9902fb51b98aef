//go:build linux

package generator

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hocket.dev/websocket"
)

// A fault is what a server does wrong: it changes the messages that become of one.
type fault func(n int, msg []byte) [][]byte

// broken is a server of the bare dialect with a fault.
type broken struct {
	fault  fault
	accept websocket.AcceptOptions
	mu     sync.Mutex
	subs   []*websocket.Conn
	n      int
}

// start serves until the test ends.
func (s *broken) start(t *testing.T) Target {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return Target{Addr: web.Listener.Addr().String(), PID: os.Getpid(), Deflate: s.accept.Compression.Mode != 0}
}

func (s *broken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &s.accept)
	if err != nil {
		return
	}
	defer c.CloseNow()
	if r.URL.Path == "/sub" {
		s.mu.Lock()
		s.subs = append(s.subs, c)
		c.Write(r.Context(), websocket.Text, []byte("ready"))
		s.mu.Unlock()
	}
	for msg, err := range c.Messages(r.Context()) {
		if err != nil {
			return
		}
		s.mu.Lock()
		to := []*websocket.Conn{c}
		if r.URL.Path == "/pub" {
			to = s.subs
		}
		for _, out := range s.fault(s.n, slices.Clone(msg.Data)) {
			for _, c := range to {
				c.Write(r.Context(), websocket.Text, out)
			}
		}
		s.n++
		s.mu.Unlock()
	}
}

func right(_ int, msg []byte) [][]byte { return [][]byte{msg} }

// faults are those that each kind of work has to find in message 3.
func faults() map[string]fault {
	at3 := func(f func(msg []byte) [][]byte) fault {
		return func(n int, msg []byte) [][]byte {
			if n == 3 {
				return f(msg)
			}
			return [][]byte{msg}
		}
	}
	var before []byte
	return map[string]fault{
		"lost":    at3(func([]byte) [][]byte { return nil }),
		"doubled": at3(func(msg []byte) [][]byte { return [][]byte{msg, msg} }),
		"damaged": at3(func(msg []byte) [][]byte { msg[100] ^= 1; return [][]byte{msg} }),
		"shorter": at3(func(msg []byte) [][]byte { return [][]byte{msg[:len(msg)-1]} }),
		"exchanged": func(n int, msg []byte) [][]byte {
			switch n {
			case 3:
				before = msg
				return nil
			case 4:
				return [][]byte{msg, before}
			}
			return [][]byte{msg}
		},
	}
}

func TestFanoutFindsFaults(t *testing.T) {
	work := Fanout{Subscribers: 3, Open: 32, Bytes: 128, Duration: 20 * time.Millisecond}
	for name, f := range faults() {
		s := &broken{fault: f}
		if _, err := Run(t.Context(), s.start(t), work); err == nil || !strings.Contains(err.Error(), "room 0: message") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	s := &broken{fault: right}
	r, err := Run(t.Context(), s.start(t), work)
	if err != nil || r.Done == 0 || r.Wire != int64(r.Done)*(128+4) || r.Payload != int64(r.Done)*128 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("without a fault: %+v, %v", r, err)
	}
}

func TestFanoutOfBooks(t *testing.T) {
	s := &broken{fault: right}
	s.accept.Compression.Mode = websocket.CompressionOn
	work := Fanout{Subscribers: 3, Rooms: 1, Rate: 1000, Book: true, Duration: 20 * time.Millisecond}
	r, err := Run(t.Context(), s.start(t), work)
	if err != nil || r.Wire > r.Payload/2 || r.Payload != int64(r.Done)*1024 {
		t.Errorf("%+v, %v", r, err)
	}
	s = &broken{fault: faults()["damaged"], accept: s.accept}
	if _, err := Run(t.Context(), s.start(t), work); err == nil {
		t.Error("a book that was damaged before it was compressed is not found")
	}
}

func TestEchoFindsFaults(t *testing.T) {
	work := Echo{Connections: 2, Flight: 16, Bytes: 128, Duration: 20 * time.Millisecond}
	for _, name := range []string{"doubled", "damaged", "shorter", "exchanged"} {
		s := &broken{fault: faults()[name]}
		if _, err := Run(t.Context(), s.start(t), work); err == nil || !strings.Contains(err.Error(), "echo: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	s := &broken{fault: right}
	if r, err := Run(t.Context(), s.start(t), work); err != nil || r.Done == 0 || r.CPU <= 0 {
		t.Errorf("without a fault: %+v, %v", r, err)
	}
}

func TestIdleFindsFaults(t *testing.T) {
	work := Idle{Connections: 4, First: 2}
	for _, mode := range []websocket.CompressionMode{websocket.CompressionOff, websocket.CompressionOn} {
		accept := websocket.AcceptOptions{Compression: websocket.Compression{Mode: mode}}
		s := &broken{fault: faults()["damaged"], accept: accept}
		if _, err := Run(t.Context(), s.start(t), work); err == nil || !strings.Contains(err.Error(), "idle: ") {
			t.Errorf("mode %d: error %v", mode, err)
		}
		s = &broken{fault: right, accept: accept}
		if r, err := Run(t.Context(), s.start(t), work); err != nil || r.Done != 4 {
			t.Errorf("mode %d, without a fault: %+v, %v", mode, r, err)
		}
	}
}

// TestCompressionMustBeUsed holds that what is called compressed is.
func TestCompressionMustBeUsed(t *testing.T) {
	s := &broken{fault: right}
	target := s.start(t)
	target.Deflate = true
	if _, err := Run(t.Context(), target, Idle{Connections: 1}); err == nil || !strings.Contains(err.Error(), "did not agree") {
		t.Errorf("a server without compression: error %v", err)
	}
	s = &broken{fault: right}
	s.accept.Compression = websocket.Compression{Mode: websocket.CompressionOn, Threshold: 1 << 20}
	if _, err := Run(t.Context(), s.start(t), Idle{Connections: 1}); err == nil || !strings.Contains(err.Error(), "does not use it") {
		t.Errorf("a server that agrees and does not compress: error %v", err)
	}
}

func TestHandshakes(t *testing.T) {
	s := &broken{fault: right}
	r, err := Run(t.Context(), s.start(t), Handshakes{Open: 4, Warmup: time.Millisecond, Duration: 20 * time.Millisecond})
	if err != nil || r.Done == 0 || r.Elapsed < 20*time.Millisecond {
		t.Errorf("%+v, %v", r, err)
	}
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	target := Target{Addr: refusing.Listener.Addr().String(), PID: os.Getpid()}
	if _, err := Run(t.Context(), target, Handshakes{Open: 1, Duration: time.Second}); err == nil || !strings.Contains(err.Error(), "handshake for /echo") {
		t.Errorf("a server that refuses: error %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := &broken{fault: func(int, []byte) [][]byte { return nil }} // so that it waits
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, s.start(t), Idle{Connections: 1}); err != context.DeadlineExceeded {
		t.Errorf("error %v", err)
	}
}

// TestPublications cuts messages of the whole servers as they send them.
func TestPublications(t *testing.T) {
	p := []byte(`"0001"`)
	tests := []struct {
		dialect Dialect
		message string
		carried []bool
	}{
		{Hocket, `{"type":"message","channel":"room:0","offset":1,"time_ms":5,"payload":"0001"}`, []bool{true}},
		{Hocket, `{"type":"message","channel":"room:0","offset":1,"payload":"0001x"}`, []bool{false}},
		{Hocket, `{"type":"gap","channel":"room:0","payload":"0001"}`, []bool{false}},
		{Centrifuge, `{"push":{"channel":"room0","pub":{"data":"0001"}}}`, []bool{true}},
		{Centrifuge, `{"push":{"channel":"room0","pub":{"data":"0001"}}}` + "\n" + `{"push":{"channel":"room0","pub":{"data":"0002"}}}` + "\n", []bool{true, false}},
		{Bare, `"0001"`, []bool{true}},
		{Bare, `"0001" `, []bool{false}},
	}
	for _, tt := range tests {
		var got []bool
		for rest := []byte(tt.message); len(rest) > 0; {
			var one []byte
			one, rest = tt.dialect.next(rest)
			got = append(got, tt.dialect.carries(one, p))
		}
		if !slices.Equal(got, tt.carried) {
			t.Errorf("%T %s: %v, want %v", tt.dialect, tt.message, got, tt.carried)
		}
	}
}
