// Command gorilla is a server on gorilla/websocket with a goroutine per connection that
// reads, and prepared messages: a frame is made, and compressed, once for a room. It
// writes to one connection after the other, which costs least; a reader that stalls
// holds up the others.
package main

import (
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"hocket.dev/bench/internal/peer"
)

func main() { peer.Main(serve) }

// server is all there is.
type server struct {
	upgrader websocket.Upgrader
	rooms    peer.Rooms[*member]
}

// member is a subscriber.
type member struct {
	conn *websocket.Conn
	mu   sync.Mutex // held while writing
}

func serve(l net.Listener, compress bool) error {
	s := &server{upgrader: websocket.Upgrader{EnableCompression: compress}}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", s.upgraded(s.echo))
	mux.HandleFunc("/sub", s.upgraded(s.subscribe))
	mux.HandleFunc("/pub", s.upgraded(s.publish))
	return http.Serve(l, mux)
}

// upgraded answers the handshake and closes the connection when handle returns.
func (s *server) upgraded(handle func(c *websocket.Conn, room string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.upgrader.Upgrade(w, r, nil)
		if err != nil {
			slog.Error("upgrade", "error", err)
			return
		}
		defer c.Close()
		handle(c, r.URL.Query().Get("room"))
	}
}

func (s *server) echo(c *websocket.Conn, _ string) {
	for {
		kind, msg, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(kind, msg); err != nil {
			return
		}
	}
}

func (s *server) subscribe(c *websocket.Conn, room string) {
	m := &member{conn: c}
	s.rooms.Join(room, m)
	defer s.rooms.Leave(room, m)
	m.mu.Lock()
	err := c.WriteMessage(websocket.TextMessage, []byte(peer.Greeting))
	m.mu.Unlock()
	for err == nil {
		_, _, err = c.ReadMessage()
	}
}

func (s *server) publish(c *websocket.Conn, room string) {
	for {
		kind, msg, err := c.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, msg)
		if err != nil {
			slog.Error("prepare", "error", err)
			return
		}
		s.rooms.Each(room, func(m *member) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if err := m.conn.WritePreparedMessage(prepared); err != nil {
				m.conn.Close() // its reader ends and takes it off the room
			}
		})
	}
}
