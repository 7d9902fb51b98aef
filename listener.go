package hocket

import (
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
// request, and 4,096 for each loop may be without one; then the oldest is closed. When no file descriptor is left, new
// connections are closed, and the log is told, at most once a second.
//
// l belongs to the returned listener, which is to be closed before s.
func (s *Server) Listener(l net.Listener, admit func(*http.Request) bool) net.Listener {
	return listen.New(l, listen.Config{
		Loops: s.loops,
		Upgrade: func(p *listen.Pending, r *http.Request) bool {
			return r.URL.Path == webSocketPath && (admit == nil || admit(r)) && s.websocket.Upgrade(p, r)
		},
		Refused: s.connectionRefused,
		Guard:   func(l net.Listener) net.Listener { return sys.NewListener(l, s.cfg.Log) },
	})
}

// connectionRefused counts a connection for which there was no descriptor and says so, in the log at most once a second.
func (s *Server) connectionRefused() {
	n := s.refusedConns.Add(1)
	now := time.Now().Unix()
	if last := s.refusedTold.Load(); now > last && s.refusedTold.CompareAndSwap(last, now) {
		s.cfg.Log.Warn("no file descriptor is left: new connections are closed", "refused", n)
	}
}
