package websocket

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"

	"hocket.dev/internal/loop/listen"
	"hocket.dev/internal/sys"
	"hocket.dev/wire"
)

// Listener returns a listener for an http.Server that keeps handshakes for s to itself:
// on Linux the loops accept the connections of l, answer the handshakes among the first
// requests without net/http, which halves their cost, and hand out every other connection,
// untouched. So the handler of the http.Server must lead to s as well, for handshakes that
// come later on a connection, and for refusing those that s does not accept.
//
//	http.Serve(s.Listener(l, "/ws"), mux)
//
// Kept are requests for one of the paths, exactly, that [Accept] would accept. What
// middleware in front of s decides is not asked: list only paths without any. A client
// has 10 s for its request; 4,096 per loop may be without one, beyond that the oldest is
// closed. So it is when more than 4,096 connections wait for the http.Server to accept them,
// as behind a limit of its own (netutil.LimitListener). l belongs to the returned listener. Close it before s.
func (s *Server) Listener(l net.Listener, paths ...string) net.Listener {
	kept := make(map[string]bool)
	for _, path := range paths {
		kept[path] = true
	}
	return listen.New(l, listen.Config{
		Loops:   s.loops,
		Upgrade: func(p *listen.Pending, r *http.Request) bool { return kept[r.URL.Path] && s.upgrade(p, r) },
		Guard:   guard,
	})
}

// guard is for a listener whose connections net/http accepts: a process without
// descriptors closes them, and goes on.
func guard(l net.Listener) net.Listener { return sys.NewListener(l, slog.New(slog.DiscardHandler)) }

// ListenerTLS is Listener for wss: on Linux it gives the loops connections under TLS, which
// has no other way in for them. The loops accept the connections of l and wait for what a
// client begins with; the handshakes of TLS are done here, 1,024 at once, in half of the
// processors; what comes out of Accept is a genuine *tls.Conn with its handshake done, so
// that net/http sets Request.TLS and speaks HTTP/2 as ever. The handshakes of WebSockets
// are left to net/http, since beside one of TLS they cost little.
//
//	http.Serve(s.ListenerTLS(l, &tls.Config{Certificates: certificates}), mux)
//
// So an idle wss connection has no goroutine either. What crypto/tls keeps for it makes it
// 8.4 KB of RSS when it has been opened, and 17.1 once a full record of 16 KiB has been
// received (BenchmarkIdleTLS). Behind any other listener of TLS it has a goroutine.
//
// config is not changed; where it names no protocols, h2 and http/1.1 are offered. A client
// has 10 s for its first message of TLS and may keep its handshake waiting for 10 s more,
// or for 2 s while more than half of the places are taken, or of those of its address, which
// are a quarter. As with every http.Server, ReadHeaderTimeout is for those who say nothing
// afterwards; as with Listener, 4,096 connections may wait for the http.Server. l belongs to
// the returned listener. Close it before s.
//
// An http.Server that has HTTP/2 turned off, by Protocols, TLSNextProto or
// GODEBUG=http2server=0, closes connections of h2 without a word: name http/1.1 alone in
// NextProtos then.
//
// The functions in config may block, as autocert's do while a certificate is issued, but
// each handshake that waits for one is among the 1,024. Closing the listener ends the
// Context of their ClientHelloInfo and does not wait for them. Private keys are used on the
// processors of handshakes, so one that is kept elsewhere (crypto.Signer) keeps others
// waiting.
func (s *Server) ListenerTLS(l net.Listener, config *tls.Config) net.Listener {
	return listen.New(l, listen.Config{Loops: s.loops, TLS: config, Guard: guard})
}

// upgrade answers a handshake on a loop. It returns false when net/http is to answer it.
func (s *Server) upgrade(p *listen.Pending, r *http.Request) bool {
	if s.closing.Load() {
		return false
	}
	var response wire.Response
	if s.opts.judge(r, &response) != nil {
		return false
	}
	sh := s.shards[p.Loop().Index()]
	so := sh.newSocket(response)
	sh.scratch = response.AppendTo(sh.scratch[:0])
	if p.Accept(sh.scratch, &so.conn, (*driver)(so)) {
		so.begin(r, nil)
	}
	return true
}
