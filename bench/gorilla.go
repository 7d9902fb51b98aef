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

// gorillaRoom is a broadcaster on gorilla/websocket as one writes it after reading
// its documentation: a goroutine per connection that reads, a mutex per connection
// for writing, and a prepared message, so that a frame is made once for all.
type gorillaRoom struct {
	upgrader websocket.Upgrader
	mu       sync.Mutex
	members  map[*gorillaMember]struct{}
}

type gorillaMember struct {
	conn *websocket.Conn
	mu   sync.Mutex // held while writing
}

// serveGorilla serves on l until ctx ends.
func serveGorilla(ctx context.Context, l net.Listener) error {
	room := &gorillaRoom{members: make(map[*gorillaMember]struct{})}
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
		m.mu.Lock()
		err := m.conn.WritePreparedMessage(msg)
		m.mu.Unlock()
		if err != nil {
			m.conn.Close() // its reader ends and takes it off the list
		}
	}
}
