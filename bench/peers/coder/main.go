// Command coder is a server on coder/websocket. As in that library's chat example each
// subscriber has a channel, from which the goroutine of its request writes; one whose
// channel is full is closed. The library has no prepared messages.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"hocket.dev/bench/internal/peer"
)

func main() { peer.Main(serve) }

// pending is how many messages may wait for a subscriber: more than the benchmark ever
// has under way.
const pending = 256

// server is all there is.
type server struct {
	options websocket.AcceptOptions
	rooms   peer.Rooms[*member]
}

// member is a subscriber.
type member struct {
	conn *websocket.Conn
	msgs chan []byte
}

func serve(l net.Listener, compress bool) error {
	s := new(server)
	if compress {
		s.options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", s.accepted(s.echo))
	mux.HandleFunc("/sub", s.accepted(s.subscribe))
	mux.HandleFunc("/pub", s.accepted(s.publish))
	return http.Serve(l, mux)
}

// accepted answers the handshake and closes the connection when handle returns.
func (s *server) accepted(handle func(ctx context.Context, c *websocket.Conn, room string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		options := s.options // Accept changes them
		c, err := websocket.Accept(w, r, &options)
		if err != nil {
			slog.Error("accept", "error", err)
			return
		}
		defer c.CloseNow()
		_ = handle(r.Context(), c, r.URL.Query().Get("room")) // the client has gone
	}
}

func (s *server) echo(ctx context.Context, c *websocket.Conn, _ string) error {
	for {
		kind, msg, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, kind, msg); err != nil {
			return err
		}
	}
}

func (s *server) subscribe(ctx context.Context, c *websocket.Conn, room string) error {
	ctx = c.CloseRead(ctx)
	m := &member{c, make(chan []byte, pending)}
	s.rooms.Join(room, m)
	defer s.rooms.Leave(room, m)
	if err := c.Write(ctx, websocket.MessageText, []byte(peer.Greeting)); err != nil {
		return err
	}
	for {
		select {
		case msg := <-m.msgs:
			if err := c.Write(ctx, websocket.MessageText, msg); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *server) publish(ctx context.Context, c *websocket.Conn, room string) error {
	for {
		_, msg, err := c.Read(ctx)
		if err != nil {
			return err
		}
		s.rooms.Each(room, func(m *member) {
			select {
			case m.msgs <- msg:
			default:
				go m.conn.Close(websocket.StatusPolicyViolation, "too slow to keep up")
			}
		})
	}
}
