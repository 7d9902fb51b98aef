package listen

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"hocket.dev/internal/clientaddr"
)

// greet reads the header of the PROXY protocol that the connection begins with, and returns what follows it. ok is false
// where more has to come, or where the connection has ended.
func (p *Pending) greet(b []byte) (rest []byte, ok bool) {
	client, n, err := clientaddr.ParseProxy(b)
	switch {
	case err != nil:
		p.listener.unnamed(net.TCPAddrFromAddrPort(p.from), err)
		p.end(err)
		return nil, false
	case n == 0 || !p.conn.Take(n):
		return nil, false
	}
	p.greeted = true
	if client.IsValid() {
		p.from = client
	}
	p.queue().count(p)
	return b[n:], true
}

// unnamed tells of a connection that is closed.
func (li *Listener) unnamed(from net.Addr, err error) {
	if li.cfg.Unnamed != nil {
		li.cfg.Unnamed(from, err)
	}
}

// proxied is a connection that begins with a header of the PROXY protocol, for where the loops do not accept. The header is read
// by whoever first asks for what it says, or for what follows it.
type proxied struct {
	net.Conn
	listener *Listener

	once sync.Once
	from net.Addr
	rest []byte // what was read behind the header; the reader's
	err  error
}

// RemoteAddr implements net.Conn: it is that of the client. It may block until the proxy has said who that is.
func (p *proxied) RemoteAddr() net.Addr {
	p.once.Do(p.greet)
	return p.from
}

// Read implements net.Conn.
func (p *proxied) Read(b []byte) (int, error) {
	p.once.Do(p.greet)
	if p.err != nil {
		return 0, p.err
	}
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// greet reads the header. Where that fails the connection is closed, and the client is said to be the proxy.
func (p *proxied) greet() {
	p.from = p.Conn.RemoteAddr()
	if p.err = p.read(); p.err != nil {
		_ = p.Conn.Close()
	}
}

func (p *proxied) read() error {
	if err := p.SetReadDeadline(time.Now().Add(p.listener.cfg.HeadTimeout)); err != nil {
		return err
	}
	buf := make([]byte, clientaddr.MaxProxyBytes)
	for have := 0; ; {
		n, err := p.Conn.Read(buf[have:])
		have += n
		client, size, bad := clientaddr.ParseProxy(buf[:have])
		switch {
		case bad != nil:
			p.listener.unnamed(p.Conn.RemoteAddr(), bad)
			return bad
		case size > 0:
			if client.IsValid() {
				p.from = net.TCPAddrFromAddrPort(client)
			}
			p.rest = buf[size:have:have]
			return p.SetReadDeadline(time.Time{})
		case err != nil:
			return err
		}
	}
}

// acceptProxied accepts connections of proxies that are trusted, and closes others.
func (li *Listener) acceptProxied() (net.Conn, error) {
	for {
		nc, err := li.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from, ok := addrPort(nc.RemoteAddr()); ok && li.cfg.Proxies(from.Addr()) {
			return &proxied{Conn: nc, listener: li}, nil
		}
		_ = nc.Close()
		li.unnamed(nc.RemoteAddr(), errStranger)
	}
}

// addrPort reads the address of a connection.
func addrPort(a net.Addr) (netip.AddrPort, bool) {
	if a == nil {
		return netip.AddrPort{}, false
	}
	from, err := netip.ParseAddrPort(a.String())
	return from, err == nil
}
