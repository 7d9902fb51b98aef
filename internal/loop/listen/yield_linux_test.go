package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
)

// A valve is what the functions of a config run into for clients that ask for slow.example.
type valve struct {
	entered chan struct{}
	open    chan struct{}
}

func newValve() *valve {
	return &valve{entered: make(chan struct{}, 10), open: make(chan struct{})}
}

const slow = "slow.example"

func (v *valve) pass(name string) {
	if name != slow {
		return
	}
	v.entered <- struct{}{}
	<-v.open
}

// blocking are configs of which one function blocks in the valve.
func blocking(v *valve) map[string]*tls.Config {
	certificates := []tls.Certificate{selfSigned()}
	get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		v.pass(hello.ServerName)
		return &certificates[0], nil
	}
	return map[string]*tls.Config{
		"GetCertificate": {GetCertificate: get},
		"GetConfigForClient": {GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			v.pass(hello.ServerName)
			return &tls.Config{Certificates: certificates}, nil
		}},
		"GetCertificate of what GetConfigForClient returns": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{GetCertificate: get}, nil
		}},
		"VerifyConnection": {Certificates: certificates, VerifyConnection: func(s tls.ConnectionState) error {
			v.pass(s.ServerName)
			return nil
		}},
		"VerifyPeerCertificate": {
			Certificates: certificates, ClientAuth: tls.RequestClientCert,
			VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
				if len(raw) > 0 {
					v.pass(slow)
				}
				return nil
			},
		},
		"WrapSession": {Certificates: certificates, WrapSession: func(s tls.ConnectionState, _ *tls.SessionState) ([]byte, error) {
			v.pass(s.ServerName)
			return []byte("ticket"), nil
		}},
	}
}

// blocked has as many clients in a function that blocks as there are turns. What is returned waits for their handshakes.
func blocked(t *testing.T, li *Listener, v *valve) (results func() []error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, cap(li.handshakes.turns))
	for i := range errs {
		tc := tls.Client(dial(t, li), &tls.Config{
			InsecureSkipVerify: true, ServerName: slow, Certificates: []tls.Certificate{selfSigned()},
			ClientSessionCache: tls.NewLRUClientSessionCache(1), // else no ticket is made
		})
		wg.Go(func() {
			if errs[i] = tc.Handshake(); errs[i] == nil {
				_, errs[i] = tc.Read(make([]byte, 1)) // the server's part may not have ended
			}
		})
		<-v.entered
	}
	return func() []error { wg.Wait(); return errs }
}

// A function of the config that blocks keeps nobody else from a handshake: with autocert it waits for one.
func TestFunctionsThatBlock(t *testing.T) {
	for name := range blocking(nil) {
		t.Run(name, func(t *testing.T) {
			v := newValve()
			li, _ := startTLS(t, Config{TLS: blocking(v)[name]})
			results := blocked(t, li, v)
			nc := dial(t, li)
			nc.SetDeadline(time.Now().Add(30 * time.Second)) // for the failure of this test
			client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			if err := client.Handshake(); err != nil {
				close(v.open)
				t.Fatalf("a handshake beside those that wait: %v", err)
			}
			server := accept(t, li)
			send(t, server, "hello")
			want(t, client, "hello")
			server.Close()
			close(v.open)
			for range cap(li.handshakes.turns) { // those that waited go on as if nothing had been
				server := accept(t, li)
				send(t, server, "!")
				server.Close()
			}
			if errs := results(); slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
				t.Errorf("the handshakes that waited: %v", errs)
			}
			if n := len(li.handshakes.turns); n != 0 {
				t.Errorf("%d turns are taken", n)
			}
		})
	}
}

// Close does not wait for a function that blocks, and what it was called for ends when it returns.
func TestCloseBesideFunctionsThatBlock(t *testing.T) {
	for _, name := range []string{"GetCertificate", "VerifyConnection"} {
		v := newValve()
		li, failed := startTLS(t, Config{TLS: blocking(v)[name]})
		results := blocked(t, li, v)
		closed := make(chan error, 1)
		go func() { closed <- li.Close() }()
		select {
		case <-closed:
		case <-time.After(30 * time.Second):
			t.Error("Close waits")
		}
		close(v.open)
		for _, err := range results() {
			if err == nil {
				t.Error("the connection is open")
			}
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("a handshake failed with %v", err)
			}
		}
		testproc.Until(t, "the places to be given up", func() bool {
			li.handshakes.mu.Lock()
			defer li.handshakes.mu.Unlock()
			return li.handshakes.line.taken == 0 && li.handshakes.away == 0
		})
	}
}

// Close ends the context of a function that heeds it.
func TestCloseEndsTheContextOfFunctions(t *testing.T) {
	entered := make(chan struct{})
	li, failed := startTLS(t, Config{TLS: &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			close(entered)
			<-hello.Context().Done()
			return nil, hello.Context().Err()
		},
	}})
	send(t, dial(t, li), hello(t))
	<-entered
	li.Close()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the handshake failed with %v", err)
	}
}

// Sessions are resumed, also where each client has a config of its own: the keys of tickets are shared.
func TestResumption(t *testing.T) {
	certificate := selfSigned()
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	keyed := &tls.Config{GetCertificate: get}
	keyed.SetSessionTicketKeys([][32]byte{{1}})
	for name, config := range map[string]*tls.Config{
		"one config": {GetCertificate: get},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{GetCertificate: get}, nil
		}},
		"GetConfigForClient with keys": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return keyed, nil }},
	} {
		li, _ := startTLS(t, Config{TLS: config})
		sessions := tls.NewLRUClientSessionCache(1)
		for i := range 3 {
			client := tls.Client(dial(t, li), &tls.Config{InsecureSkipVerify: true, ServerName: "a", ClientSessionCache: sessions})
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			server := accept(t, li)
			send(t, server, "x") // the client reads its ticket with it
			want(t, client, "x")
			if c, s := client.ConnectionState(), server.ConnectionState(); c.DidResume != (i > 0) || s.DidResume != (i > 0) {
				t.Errorf("%s, connection %d: resumed %v and %v", name, i, c.DidResume, s.DidResume)
			}
			server.Close()
		}
	}
}

// Behind a program that does not accept, connections wait up to a bound, and the oldest goes first: as they came, and under TLS.
func TestWaitingIsBounded(t *testing.T) {
	plainly := start(t, Config{MaxWaiting: 2})
	testWaiting(t, plainly, func(nc net.Conn) net.Conn { send(t, nc, plain); return nc })
	securely, _ := startTLS(t, Config{MaxWaiting: 2})
	testWaiting(t, securely, func(nc net.Conn) net.Conn { return secure(t, nc) })
}

func testWaiting(t *testing.T, li *Listener, begin func(net.Conn) net.Conn) {
	t.Helper()
	var clients []net.Conn
	for i := range 4 {
		clients = append(clients, begin(dial(t, li)))
		if i >= 2 { // one more than may wait: the oldest is closed
			oldest := clients[i-2]
			oldest.SetDeadline(time.Now().Add(30 * time.Second)) // for the failure of this test
			var timeout net.Error
			if n, err := oldest.Read(make([]byte, 1)); n != 0 || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("the oldest is not closed: %d bytes, %v", n, err)
			}
		} else {
			testproc.Until(t, "the connection to wait", func() bool {
				li.mu.Lock()
				defer li.mu.Unlock()
				return len(li.waiting) == i+1
			})
		}
	}
	for _, client := range clients[2:] {
		server, err := li.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if server.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("accepted %v, want %v", server.RemoteAddr(), client.LocalAddr())
		}
		server.Close()
	}
}
