package websocket

import (
	"net"
	"net/http"

	"hocket.dev/internal/loop/listen"
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
// closed. l belongs to the returned listener. Close it before s.
func (s *Server) Listener(l net.Listener, paths ...string) net.Listener {
	kept := make(map[string]bool)
	for _, path := range paths {
		kept[path] = true
	}
	return listen.New(l, listen.Config{Loops: s.loops, Upgrade: func(p *listen.Pending, r *http.Request) bool {
		return kept[r.URL.Path] && s.upgrade(p, r)
	}})
}

// upgrade answers a handshake on a loop. It returns false when net/http is to answer it.
func (s *Server) upgrade(p *listen.Pending, r *http.Request) bool {
	if s.closing.Load() {
		return false
	}
	response, refusal := s.opts.judge(r)
	if refusal != nil {
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
