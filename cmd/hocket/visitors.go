package main

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"hocket.dev/internal/limit"
	"hocket.dev/internal/origin"
	"hocket.dev/internal/sys"
)

const (
	// maxVisitors is how many connections there may be that carry requests and no session, on all addresses that are listened on
	// together: some 25 KB each. maxVisitorsOfOne is how many of them one address may have, of IPv6 one network of 64 bits.
	maxVisitors      = 4096
	maxVisitorsOfOne = 1024
)

// visitors are the connections that net/http has and that carry no session. Sessions have bounds of their own, and so have
// connections that have not said what they are for; in between somebody could hold every descriptor with requests that never
// end, or with connections that wait for the next one.
//
// At a bound the one that has waited longest for its next request is closed, of that address or of all; where all are in the
// middle of a request the new one is. Proxies that are trusted have the share of many clients, so only the bound of all is for them.
type visitors struct {
	// Set once.
	proxies         *origin.Proxies
	most, mostOfOne int

	mu        sync.Mutex // guards what follows, and visitor
	by        map[net.Conn]*visitor
	addresses map[netip.Addr]*caller
	waiting   list.List // of *visitor between requests, the oldest first
	count     int       // those that are counted: all but the carriers of sessions
}

// A caller is an address with visitors.
type caller struct {
	waiting list.List // of *visitor
	count   int
}

// A visitor is a connection.
type visitor struct {
	conn     net.Conn
	caller   *caller
	of       netip.Addr
	sessions int           // over HTTP/2
	inAll    *list.Element // in visitors.waiting; nil in the middle of a request
	inCaller *list.Element // in caller.waiting
}

// newVisitors makes the bounds smaller where the process has few descriptors.
func newVisitors(proxies *origin.Proxies) *visitors {
	v := &visitors{
		proxies: proxies, most: maxVisitors, mostOfOne: maxVisitorsOfOne,
		by: make(map[net.Conn]*visitor), addresses: make(map[netip.Addr]*caller),
	}
	if files, _ := sys.RaiseFileLimit(); files > 0 { // announce says what is wrong with it
		v.most = int(min(uint64(v.most), max(files/4, 1)))
		v.mostOfOne = min(v.mostOfOne, max(v.most/2, 1))
	}
	return v
}

// state is http.Server.ConnState.
func (v *visitors) state(c net.Conn, s http.ConnState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.by[c]
	switch {
	case s == http.StateNew:
		v.enter(c)
	case at == nil:
	case s == http.StateIdle:
		at.wait(v)
	case s == http.StateActive:
		at.stir(v)
	default: // closed, or it has become a session's
		v.leave(at)
	}
}

// enter takes in a connection, or closes it.
func (v *visitors) enter(c net.Conn) {
	remote, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // of what has no address all are one
	at := &visitor{conn: c, of: limit.Address(remote.Addr())}
	v.by[c] = at
	v.recount(at)
	at.wait(v)
	if at.caller.count > v.mostOfOne && !v.proxies.Holds(remote.String()) {
		v.closeOldest(&at.caller.waiting)
	}
	if v.count > v.most {
		v.closeOldest(&v.waiting)
	}
}

// closeOldest closes the first of a list, which the newest is on too.
func (v *visitors) closeOldest(l *list.List) {
	at := l.Front().Value.(*visitor)
	v.leave(at)
	c := at.conn
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn() // a farewell would wait for who does not read
	}
	_ = c.Close() // of what has ended already
}

// leave forgets a visitor.
func (v *visitors) leave(at *visitor) {
	at.stir(v)
	if at.sessions == 0 {
		v.uncount(at)
	}
	delete(v.by, at.conn)
}

// recount counts a visitor.
func (v *visitors) recount(at *visitor) {
	if at.caller = v.addresses[at.of]; at.caller == nil {
		at.caller = new(caller)
		v.addresses[at.of] = at.caller
	}
	at.caller.count++
	v.count++
}

// uncount is the opposite.
func (v *visitors) uncount(at *visitor) {
	v.count--
	if at.caller.count--; at.caller.count == 0 {
		delete(v.addresses, at.of)
	}
}

// wait puts a visitor behind those that have waited longer.
func (at *visitor) wait(v *visitors) {
	if at.inAll == nil {
		at.inAll, at.inCaller = v.waiting.PushBack(at), at.caller.waiting.PushBack(at)
	}
}

// stir takes it out.
func (at *visitor) stir(v *visitors) {
	if at.inAll != nil {
		v.waiting.Remove(at.inAll)
		at.caller.waiting.Remove(at.inCaller)
		at.inAll, at.inCaller = nil, nil
	}
}

// visitorKey is where the context of a request has its connection.
type visitorKey struct{}

// context is http.Server.ConnContext.
func (v *visitors) context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitorKey{}, c)
}

// carry does not count a connection of HTTP/2 as long as it carries a session.
func (v *visitors) carry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && r.Method == http.MethodConnect { // RFC 8441
			c, _ := r.Context().Value(visitorKey{}).(net.Conn)
			v.sessions(c, +1)
			defer v.sessions(c, -1)
		}
		next.ServeHTTP(w, r)
	})
}

// sessions counts those of a connection, and the connection where it has none.
func (v *visitors) sessions(c net.Conn, change int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.by[c]
	if at == nil {
		return // it has ended
	}
	switch at.sessions += change; {
	case at.sessions == 0:
		waits := at.inAll != nil // already, since its last stream has ended before its handler
		at.stir(v)
		v.recount(at)
		if waits {
			at.wait(v)
		}
	case at.sessions == change:
		v.uncount(at)
	}
}
