package loop

import "net"

// Proxied is a connection that came through a proxy, which has said who the client is. [Loop.Attach] takes it over like the
// *net.TCPConn it is made of.
type Proxied struct {
	*net.TCPConn
	From net.Addr
}

// RemoteAddr implements net.Conn: it is the client's.
func (p *Proxied) RemoteAddr() net.Addr { return p.From }

// A Carrier is the connection below a *tls.Conn that [Loop.Attach] can take over. crypto/tls has nothing for the purpose, and
// net/http recognises a genuine *tls.Conn only; so what changes hands is what lies below it:
//
//	tc := tls.Server(loop.NewCarrier(nc), config)
//
// Until then, and where there is no epoll for good, it is the connection it was made of.
type Carrier struct{ net.Conn }

// NewCarrier returns a Carrier of nc, which has to be a *net.TCPConn or a *net.UnixConn when it is attached; it may be replaced
// by assigning Conn while nobody reads or writes.
func NewCarrier(nc net.Conn) *Carrier { return &Carrier{nc} }
