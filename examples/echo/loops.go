package main

import (
	"bytes"
	"errors"
	"net/http"

	"hocket.dev/websocket"
)

// onLoops is the server on event loops. While a peer does not take what it is sent, no more
// is read from it; what had been read by then waits in the socket's Data.
type onLoops struct{}

func (onLoops) Open(*websocket.Socket, *http.Request) {}
func (onLoops) Close(*websocket.Socket, error)        {}

func (onLoops) Message(s *websocket.Socket, typ websocket.MessageType, p []byte) {
	waiting, _ := s.Data.([]websocket.Message)
	if len(waiting) > 0 || errors.Is(s.Write(typ, p), websocket.ErrPendingFull) {
		s.Data = append(waiting, websocket.Message{Type: typ, Data: bytes.Clone(p)})
		s.Pause()
	}
}

func (onLoops) Writable(s *websocket.Socket) {
	waiting, _ := s.Data.([]websocket.Message)
	for len(waiting) > 0 && !errors.Is(s.Write(waiting[0].Type, waiting[0].Data), websocket.ErrPendingFull) {
		waiting = waiting[1:]
	}
	if s.Data = waiting; len(waiting) == 0 {
		s.Resume()
	}
}
