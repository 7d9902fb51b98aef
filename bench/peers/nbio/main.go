// Command nbio is a server on lesismal/nbio: its own epoll loops read, HTTP included, and
// an idle connection has no goroutine. It has no prepared messages.
package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"hocket.dev/bench/internal/peer"
)

func main() { peer.MainAt(serve) }

// server is all there is.
type server struct {
	compress bool
	rooms    peer.Rooms[*websocket.Conn]
}

func serve(addr string, compress bool) error {
	logging.SetLevel(logging.LevelError)
	s := &server{compress: compress}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", s.upgraded(s.echo()))
	mux.HandleFunc("/sub", s.subscribe(s.upgrader()))
	mux.HandleFunc("/pub", s.upgraded(s.publish()))
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{addr},
		MaxLoad: 1_000_000,
		Handler: mux,
		Listen: func(network, addr string) (net.Listener, error) {
			l, err := net.Listen(network, addr)
			if err == nil {
				fmt.Println(l.Addr())
			}
			return l, err
		},
	})
	if err := engine.Start(); err != nil {
		return err
	}
	select {} // until the process is ended
}

func (s *server) upgrader() *websocket.Upgrader {
	u := websocket.NewUpgrader()
	u.EnableCompression(s.compress)
	return u
}

// upgraded answers the handshake.
func (s *server) upgraded(u *websocket.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			slog.Error("upgrade", "error", err)
			return
		}
		c.SetSession(r.URL.Query().Get("room"))
	}
}

func (s *server) echo() *websocket.Upgrader {
	u := s.upgrader()
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, msg []byte) { _ = c.WriteMessage(kind, msg) })
	return u
}

// subscribe joins a room once the handshake is answered.
func (s *server) subscribe(u *websocket.Upgrader) http.HandlerFunc {
	u.OnClose(func(c *websocket.Conn, _ error) {
		if room, ok := c.Session().(string); ok {
			s.rooms.Leave(room, c)
		}
	})
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			slog.Error("upgrade", "error", err)
			return
		}
		room := r.URL.Query().Get("room")
		c.SetSession(room)
		s.rooms.Join(room, c)
		_ = c.WriteMessage(websocket.TextMessage, []byte(peer.Greeting))
	}
}

func (s *server) publish() *websocket.Upgrader {
	u := s.upgrader()
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, msg []byte) {
		s.rooms.Each(c.Session().(string), func(member *websocket.Conn) { _ = member.WriteMessage(kind, msg) })
	})
	return u
}
