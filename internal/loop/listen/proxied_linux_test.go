package listen

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/loop"
)

const (
	versionOne = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
	versionTwo = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"
	localOne   = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	client     = "192.0.2.1:56324"
)

func loopback(a netip.Addr) bool { return a.IsLoopback() }

// The client that a proxy names is the client: of what is kept, in one piece and byte by byte.
func TestTheClientIsWhomTheProxyNames(t *testing.T) {
	li := start(t, Config{Proxies: loopback})
	for _, header := range []string{versionOne, versionTwo} {
		nc := dial(t, li)
		send(t, nc, header+upgrade+"early")
		want(t, nc, "kept "+client+"\nearly")
		send(t, nc, "later")
		want(t, nc, "later")

		nc = dial(t, li)
		for i := range header + upgrade {
			send(t, nc, (header + upgrade)[i:i+1])
		}
		want(t, nc, "kept "+client+"\n")
	}
	nc := dial(t, li)
	send(t, nc, localOne+upgrade)
	want(t, nc, "kept "+nc.LocalAddr().String()+"\n")
}

// What is passed on comes out of Accept without the header, and says who the client is.
func TestWhatIsPassedOnKnowsItsClient(t *testing.T) {
	li := start(t, Config{Proxies: loopback})
	for _, header := range []string{versionOne, versionTwo} {
		nc := dial(t, li)
		send(t, nc, header+plain)
		got, err := li.Accept()
		if err != nil {
			t.Fatal(err)
		}
		want(t, got, plain)
		if got.RemoteAddr().String() != client {
			t.Errorf("the client is %v", got.RemoteAddr())
		}
		// It is taken over like any other.
		e := new(echo)
		if err := li.cfg.Loops.Next().Attach(&e.Conn, got, e); err != nil {
			t.Fatal(err)
		}
		send(t, nc, "hello")
		want(t, nc, "hello")
	}
}

func TestConnectionsWithoutAHeaderAreClosed(t *testing.T) {
	told := make(chan error, 1)
	li := start(t, Config{Proxies: loopback, Unnamed: func(_ net.Addr, err error) { told <- err }})
	for _, in := range []string{upgrade, plain, "PROXY TCP4 x y 1 2\r\n", "\x16\x03\x01"} {
		nc := dial(t, li)
		send(t, nc, in)
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%q is answered", in)
		}
		if err := <-told; !strings.Contains(err.Error(), "PROXY protocol") {
			t.Errorf("%q: it is told that %v", in, err)
		}
	}
}

func TestConnectionsOfStrangersAreClosed(t *testing.T) {
	told := make(chan net.Addr, 1)
	li := start(t, Config{
		Proxies: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.9") },
		Unnamed: func(from net.Addr, _ error) { told <- from },
	})
	nc := dial(t, li)
	io.WriteString(nc, versionOne+upgrade) // it may be closed before
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a stranger is answered")
	}
	if from := <-told; from.String() != nc.LocalAddr().String() {
		t.Errorf("it is told of %v", from)
	}
}

func TestProxyHeaderBeforeTLS(t *testing.T) {
	li := start(t, Config{Proxies: loopback, TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned()}}})
	got := make(chan string, 1)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		got <- r.RemoteAddr
		e := new(echo)
		if err := li.cfg.Loops.Next().Attach(&e.Conn, nc, e); err != nil {
			t.Error(err)
		}
	})}
	go web.Serve(li)
	defer web.Close()
	for _, header := range []string{versionOne, versionTwo} {
		nc := dial(t, li)
		send(t, nc, header)
		tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		send(t, tc, plain)
		if from := <-got; from != client {
			t.Errorf("the client is %s", from)
		}
		send(t, tc, "hello")
		want(t, tc, "hello")
	}
}

// Where loops do not accept, the same holds.
func TestProxyHeaderWithoutLoops(t *testing.T) {
	g, err := loop.New(loop.Config{Loops: 1, Portable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, test := range []struct {
		in, from string
		trusted  bool
	}{
		{versionOne + plain, client, true}, {versionTwo + plain, client, true}, {localOne + plain, "", true},
		{plain, "closed", true}, {"PROXY TCP4 x", "closed", true}, {versionOne + plain, "closed", false},
	} {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 1)
		li := New(tcp, Config{Loops: g, Proxies: func(netip.Addr) bool { return test.trusted }, Unnamed: func(_ net.Addr, err error) { told <- err }})
		web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })}
		go web.Serve(li)
		nc := dial(t, li)
		io.WriteString(nc, test.in)
		if test.from == "closed" {
			nc.(*net.TCPConn).CloseWrite()
		}
		answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
		switch {
		case test.from == "closed":
			if err == nil && answer.StatusCode == http.StatusOK {
				t.Errorf("%q of one that is trusted (%v) is answered", test.in, test.trusted)
			}
		case err != nil:
			t.Errorf("%q: %v", test.in, err)
		default:
			body, _ := io.ReadAll(io.LimitReader(answer.Body, answer.ContentLength))
			if want := test.from; string(body) != want && !(want == "" && string(body) == nc.LocalAddr().String()) {
				t.Errorf("%q: the client is %s", test.in, body)
			}
		}
		web.Close()
		li.Close()
		if wanted := test.in == plain || !test.trusted; wanted != (len(told) == 1) {
			t.Errorf("%q of one that is trusted (%v): told of %d", test.in, test.trusted, len(told))
		}
	}
}

// Who opens connections by the thousands and says nothing closes their own, not those of others.
func TestHalfOpenHandshakesOfOneAddressLeaveRoomForOthers(t *testing.T) {
	li := start(t, Config{Proxies: loopback, MaxPending: 40, MaxPendingPerAddress: 4})
	begin := func(from string) net.Conn {
		nc := dial(t, li)
		send(t, nc, "PROXY TCP6 "+from+" 2001:db8::2 1 2\r\n"+upgrade[:10])
		return nc
	}
	var honest []net.Conn
	for i := range 8 {
		honest = append(honest, begin(fmt.Sprintf("2001:db8:1:%d::1", i+1)))
	}
	for range 200 {
		begin("2001:db8:2::1")
		begin("2001:db8:2::ffff") // of the same network
	}
	for i, nc := range honest {
		nc.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(nc, upgrade[10:]); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		line, err := bufio.NewReader(nc).ReadString('\n')
		if err != nil || line != fmt.Sprintf("kept [2001:db8:1:%d::1]:1\n", i+1) {
			t.Fatalf("%d: %q, %v", i, line, err)
		}
	}
	for i := range li.perLoop {
		counted := make(chan [2]int, 1)
		li.cfg.Loops.Loop(i).Post(func() { counted <- [2]int{li.perLoop[i].Len(), len(li.perLoop[i].byAddress)} })
		if n := <-counted; n[0] > 4 || n[1] > 1 {
			t.Errorf("loop %d holds %d connections of %d addresses", i, n[0], n[1])
		}
	}
}

func TestARefusalIsReadAndEndsTheConnection(t *testing.T) {
	li := start(t, Config{Upgrade: func(p *Pending, _ *http.Request) bool {
		p.Refuse([]byte("HTTP/1.1 503 no\r\n\r\n"))
		return true
	}})
	nc := dial(t, li)
	send(t, nc, upgrade+"and what does not belong there")
	send(t, nc, "and more")
	got, err := io.ReadAll(nc)
	if err != nil || string(got) != "HTTP/1.1 503 no\r\n\r\n" {
		t.Errorf("read %q, %v", got, err)
	}
}
