//go:build linux

package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// gorillaRoom is a broadcaster on gorilla/websocket with a prepared message, so that
// a frame is made once for all, and a goroutine per connection that reads. It writes
// in one of two ways. The cheap one writes to one connection after the other, each
// under a mutex of its own: one reader that stalls holds up all others. The other way
// is that of the library's chat example: a goroutine per connection that writes what
// comes through a channel; a reader whose channel is full is closed.
type gorillaRoom struct {
	upgrader websocket.Upgrader
	pumps    bool // a goroutine per connection writes
	mu       sync.Mutex
	members  map[*gorillaMember]struct{}
}

type gorillaMember struct {
	conn *websocket.Conn
	mu   sync.Mutex                      // held while writing
	send chan *websocket.PreparedMessage // to the goroutine that writes, nil without one
}

// pending is how many messages wait for a connection, as in the chat example.
const pending = 256

// serveGorilla serves on l until ctx ends.
func serveGorilla(ctx context.Context, l net.Listener, pumps bool) error {
	room := &gorillaRoom{pumps: pumps, members: make(map[*gorillaMember]struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", room.subscriber)
	mux.HandleFunc("/pub", room.publisher)
	err := http.Serve(l, mux)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// subscriber keeps one subscriber.
func (g *gorillaRoom) subscriber(w http.ResponseWriter, r *http.Request) {
	conn, err := g.upgrader.Upgrade(w, r, nil)
	if err != nil {
		slog.Error("upgrade", "error", err)
		return
	}
	defer conn.Close()
	m := &gorillaMember{conn: conn}
	if g.pumps {
		m.send = make(chan *websocket.PreparedMessage, pending)
		defer close(m.send) // by then it is off the list
		go m.pump()
	}
	g.mu.Lock()
	g.members[m] = struct{}{}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.members, m)
		g.mu.Unlock()
	}()
	m.mu.Lock()
	err = conn.WriteMessage(websocket.TextMessage, []byte(greeting))
	m.mu.Unlock()
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
}

// publisher sends every message of one connection to all subscribers.
func (g *gorillaRoom) publisher(w http.ResponseWriter, r *http.Request) {
	conn, err := g.upgrader.Upgrade(w, r, nil)
	if err != nil {
		slog.Error("upgrade", "error", err)
		return
	}
	defer conn.Close()
	for {
		kind, msg, err := conn.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, msg)
		if err != nil {
			slog.Error("prepare", "error", err)
			return
		}
		g.broadcast(prepared)
	}
}

// broadcast writes msg to every subscriber.
func (g *gorillaRoom) broadcast(msg *websocket.PreparedMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for m := range g.members {
		if !m.write(msg) {
			m.conn.Close() // its reader ends and takes it off the list
		}
	}
}

// write sends msg, or has it sent.
func (m *gorillaMember) write(msg *websocket.PreparedMessage) bool {
	if m.send == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.conn.WritePreparedMessage(msg) == nil
	}
	select {
	case m.send <- msg:
		return true
	default:
		return false
	}
}

// pump writes what comes until there is nothing more.
func (m *gorillaMember) pump() {
	for msg := range m.send {
		m.mu.Lock() // against the greeting
		err := m.conn.WritePreparedMessage(msg)
		m.mu.Unlock()
		if err != nil {
			m.conn.Close()
		}
	}
}
