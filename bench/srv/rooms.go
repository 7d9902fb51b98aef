package main

import (
	"bytes"
	"log/slog"
	"net/http"

	"hocket.dev/websocket"
)

// rooms is the handler of all sockets. Each loop keeps the members that live on it, so
// nothing is locked: a message is prepared once and posted to every loop.
type rooms struct {
	server *websocket.Server
	loops  []map[string]*room // by loop, then by name
}

// room is the part of a room that lives on one loop.
type room struct{ members []*websocket.Socket }

// member is the Data of a subscriber, publisher that of one who publishes. An echo has
// none.
type (
	member struct {
		room *room
		at   int // its place in room.members
	}
	publisher struct{ room string }
)

// serve says whose sockets they are. It comes before the first of them.
func (r *rooms) serve(s *websocket.Server) {
	r.server = s
	for range s.Loops() {
		r.loops = append(r.loops, make(map[string]*room))
	}
}

// Open looks at the path for what the socket is here for.
func (r *rooms) Open(s *websocket.Socket, request *http.Request) {
	name := request.URL.Query().Get("room")
	switch request.URL.Path {
	case "/sub":
		r.join(s, name)
		_ = s.Write(websocket.Text, []byte("ready")) // an error is told to Close, too
	case "/pub":
		s.Data = &publisher{name}
	}
}

// Message echoes or publishes. Subscribers are not listened to.
func (r *rooms) Message(s *websocket.Socket, typ websocket.MessageType, p []byte) {
	switch d := s.Data.(type) {
	case nil:
		_ = s.Write(typ, p)
	case *publisher:
		r.publish(s.Loop(), d.room, typ, p)
	}
}

// Writable has nothing to do: nothing is held back.
func (r *rooms) Writable(*websocket.Socket) {}

// Close takes a subscriber off its room.
func (r *rooms) Close(s *websocket.Socket, _ error) {
	m, ok := s.Data.(*member)
	if !ok {
		return
	}
	all := m.room.members
	last := all[len(all)-1]
	all[m.at] = last
	last.Data.(*member).at = m.at
	all[len(all)-1] = nil
	m.room.members = all[:len(all)-1]
}

// join adds a subscriber. A room stays when it is empty.
func (r *rooms) join(s *websocket.Socket, name string) {
	here := r.loops[s.Loop()]
	if here[name] == nil {
		here[name] = new(room)
	}
	s.Data = &member{here[name], len(here[name].members)}
	here[name].members = append(here[name].members, s)
}

// publish sends p to everyone in a room. from is the loop it is called on.
func (r *rooms) publish(from int, name string, typ websocket.MessageType, p []byte) {
	msg, err := websocket.NewPreparedMessage(typ, bytes.Clone(p))
	if err != nil {
		slog.Error("publish", "error", err)
		return
	}
	for i := range r.loops {
		if i == from {
			r.send(i, name, msg)
			continue
		}
		r.server.Post(i, func() { r.send(i, name, msg) })
	}
}

// send gives msg to the members of a room on loop i, and is called there.
func (r *rooms) send(i int, name string, msg *websocket.PreparedMessage) {
	here := r.loops[i][name]
	if here == nil {
		return
	}
	for j := len(here.members) - 1; j >= 0; j-- { // backwards: one that is closed leaves the list
		_ = here.members[j].WritePrepared(msg)
	}
}
