// Command gws is a server on lxzan/gws with a goroutine per connection that reads, and a
// Broadcaster, which makes a frame, and compresses it, once for a room.
package main

import (
	"log/slog"
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"hocket.dev/bench/internal/peer"
)

func main() { peer.Main(serve) }

// server is the handler of every connection.
type server struct {
	gws.BuiltinEventHandler
	rooms peer.Rooms[*gws.Conn]
}

func serve(l net.Listener, compress bool) error {
	s := new(server)
	upgrader := gws.NewUpgrader(s, &gws.ServerOption{PermessageDeflate: gws.PermessageDeflate{Enabled: compress}})
	mux := http.NewServeMux()
	for _, path := range []string{"/echo", "/sub", "/pub"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r)
			if err != nil {
				slog.Error("upgrade", "error", err)
				return
			}
			c.Session().Store("path", path)
			c.Session().Store("room", r.URL.Query().Get("room"))
			go c.ReadLoop() // so that what belongs to the request can be freed
		})
	}
	return http.Serve(l, mux)
}

// is tells the path of a connection, and its room.
func is(c *gws.Conn) (path, room string) {
	p, _ := c.Session().Load("path")
	r, _ := c.Session().Load("room")
	return p.(string), r.(string)
}

func (s *server) OnOpen(c *gws.Conn) {
	if path, room := is(c); path == "/sub" {
		s.rooms.Join(room, c)
		_ = c.WriteString(peer.Greeting)
	}
}

func (s *server) OnClose(c *gws.Conn, _ error) {
	if path, room := is(c); path == "/sub" {
		s.rooms.Leave(room, c)
	}
}

func (s *server) OnMessage(c *gws.Conn, message *gws.Message) {
	defer message.Close()
	switch path, room := is(c); path {
	case "/echo":
		_ = c.WriteMessage(message.Opcode, message.Bytes())
	case "/pub":
		b := gws.NewBroadcaster(message.Opcode, message.Bytes())
		defer b.Close()
		s.rooms.Each(room, func(member *gws.Conn) { _ = b.Broadcast(member) })
	}
}
