package listen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hocket.dev/internal/loop"
	"hocket.dev/internal/testproc"
)

// selfSigned makes a certificate for 127.0.0.1, once.
var selfSigned = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// startTLS listens under TLS; failed hears of handshakes that failed.
func startTLS(t *testing.T, cfg Config) (li *Listener, failed chan error) {
	t.Helper()
	failed = make(chan error, 100)
	cfg.HandshakeFailed = func(_ net.Addr, err error) { failed <- err }
	if cfg.TLS == nil {
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
	}
	return start(t, cfg), failed
}

// secure does the client's part of a handshake.
func secure(t *testing.T, nc net.Conn) *tls.Conn {
	t.Helper()
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return tc
}

func accept(t *testing.T, li *Listener) *tls.Conn {
	t.Helper()
	nc, err := li.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tc, ok := nc.(*tls.Conn)
	if !ok {
		t.Fatalf("%T, want what net/http knows", nc)
	}
	return tc
}

// A dribble is a connection that sends byte by byte.
type dribble struct{ net.Conn }

func (d dribble) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// What is accepted has its handshake done, offers what net/http speaks, and a loop takes it over.
func TestHandshake(t *testing.T) {
	li, _ := startTLS(t, Config{})
	for _, nc := range []net.Conn{dial(t, li), dribble{dial(t, li)}} {
		client := secure(t, nc)
		server := accept(t, li)
		if s := server.ConnectionState(); !s.HandshakeComplete || s.NegotiatedProtocol != "http/1.1" {
			t.Errorf("handshake complete: %v, protocol %q", s.HandshakeComplete, s.NegotiatedProtocol)
		}
		if server.RemoteAddr().String() != nc.LocalAddr().String() {
			t.Errorf("the peer is %v, want %v", server.RemoteAddr(), nc.LocalAddr())
		}
		send(t, client, "blocking")
		want(t, server, "blocking")
		e := new(echo)
		if err := li.cfg.Loops.Next().Attach(&e.Conn, server, e); err != nil {
			t.Fatal(err)
		}
		send(t, client, "on a loop")
		want(t, client, "on a loop")
	}
}

// A client that says nothing has no goroutine, one that says half a message has none, and both are closed in time.
func TestSlowHello(t *testing.T) {
	li, _ := startTLS(t, Config{HeadTimeout: time.Second})
	slow := []net.Conn{dial(t, li), dial(t, li), dial(t, li)}
	for i, s := range []string{"\x16", "\x16\x03\x01\x02\x00", "\x16\x03\x01\x02\x00\x01"} {
		send(t, slow[i], s)
	}
	for _, nc := range slow {
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	li.handshakes.mu.Lock()
	defer li.handshakes.mu.Unlock()
	if li.handshakes.line.taken != 0 {
		t.Errorf("%d places are taken", li.handshakes.line.taken)
	}
}

// hello is what a client of TLS begins with.
func hello(t *testing.T) string {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Client(b, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	buf := make([]byte, 16<<10)
	n, err := a.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	<-done
	return string(buf[:n])
}

// Clients that begin a handshake and leave it there are closed in time, sooner while there are many, and those who come
// meanwhile have their turn.
func TestHandshakesThatStop(t *testing.T) {
	var open, most atomic.Int32
	certificate := selfSigned()
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if n := open.Add(1); n > most.Load() {
			most.Store(n)
		}
		return &certificate, nil
	}}
	li, failed := startTLS(t, Config{TLS: config, MaxHandshakes: 2, MaxHandshakesPerAddress: 2, HandshakeTimeout: 5 * time.Second})
	li.cfg.HandshakeFailed = func(_ net.Addr, err error) {
		open.Add(-1)
		failed <- err
	}
	begin := hello(t)
	for range 5 {
		send(t, dial(t, li), begin)
	}
	client := secure(t, dial(t, li))
	send(t, client, "in the end")
	server := accept(t, li)
	want(t, server, "in the end")
	server.Close()
	for range 5 {
		var timeout net.Error
		if err := <-failed; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a handshake failed with %v, want a timeout", err)
		}
	}
	if n := most.Load(); n > 2 {
		t.Errorf("%d handshakes were under way at once, want 2", n)
	}
}

// What fails is told, and costs nobody else anything.
func TestHandshakesThatFail(t *testing.T) {
	certificate := selfSigned()
	li, failed := startTLS(t, Config{TLS: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == "panic.example" {
			panic("no certificate")
		}
		return &certificate, nil
	}}})
	nc := dial(t, li)
	send(t, nc, "\x16\x03\x01\x00\x05hello")
	if err := <-failed; err == nil {
		t.Error("nonsense was accepted")
	}
	tc := tls.Client(dial(t, li), &tls.Config{InsecureSkipVerify: true, ServerName: "panic.example"})
	if err := tc.Handshake(); err == nil {
		t.Error("the handshake succeeded without a certificate")
	}
	var p *loop.PanicError
	if err := <-failed; !errors.As(err, &p) {
		t.Errorf("failed with %v, want the panic", err)
	}
	client := secure(t, dial(t, li))
	send(t, client, "undisturbed")
	server := accept(t, li)
	want(t, server, "undisturbed")
	server.Close()
}

// Close ends what is under way, what waits for a place, and what waits for Accept.
func TestCloseEndsHandshakes(t *testing.T) {
	li, _ := startTLS(t, Config{MaxHandshakes: 1, HandshakeTimeout: time.Minute})
	done := secure(t, dial(t, li))
	begin := hello(t)
	for range 3 {
		send(t, dial(t, li), begin)
	}
	testproc.Until(t, "a handshake to be under way, two to wait", func() bool {
		li.handshakes.mu.Lock()
		defer li.handshakes.mu.Unlock()
		return li.handshakes.line.taken == 1 && li.handshakes.line.waiting.Len() == 2
	})
	li.Close()
	if n, err := done.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if li.handshakes.line.taken != 0 {
		t.Errorf("%d places are taken", li.handshakes.line.taken)
	}
}

// Plain HTTP is net/http's to answer.
func TestPlainHTTPUnderTLS(t *testing.T) {
	li, _ := startTLS(t, Config{})
	web := &http.Server{}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(li) }()
	nc := dial(t, li)
	send(t, nc, plain)
	answer, err := io.ReadAll(nc)
	if string(answer[:min(12, len(answer))]) != "HTTP/1.0 400" {
		t.Errorf("%q, %v", answer, err)
	}
	web.Close()
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// However many clients of one address begin a handshake and leave it there, one of another address is served while they wait: they
// have an hour.
func TestSilentHandshakesKeepNobodyElseWaiting(t *testing.T) {
	li, failed := startTLS(t, Config{MaxHandshakes: 8, HandshakeTimeout: time.Hour})
	begin := hello(t)
	for range 40 {
		send(t, dial(t, li), begin)
	}
	testproc.Until(t, "them to have their share of the places", func() bool {
		li.handshakes.mu.Lock()
		defer li.handshakes.mu.Unlock()
		return li.handshakes.line.taken == 2 && li.handshakes.line.waiting.Len() == 38
	})
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	nc, err := from.Dial("tcp", li.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute)) // a failure, not a measurement
	send(t, secure(t, nc), "served")
	server := accept(t, li)
	want(t, server, "served")
	server.Close()
	if n := len(failed); n > 0 {
		t.Errorf("%d of the silent ones have ended", n)
	}
}
