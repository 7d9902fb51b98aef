package hocket

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"hocket.dev/internal/loop/listen"
	"hocket.dev/internal/sys"
)

// webSocketPath is where WebSockets are served.
const webSocketPath = "/v1/ws"

// Listener returns a listener for an http.Server that keeps WebSocket handshakes to itself: on Linux the event loops accept
// the connections of l, answer the handshakes among the first requests without net/http, at half the cost, which counts
// when everyone reconnects at once, and hand out every other connection, untouched. The handler of the http.Server must still
// lead to s: for handshakes that come later on a connection, and for those that are refused.
//
//	http.Serve(srv.Listener(l, nil), srv)
//
// What middleware in front of s decides about a request has to be decided by admit instead, which is asked for each handshake
// and must not block; what it refuses goes to the http.Server, which says so. nil admits all. A client has 10 seconds for its
// request, and 4,096 for each loop may be without one, 1,024 of them of one address that is not in Config.TrustedProxies; then the
// oldest is closed. So it is when more than 4,096 connections wait for the http.Server to accept them, as behind a limit of its
// own (netutil.LimitListener). When no file descriptor is left, new connections are closed, and the log is told, at most once a
// second.
//
// With Config.ProxyProtocol each connection begins with a header of the PROXY protocol, which is taken off. What begins otherwise, or
// comes from elsewhere than Config.TrustedProxies, is closed, of which the log is told at most once a minute.
//
// l belongs to the returned listener, which is to be closed before s.
func (s *Server) Listener(l net.Listener, admit func(*http.Request) bool) net.Listener {
	return listen.New(l, listen.Config{
		Loops: s.loops,
		Upgrade: func(p *listen.Pending, r *http.Request) bool {
			return r.URL.Path == webSocketPath && (admit == nil || admit(r)) && s.websocket.Upgrade(p, r)
		},
		Proxies: s.proxiesOf(),
		Unnamed: s.connectionUnnamed,
		Exempt:  s.gate.clients.Trusted.Contain,
		Refused: s.connectionRefused,
		Guard:   s.guard,
	})
}

// ListenerTLS is Listener for wss and https: on Linux it gives the event loops connections under TLS, which has no other way in
// for them; an idle session behind it has no goroutine. The loops accept and wait for what a client begins with; handshakes of TLS
// are done here, 1,024 at once and a quarter of them of one address, in half of the processors; what comes out of Accept is a genuine *tls.Conn with its
// handshake done, so that net/http sets Request.TLS and speaks HTTP/2 as ever. WebSocket handshakes are left to net/http, with
// whatever middleware there is: beside one of TLS they cost little.
//
//	http.Serve(srv.ListenerTLS(l, &tls.Config{Certificates: certificates}), srv)
//
// config is not changed; where it names no protocols, h2 and http/1.1 are offered. A client has 10 seconds for its first message of
// TLS and may keep its handshake waiting for 10 more, or for 2 while more than half of the places are taken, or of those of its address; failures are
// logged at the level Debug. An http.Server that has HTTP/2 turned off, by Protocols, TLSNextProto or GODEBUG=http2server=0,
// closes connections of h2 without a word: name http/1.1 alone in NextProtos then. As with every http.Server, ReadHeaderTimeout is for clients that say nothing afterwards.
//
// The functions in config may block, as autocert's do while a certificate is issued, but each handshake that waits for one is
// among the 1,024. Closing the listener ends the Context of their ClientHelloInfo and does not wait for them. Private keys are used
// on the processors of handshakes, so one that is kept elsewhere (crypto.Signer) keeps others waiting.
//
// As with Listener, 4,096 connections may wait for the http.Server, and the header of the PROXY protocol is taken off first where
// Config.ProxyProtocol says so.
//
// WebSockets over HTTP/2 need an import, hocket.dev/websocket/http2, whose page also says what to set in http.Server.HTTP2. Each
// has a few goroutines.
//
// l belongs to the returned listener, which is to be closed before s.
func (s *Server) ListenerTLS(l net.Listener, config *tls.Config) net.Listener {
	return listen.New(l, listen.Config{
		Loops:   s.loops,
		TLS:     config,
		Proxies: s.proxiesOf(),
		Unnamed: s.connectionUnnamed,
		Exempt:  s.gate.clients.Trusted.Contain,
		Refused: s.connectionRefused,
		Guard:   s.guard,
		HandshakeFailed: func(from net.Addr, err error) {
			s.cfg.Log.Debug("TLS handshake failed", "from", from, "error", err)
		},
	})
}

// guard is for a listener whose connections net/http accepts.
func (s *Server) guard(l net.Listener) net.Listener { return sys.NewListener(l, s.cfg.Log) }

// connectionRefused counts a connection for which there was no descriptor and says so, in the log at most once a second.
func (s *Server) connectionRefused() {
	n := s.refusedConns.Add(1)
	now := time.Now().Unix()
	if last := s.refusedTold.Load(); now > last && s.refusedTold.CompareAndSwap(last, now) {
		s.cfg.Log.Warn("no file descriptor is left: new connections are closed", "refused", n)
	}
}

// connectionUnnamed says in the log, at most once a minute, that a connection was closed for want of a header of the PROXY protocol:
// who has set up one side of it alone would find nothing but connections that end.
func (s *Server) connectionUnnamed(from net.Addr, err error) {
	now := time.Now().Unix()
	if last := s.unnamedTold.Load(); now-last >= 60 && s.unnamedTold.CompareAndSwap(last, now) {
		s.cfg.Log.Warn("a connection was closed since no trusted proxy has named its client by the PROXY protocol, as proxy_protocol has it", "from", from, "error", err)
	}
}
