package websocket

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

// selfSigned makes a certificate for 127.0.0.1, once, and the roots with which a client
// trusts it.
var selfSigned = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
})

func clientTLS() *tls.Config {
	_, roots := selfSigned()
	return &tls.Config{RootCAs: roots}
}

// listenTLS serves h under TLS behind the listener of s and returns its wss URL.
func (s *Server) listenTLS(t testing.TB, h http.Handler) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, _ := selfSigned()
	l := s.ListenerTLS(tcp, &tls.Config{Certificates: []tls.Certificate{certificate}})
	web := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	ended := run(func() error { return web.Serve(l) })
	t.Cleanup(func() {
		_ = web.Close()
		if err := ended(); err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return "wss://" + tcp.Addr().String()
}

func dialTLS(t *testing.T, url string) *Conn {
	t.Helper()
	return dial(t, url, &DialOptions{TLS: clientTLS()})
}

// dialRawTLS completes both handshakes and returns the bare connection under TLS.
func dialRawTLS(t *testing.T, url string) *tls.Conn {
	t.Helper()
	host := strings.TrimPrefix(url, "wss://")
	nc, err := tls.Dial("tcp", host, clientTLS())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	shake(t, nc, host)
	return nc
}

func TestTLSEchoes(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		s := newServer(t, h, ServerOptions{Portable: portable, MaxMessageBytes: 8 << 20})
		c := dialTLS(t, s.listenTLS(t, s))
		c.SetReadLimit(0)
		for _, n := range []int{0, 5, 125, 126, 4096, 65535, 65536, 8 << 20} {
			msg := strings.Repeat("x", n)
			wrote := run(func() error { return c.Write(t.Context(), Text, []byte(msg)) })
			c.want(t, Text, msg)
			if err := wrote(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Ping(pinging(t, c)); err != nil {
			t.Error(err)
		}
		if err := c.Close(CloseNormal, "done"); err != nil {
			t.Error(err)
		}
		wantClosed(t, <-h.closed, CloseNormal, "done")
	})
}

// Requests that are no handshake are net/http's, in both versions, with Request.TLS set.
func TestTLSServesHTTP(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := newServer(t, echoing(), ServerOptions{Portable: portable})
		url := s.listenTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS == nil || !r.TLS.HandshakeComplete {
				t.Error("Request.TLS is not set")
			}
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Proto+" "+string(body))
		}))
		for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS(), ForceAttemptHTTP2: http2}}
			for range 3 {
				response, err := client.Post("https"+strings.TrimPrefix(url, "wss"), "text/plain", strings.NewReader("a body"))
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if string(body) != proto+" a body" {
					t.Errorf("%q, want %s", body, proto)
				}
			}
			client.CloseIdleConnections()
		}
	})
}

// Plain HTTP on the port of TLS is told what to do.
func TestTLSAnswersPlainHTTP(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := newServer(t, echoing(), ServerOptions{Portable: portable})
		response, err := http.Get("http" + strings.TrimPrefix(s.listenTLS(t, s), "wss"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Error(response.Status)
		}
	})
}

func TestIdleTLSHasNoGoroutine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has loops for descriptors")
	}
	h := &program{message: echoing().message}
	s := newServer(t, h, ServerOptions{})
	url := s.listenTLS(t, s)
	conns := []net.Conn{dialRawTLS(t, url)}
	before := 0
	testproc.Until(t, "the handshake's goroutines to end", func() bool {
		last := before
		before = runtime.NumGoroutine()
		return s.Sockets() == 1 && before == last
	})
	for range 100 {
		conns = append(conns, dialRawTLS(t, url))
	}
	testproc.Until(t, "101 sockets with as many goroutines as one", func() bool {
		return s.Sockets() == len(conns) && runtime.NumGoroutine() <= before
	})
	for _, nc := range conns {
		sendBytes(t, nc, masked(wire.Text, "still there")...)
		wantBytes(t, nc, "\x81\x0bstill there")
	}
}

// One that does not read costs the others nothing, and gets everything in the end.
func TestTLSPeerThatDoesNotRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		var stalled *Socket
		opened := make(chan struct{}, 1)
		writable := make(chan struct{}, 10)
		h := &program{message: echoing().message}
		h.open = func(s *Socket, r *http.Request) {
			if r.URL.Path == "/stalled" {
				stalled = s
				opened <- struct{}{}
			}
		}
		h.writable = func(*Socket) { writable <- struct{}{} }
		s := newServer(t, h, ServerOptions{Portable: portable, MaxPendingBytes: 256 << 10})
		url := s.listenTLS(t, s)
		slow := dialTLS(t, url+"/stalled")
		<-opened
		piece := strings.Repeat("0123456789abcdef", 1<<10)
		taken := make(chan int, 1)
		stalled.Post(func(so *Socket) {
			n := 0
			for ; so.Write(Binary, []byte(piece)) == nil; n++ {
				so.flush() // as the end of a turn does
			}
			taken <- n
		})
		other := dialTLS(t, url)
		n := <-taken
		for range 10 {
			other.say(t, Text, "undisturbed")
			other.want(t, Text, "undisturbed")
		}
		for range n {
			slow.want(t, Binary, piece)
		}
		<-writable
		slow.say(t, Text, "and on")
		slow.want(t, Text, "and on")
	})
}

// A peer that goes without a close frame is lost, whether it says so in TLS or not.
func TestTLSPeerThatGoes(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		h := echoing()
		s := newServer(t, h, ServerOptions{Portable: portable})
		url := s.listenTLS(t, s)
		for name, leave := range map[string]func(*tls.Conn) error{
			"close_notify": func(nc *tls.Conn) error { return nc.CloseWrite() },
			"end of TCP":   func(nc *tls.Conn) error { return nc.NetConn().Close() },
			"half a record": func(nc *tls.Conn) error {
				_, err := nc.NetConn().Write([]byte{23, 3, 3, 0})
				return errors.Join(err, nc.NetConn().Close())
			},
			"no record": func(nc *tls.Conn) error { _, err := nc.NetConn().Write(make([]byte, 100)); return err },
		} {
			nc := dialRawTLS(t, url)
			if err := leave(nc); err != nil {
				t.Error(err)
			}
			var closed *CloseError
			if err := <-h.closed; !errors.As(err, &closed) || closed.Code != CloseAbnormal {
				t.Errorf("%s: the handler was told %v", name, err)
			}
		}
	})
}

// Our own end is told in TLS and in TCP.
func TestTLSCloseIsTold(t *testing.T) {
	h := echoing()
	s := newServer(t, h, ServerOptions{})
	nc := dialRawTLS(t, s.listenTLS(t, s))
	sendBytes(t, nc, masked(wire.Close, "\x03\xe8")...)
	wantBytes(t, nc, "\x88\x02\x03\xe8")
	wantEnd(t, nc)
	wantClosed(t, <-h.closed, CloseNormal, "")
}

func TestTLSShutdown(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := newServer(t, echoing(), ServerOptions{Portable: portable})
		c := dialTLS(t, s.listenTLS(t, s))
		testproc.Until(t, "the socket to be on its loop", func() bool { return s.Sockets() == 1 })
		ended := run(func() error { _, _, err := c.Read(t.Context()); return err })
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		wantClosed(t, ended(), CloseGoingAway, "")
	})
}
