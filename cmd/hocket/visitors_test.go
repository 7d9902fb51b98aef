package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"hocket.dev/internal/origin"
)

// Connections that have asked for something and are kept open, and requests whose bodies do not come to an end, by who has no
// key: an address may have so many and no more, and nobody else is kept out.
func TestAttackByRequestsThatDoNotEnd(t *testing.T) {
	for what, request := range map[string]string{
		"idle":    "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
		"endless": "POST /api/v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
	} {
		t.Run(what, func(t *testing.T) {
			n := startGuarded(t, "")
			const more = 3
			var open []net.Conn
			var reading sync.WaitGroup
			defer func() {
				for _, nc := range open {
					nc.Close()
				}
				reading.Wait()
			}()
			closed := make(chan struct{}, maxVisitorsOfOne+more)
			for range cap(closed) {
				nc := dialAs(t, "127.0.0.2", n.http)
				open = append(open, nc)
				nc.SetReadDeadline(time.Now().Add(20 * time.Second)) // sooner than the requests end by themselves
				io.WriteString(nc, request)
				reading.Go(func() {
					if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("as many as there are stay")
					}
					closed <- struct{}{}
				})
			}
			for range more {
				<-closed
			}
			if status, _ := get(t, n, "/healthz", nil); status != http.StatusOK {
				t.Errorf("somebody else is answered %d", status)
			}
		})
	}
}

// fakeConn is a connection from somewhere.
type fakeConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 1))
}

func (c *fakeConn) Close() error {
	c.closed = true
	return nil
}

// party is visitors, few of them, of whom a test tells.
type party struct{ *visitors }

func (p party) comes(from string) *fakeConn {
	c := &fakeConn{from: from}
	p.state(c, http.StateNew)
	return c
}

func fewVisitors() party {
	v := newVisitors(&origin.Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	v.most, v.mostOfOne = 5, 2
	return party{v}
}

func TestWhoHasWaitedLongestIsClosed(t *testing.T) {
	p := fewVisitors()
	p.most = 4
	a := []*fakeConn{p.comes("192.0.2.1"), p.comes("192.0.2.1")}
	p.state(a[0], http.StateActive)
	p.state(a[1], http.StateActive)
	p.state(a[1], http.StateIdle)
	p.state(a[0], http.StateIdle)
	p.comes("192.0.2.1")
	if a[0].closed || !a[1].closed {
		t.Error("of one address another one was closed")
	}
	for i, from := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		if p.comes(from); a[0].closed != (i == 2) {
			t.Errorf("closed: %v after %d", a[0].closed, i)
		}
	}
	p.state(a[0], http.StateClosed)
	p.state(a[1], http.StateClosed)
	if p.count != 4 || len(p.by) != 4 || len(p.addresses) != 4 {
		t.Errorf("%d visitors of %d addresses are counted", p.count, len(p.addresses))
	}
}

func TestVisitorsInTheMiddleOfRequestsStay(t *testing.T) {
	p := fewVisitors()
	busy := []*fakeConn{p.comes("2001:db8::1"), p.comes("2001:db8::2")} // one network
	for _, c := range busy {
		p.state(c, http.StateActive)
	}
	if c := p.comes("2001:db8::3"); !c.closed || busy[0].closed || busy[1].closed {
		t.Error("another one than the newest was closed")
	}
	for range 3 {
		if c := p.comes("10.1.1.1"); c.closed {
			t.Error("a proxy is held to the bound of one address")
		}
	}
	p.state(busy[0], http.StateHijacked)
	p.state(busy[1], http.StateClosed)
	if c := p.comes("2001:db8::3"); c.closed || p.count != 4 {
		t.Errorf("those that have left are counted: %d", p.count)
	}
}

// A connection of HTTP/2 that carries sessions has the bounds of those.
func TestWhoCarriesSessionsIsNotCounted(t *testing.T) {
	p := fewVisitors()
	c := p.comes("192.0.2.1")
	p.state(c, http.StateActive)
	request, _ := http.NewRequestWithContext(p.context(context.Background(), c), http.MethodConnect, "https://a/v1/ws", nil)
	request.ProtoMajor = 2
	p.carry(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		p.carry(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(nil, request)
		if p.count != 0 {
			t.Errorf("%d are counted", p.count)
		}
		p.state(c, http.StateIdle) // its stream has been reset, and its handler has yet to notice
	})).ServeHTTP(nil, request)
	if p.count != 1 || p.addresses[netip.MustParseAddr("192.0.2.1")].waiting.Len() != 1 {
		t.Errorf("%d are counted, %d wait", p.count, p.waiting.Len())
	}
	p.state(c, http.StateClosed)
	if p.count != 0 || p.waiting.Len() != 0 || len(p.addresses) != 0 {
		t.Errorf("%d are counted", p.count)
	}
}
