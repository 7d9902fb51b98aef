package listen

import (
	"net/http"
	"net/netip"
	"net/url"

	"hocket.dev/internal/limit"
	"hocket.dev/internal/loop"
	"hocket.dev/wire"
)

// Pending is a connection that has not found its owner. It belongs to its loop.
type Pending struct {
	conn     loop.Conn
	listener *Listener
	from     netip.AddrPort
	size     int  // of the head, once it is whole
	greeted  bool // the header of the PROXY protocol, where there is one, has been taken
	refused  bool

	// The queue's.
	inQueue, inAddress limit.Place[Pending]
	address            netip.Addr // what it is counted as; not valid before it is
}

// Loop returns the loop the connection is on and stays on.
func (p *Pending) Loop() *loop.Loop { return p.conn.Loop() }

// Accept sends the response and gives the connection to c with the handler h, which goes on with what follows the request. It
// returns false, and the connection has ended, when the client has gone or takes no response.
func (p *Pending) Accept(response []byte, c *loop.Conn, h loop.Handler) bool {
	if !p.conn.Take(p.size) {
		return false
	}
	n, err := p.conn.Write(response)
	if err == nil && n < len(response) {
		p.conn.Close(errLate) // a fresh socket takes a response
	}
	if err != nil || n < len(response) {
		return false
	}
	p.leave()
	p.conn.Move(c, h)
	return true
}

// Refuse sends the response, which says that the connection is closed, and closes it when the client has done so too, or
// in a second.
func (p *Pending) Refuse(response []byte) {
	if n, err := p.conn.Write(response); err != nil || n < len(response) {
		p.end(errLate)
		return
	}
	p.refused = true
	p.conn.CloseWrite()
	p.conn.SetAlarm(1)
	p.conn.Take(p.size) // unread bytes would have TCP reset the connection, and the response lost
}

// Read implements loop.Handler: b is everything that has arrived.
func (p *Pending) Read(b []byte) {
	if p.refused {
		p.conn.Take(len(b))
		return
	}
	if !p.greeted {
		var ok bool
		if b, ok = p.greet(b); !ok || len(b) == 0 {
			return
		}
	}
	p.look(b)
}

// look finds out what the client wants: b is everything that it has sent.
func (p *Pending) look(b []byte) {
	if p.listener.handshakes != nil {
		p.hello(b)
		return
	}
	head, n, err := wire.ParseRequest(b[:min(len(b), maxHeadBytes)])
	switch {
	case err != nil || n == 0 && (len(b) >= maxHeadBytes || !couldBeRequest(b)):
		p.pass() // net/http says what is wrong with it
	case n == 0:
	default:
		p.size = n
		if !p.upgrade(&head) {
			p.pass()
		}
	}
}

// recordHeader is the header of a TLS record: type, version, length (RFC 8446 §5.1).
const recordHeader = 5

// hello waits for the client's first record of TLS, so that a client that has nothing to say has no goroutine.
func (p *Pending) hello(b []byte) {
	switch {
	case len(b) < recordHeader:
	case couldBeRequest(b):
		p.pass() // net/http tells it to speak TLS
	case len(b) < min(recordHeader+(int(b[3])<<8|int(b[4])), maxHeadBytes):
	default:
		p.leave()
		if fd := p.conn.Detach(); fd >= 0 {
			p.listener.handshakes.start(p.handoff(fd), p.from.Addr())
		}
	}
}

// couldBeRequest reports whether b begins as a method does. What does not is answered by net/http without waiting.
func couldBeRequest(b []byte) bool { return 'A' <= b[0] && b[0] <= 'Z' }

// upgrade asks whether the request is kept. It returns false when net/http is to have it.
func (p *Pending) upgrade(head *wire.RequestHead) bool {
	if string(head.Method) != http.MethodGet || head.Minor != 1 || !head.Has("upgrade") {
		return false
	}
	if head.Has("content-length") || head.Has("transfer-encoding") {
		return false // a body would stand before the first frame
	}
	target := string(head.Target)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	return p.listener.cfg.Upgrade(p, &http.Request{
		Method: http.MethodGet, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: head.Header(), Body: http.NoBody, Host: string(head.Host), RemoteAddr: p.from.String(), RequestURI: target,
	})
}

// pass gives the connection to net/http.
func (p *Pending) pass() {
	p.leave()
	if fd := p.conn.Detach(); fd >= 0 {
		p.listener.give(p.handoff(fd))
	}
}

// handoff is the descriptor with what is known of it.
func (p *Pending) handoff(fd int) handoff {
	o := handoff{fd: fd}
	if p.listener.cfg.Proxies != nil {
		o.from = p.from
	}
	return o
}

func (p *Pending) queue() *queue { return &p.listener.perLoop[p.conn.Loop().Index()] }

// leave takes the connection out of its queue.
func (p *Pending) leave() {
	if p.inQueue.Listed() {
		p.queue().remove(p)
	}
}

// end closes the connection without an answer.
func (p *Pending) end(err error) {
	p.leave()
	p.conn.Close(err)
}

// Flush implements loop.Handler. Nothing is ever left to be written.
func (p *Pending) Flush() {}

// Alarm implements loop.Handler.
func (p *Pending) Alarm() { p.end(errLate) }

// Closed implements loop.Handler.
func (p *Pending) Closed(error) { p.leave() }
